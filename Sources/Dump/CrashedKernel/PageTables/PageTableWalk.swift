public import DumpBasics
internal import DumpSource

/// What an entry of a page table says.
enum PageTableEntry: Equatable {
  case nothing
  /// The physical address of the next table.
  case table(UInt64)
  /// The first byte of the memory that is mapped.
  case memory(UInt64)
}

/// The kernel's half of the address space as its page tables are built.
struct PageTableShape: Sendable {
  /// Physical address of the root table.
  var root: UInt64
  /// From the root down: log2 of the bytes that one entry maps. At most five.
  var shifts: [UInt64]
  /// The entries of the root that belong to the kernel.
  var rootEntries: Range<UInt64>
  /// Entries of every other table.
  var entries: UInt64
  /// The bits above the root's index, all ones in the kernel's half.
  var upperBits: UInt64
  /// Where the per-CPU pages that the processor needs on entry are mapped (x86: cpu_entry_area).
  var processorPages: Range<UInt64>?
}

/// A walk through all page tables of the kernel's half.
public struct PageTableWalk {
  /// What is told to the caller.
  public enum Finding {
    /// A page table itself.
    case table(PhysicalRange)
    /// Memory, mapped from `virtual` on. `isProcessorPage`: it is one that the processor needs on entry.
    case memory(PhysicalRange, virtual: UInt64, isProcessorPage: Bool)
  }

  /// Tables that are looked at, at most. 4 TiB have some thousand, without those at the end of the direct
  /// map; where tables lead in circles or everywhere, this ends it.
  public static let tableLimit = 1 << 19

  private let source: any DumpSource
  private let translation: any AddressTranslation
  private let shape: PageTableShape
  /// Table and level, of those that were looked at.
  private var visited: Set<UInt64> = []
  /// Tables that could not be read.
  public private(set) var unreadable = 0
  public var isCutShort: Bool { visited.count >= PageTableWalk.tableLimit }

  init(_ source: any DumpSource, _ translation: any AddressTranslation, _ shape: PageTableShape) {
    self.source = source
    self.translation = translation
    self.shape = shape
  }

  /// Tells `found` of every table and every mapping. Where `isDirect` is true of a stretch of addresses, its
  /// lowest tables are told of and not read: what they map is known, and for a TiB in small pages they have 2
  /// GiB. Ends early when `found` returns false.
  public mutating func run(
    isDirect: (_ virtual: UInt64, _ bytes: UInt64) -> Bool, _ found: (Finding) -> Bool
  ) {
    _ = visit(shape.root, 0, shape.upperBits, isDirect, found)
  }

  private mutating func visit(
    _ table: UInt64, _ level: Int, _ virtual: UInt64, _ isDirect: (UInt64, UInt64) -> Bool, _ found: (Finding) -> Bool
  ) -> Bool {
    // Tables begin at least at 64 bytes, and there are at most five levels: the low bits are free.
    if isCutShort || !visited.insert(table | UInt64(level)).inserted { return true }
    let range = level == 0 ? shape.rootEntries : 0..<shape.entries
    let size = range.upperBound * 8
    guard let place = PhysicalRange(start: table, count: size) else { return true }
    if !found(.table(place)) { return false }
    guard let bytes = try? source.bytes(at: PhysicalAddress(table), count: Int(size)) else {
      unreadable += 1
      return true
    }
    let reader = ByteReader(bytes, source.identity.byteOrder)
    let shift = shape.shifts[level]
    for index in range {
      guard let word = reader.u64(Int(index) * 8), word != 0 else { continue }
      let address = virtual | index << shift
      switch translation.entry(word, shift: shift) {
      case .nothing: continue
      case .memory(let start):
        guard let memory = PhysicalRange(start: start, count: 1 << shift) else { continue }
        let isOnEntry = shape.processorPages?.contains(address) ?? false
        if !found(.memory(memory, virtual: address, isProcessorPage: isOnEntry)) { return false }
      case .table(let next):
        if level + 1 >= shape.shifts.count { continue }
        if level + 2 == shape.shifts.count, isDirect(address, 1 << shift) {
          if let place = PhysicalRange(start: next, count: shape.entries * 8), !found(.table(place)) { return false }
        } else if !visit(next, level + 1, address, isDirect, found) {
          return false
        }
      }
    }
    return true
  }
}
