internal import CLinux
public import DumpBasics
internal import Glibc

/// Huge pages of 2 MiB that this process holds, each with the place in physical memory where it lies. When
/// the process ends they go back to the kernel's pool of huge pages, which nobody else takes from, and which
/// does not clear them (mm/hugetlb.c, Linux 6.1: a huge page is cleared when it is mapped).
@safe public final class HugePages {
  public static let size = 2 << 20
  private static let pool = "/sys/kernel/mm/hugepages/hugepages-2048kB"

  /// MAP_HUGETLB | MAP_HUGE_2MB (include/uapi/asm-generic/mman-common.h and hugetlb_encode.h, Linux 6.1).
  private static let flags: Int32 = 0x40000 | 21 << 26

  private let start: UnsafeMutableRawPointer
  private let count: Int
  /// The physical address of each.
  public let addresses: [UInt64]

  /// Enlarges the pool by `count`, and takes as many, or those that are to be had. Needs root.
  public init(_ count: Int) throws(DumpError) {
    func number(_ name: String) throws(DumpError) -> Int {
      let text = try System.text(of: "\(HugePages.pool)/\(name)", limit: 64)
      return Int(String(Substring(text.utf8.prefix { $0 > 0x20 }))) ?? 0
    }
    let wanted = try number("nr_hugepages") - number("free_hugepages") + count
    try File("\(HugePages.pool)/nr_hugepages", .readWrite).write("\(wanted)")
    let taken = min(count, try number("free_hugepages"))
    guard taken > 0 else {
      throw DumpError(
        .full, "the kernel has no huge page of 2 MiB to spare", at: HugePages.pool, advice: "try it soon after a boot")
    }
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | HugePages.flags
    let address = try System.retrying(.mmap, HugePages.pool) {
      unsafe Int(bitPattern: mmap(nil, taken * HugePages.size, PROT_READ | PROT_WRITE, flags, -1, 0))
    }
    guard let made = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
      throw DumpError(.system(ENOMEM), "no huge pages", at: HugePages.pool)
    }
    unsafe start = made
    self.count = taken
    var addresses: [UInt64] = []
    let map = try File("/proc/self/pagemap", .read)
    for index in 0..<taken {
      let place = unsafe made + index * HugePages.size
      unsafe place.storeBytes(of: 1, as: UInt8.self)
      // 8 bytes for each page of 4 KiB: bit 63 present, bits 0 to 54 its pfn
      // (Documentation/admin-guide/mm/pagemap.rst).
      let entry = try map.bytes(at: UInt64(UInt(bitPattern: place)) / 4096 * 8, count: 8)
      guard let word = ByteReader(entry, .little).u64(0), word >> 63 == 1, word & 0x7f_ffff_ffff_ffff != 0 else {
        throw DumpError(.system(EPERM), "where a page lies is not told", at: "/proc/self/pagemap", advice: "be root")
      }
      addresses.append((word & 0x7f_ffff_ffff_ffff) << 12)
    }
    self.addresses = addresses
  }

  deinit { unsafe _ = munmap(start, count * HugePages.size) }

  /// Bytes `range` of huge page `index`; both have to be there.
  public func read(_ index: Int, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) {
    precondition(index < count && offset + buffer.count <= HugePages.size)
    unsafe buffer.copyMemory(
      from: UnsafeRawBufferPointer(start: start + index * HugePages.size + offset, count: buffer.count))
  }

  /// What was written is in memory, not in a cache of the processor, when this returns.
  public func write(_ bytes: UnsafeRawBufferPointer, _ index: Int, at offset: Int) throws(DumpError) {
    precondition(index < count && offset + bytes.count <= HugePages.size)
    let code = unsafe mcore_guarded_store(start + index * HugePages.size + offset, bytes.baseAddress, bytes.count)
    if code != 0 { throw DumpError(.system(EIO), "this memory can't be had", at: HugePages.pool) }
  }
}
