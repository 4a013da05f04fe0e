public import DumpBasics

/// Virtual to physical, for one architecture: the one place that knows its page tables.
///
/// A new architecture is one type that conforms to this, and one line in `pageTables(_:_:_:)`.
protocol AddressTranslation: Sendable {
  /// Whether every mapping begins and ends at a border of the kernel's pages.
  var mapsWholePages: Bool { get }

  /// Where `address` lies in physical memory, and how far from there on the mapping goes.
  ///
  /// `readEntry` reads an 8-byte page-table entry at a physical address, in the dump's byte order. It is
  /// called at most five times (once for each level).
  ///
  /// - Throws: when nothing is mapped there, or a table can't be read.
  func translate(_ address: VirtualAddress, readEntry: (PhysicalAddress) throws(DumpError) -> UInt64)
    throws(DumpError) -> MappedMemory

  /// How the tables are built, for a walk through all of them; nil where there are none.
  var shape: PageTableShape? { get }

  /// What the entry `word` says, of a table whose entries map 2^`shift` bytes each.
  func entry(_ word: UInt64, shift: UInt64) -> PageTableEntry
}

extension AddressTranslation {
  var mapsWholePages: Bool { true }
  var shape: PageTableShape? { nil }
  func entry(_ word: UInt64, shift: UInt64) -> PageTableEntry { .nothing }
}

/// The answer of a translation.
public struct MappedMemory: Sendable, Equatable {
  public var physical: PhysicalAddress
  /// Bytes from `physical` to the end of the mapping it is in: at least 1, at most 512 GiB.
  public var count: UInt64

  public init(_ physical: PhysicalAddress, count: UInt64) {
    self.physical = physical
    self.count = count
  }
}

/// The translation of `machine`, from what its kernel says of its page tables.
///
/// - Throws: naming the key that is missing or absurd.
func pageTables(_ machine: MachineIdentity, _ info: VMCoreInfo, _ pageSize: PageSize) throws(DumpError)
  -> any AddressTranslation
{
  switch machine.architecture {
  case .x86_64: try X86PageTables(info)
  case .arm64: try ARM64PageTables(info, pageSize)
  }
}
