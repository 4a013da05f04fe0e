import DumpBasics
import DumpSource
import Synchronization

/// A crashed machine made in a test: physical memory page by page, page tables, VMCOREINFO.
struct SyntheticMachine {
  var identity = MachineIdentity(.x86_64, .little)
  var pageSize = PageSize.fourKiB
  var pages: [UInt64: [UInt8]] = [:]
  /// Lines of VMCOREINFO, in order.
  var info: [String] = []
  var extraNotes: [DumpNote] = []
  var segments: [MemorySegment] = []
  private var nextTable: UInt64
  private var root: UInt64
  private var shifts: [UInt64] = []

  static let kernelMap: UInt64 = 0xffff_ffff_8000_0000
  static let physBase: UInt64 = 0x100_0000

  /// x86_64 with page tables of `levels` levels, at 0x1001000 and on; VMCOREINFO leads to them.
  init(levels: Int = 4) {
    root = SyntheticMachine.physBase + 0x1000
    nextTable = root + 0x1000
    shifts = Array([48, 39, 30, 21, 12].suffix(levels))
    info = [
      "OSRELEASE=6.1.0-test", "PAGESIZE=4096", "CRASHTIME=1763866267",
      "SYMBOL(init_top_pgt)=ffffffff80001000", "NUMBER(phys_base)=16777216",
      "NUMBER(pgtable_l5_enabled)=\(levels == 5 ? 1 : 0)",
    ]
    pages[root >> 12] = [UInt8](repeating: 0, count: 4096)
  }

  /// arm64 with 64 KiB pages, 48 bits of address, three levels, in the given byte order.
  init(arm64: ByteOrder, built: Int = 48) {
    identity = MachineIdentity(.arm64, arm64)
    pageSize = PageSize(bytes: 65536) ?? .fourKiB
    root = 0x4000_0000
    nextTable = root + 0x10000
    shifts = [42, 29, 16]
    // kimage_voffset = 0xffff800040000000: the image at 0x40000000 is seen at 0xffff800080000000.
    info = [
      "OSRELEASE=6.1.0-64k", "PAGESIZE=65536", "SYMBOL(swapper_pg_dir)=ffff800080000000",
      "NUMBER(kimage_voffset)=0xffff800040000000", "NUMBER(VA_BITS)=\(built)", "NUMBER(TCR_EL1_T1SZ)=0x10",
    ]
    pages[root >> 16] = [UInt8](repeating: 0, count: 65536)
    rootBits = UInt64(built) - 42
  }
  private var rootBits: UInt64 = 9

  mutating func write(_ physical: UInt64, _ bytes: [UInt8]) {
    for (offset, byte) in bytes.enumerated() {
      let address = physical + UInt64(offset)
      pages[address >> pageSize.shift, default: [UInt8](repeating: 0, count: Int(pageSize.bytes))][
        Int(address & (pageSize.bytes - 1))] = byte
    }
  }
  mutating func write(_ physical: UInt64, u64 value: UInt64) { write(physical, integer(value, 8)) }
  mutating func write(_ physical: UInt64, u32 value: UInt32) { write(physical, integer(UInt64(value), 4)) }
  mutating func write(_ physical: UInt64, u16 value: UInt16) { write(physical, integer(UInt64(value), 2)) }

  func integer(_ value: UInt64, _ size: Int) -> [UInt8] {
    let little = (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    return identity.byteOrder == .little ? little : little.reversed()
  }

  func u64(_ physical: UInt64) -> UInt64 {
    let page = pages[physical >> pageSize.shift] ?? [UInt8](repeating: 0, count: Int(pageSize.bytes))
    return ByteReader(page, identity.byteOrder).u64(Int(physical & (pageSize.bytes - 1))) ?? 0
  }

  /// Maps `virtual` to `physical` by a leaf of 2^`leaf` bytes.
  mutating func map(_ virtual: UInt64, _ physical: UInt64, leaf: UInt64? = nil) {
    let x86 = identity.architecture == .x86_64
    let last = leaf ?? (x86 ? 12 : 16)
    var table = root
    for (level, shift) in shifts.enumerated() {
      let bits = x86 ? 9 : level == 0 ? rootBits : 13
      let slot = table + (virtual >> shift & ((1 << bits) - 1)) * 8
      if shift == last {
        // Flags as the kernel sets them, NX and, in a large page, PAT (bit 12) included.
        let flags: UInt64 = x86 ? 0x8000_0000_0000_0063 | (shift > 12 ? 0x1080 : 0) : shift == 16 ? 0x60_0000_0000_0703 : 0x701
        write(slot, u64: physical | flags)
        return
      }
      if u64(slot) == 0 {
        write(slot, u64: nextTable | (x86 ? 0x63 : 3))
        pages[nextTable >> pageSize.shift] = [UInt8](repeating: 0, count: Int(pageSize.bytes))
        nextTable += pageSize.bytes
      }
      table = u64(slot) & 0x000f_ffff_ffff_f000 & ~(pageSize.bytes - 1)
    }
  }

  var source: SyntheticSource {
    let note = DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array(info.joined(separator: "\n").utf8))
    return SyntheticSource(
      identity: identity, segments: segments, notes: (info.isEmpty ? [] : [note]) + extraNotes, pages: pages,
      pageSize: pageSize)
  }
}

final class SyntheticSource: DumpSource {
  let name = "synthetic"
  let identity: MachineIdentity
  let segments: [MemorySegment]
  let notes: [DumpNote]
  let shortfall: Shortfall? = nil
  let pages: [UInt64: [UInt8]]
  let pageSize: PageSize
  /// How many times it was read.
  let reads = Atomic<Int>(0)

  init(
    identity: MachineIdentity, segments: [MemorySegment], notes: [DumpNote], pages: [UInt64: [UInt8]],
    pageSize: PageSize
  ) {
    self.identity = identity
    self.segments = segments
    self.notes = notes
    self.pages = pages
    self.pageSize = pageSize
  }

  func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    reads.add(1, ordering: .relaxed)
    var done = 0
    while done < buffer.count {
      let cursor = address.rawValue + UInt64(done)
      let within = Int(cursor & (pageSize.bytes - 1))
      guard let page = pages[cursor >> pageSize.shift] else {
        throw DumpError("no memory", at: "physical address \(hex(cursor))")
      }
      let piece = min(buffer.count - done, page.count - within)
      // A page shorter than others: memory that ends inside it.
      guard piece > 0 else { throw DumpError("no memory", at: "physical address \(hex(cursor))") }
      page[within..<within + piece].withUnsafeBytes { bytes in
        UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + piece]).copyMemory(from: bytes)
      }
      done += piece
    }
  }
}

/// SplitMix64 with a fixed seed: the same sequence on every machine.
struct FixedRandom: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
