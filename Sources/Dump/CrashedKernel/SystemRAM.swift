public import DumpBasics

/// What the crashed kernel lists as its RAM: `iomem_resource` and all that hangs below it, as /proc/iomem
/// showed it. Firmware and devices that a hypervisor's dump has besides are not in it.
///
/// struct resource (include/linux/ioport.h, Linux 4.6 to 7.x) is start, end, name, flags, desc, parent,
/// sibling, child, 8 bytes each; `end` is the last byte.
public struct SystemRAM: Sendable {
  /// By address, disjoint.
  public let ranges: [PhysicalRange]

  private static let size = 64
  /// Resources that are looked at: a large machine has some thousands.
  private static let countLimit = 65_536
  /// IORESOURCE_MEM and IORESOURCE_SYSRAM.
  private static let flags: UInt64 = 0x0100_0200

  /// Nil where it can't be found, or is not sound in every place: then nothing is said.
  public init?(_ info: VMCoreInfo, _ memory: KernelMemory) {
    guard let root = KernelSymbols.find(["iomem_resource"], info, memory)["iomem_resource"] else { return nil }
    var found: [PhysicalRange] = []
    var waiting = [root]
    var count = 0
    while let address = waiting.popLast() {
      count += 1
      guard count <= SystemRAM.countLimit, let bytes = try? memory.read(address, count: SystemRAM.size) else { return nil }
      let reader = ByteReader(bytes, .little)
      guard let start = reader.u64(0), let last = reader.u64(8), let flags = reader.u64(24), let sibling = reader.u64(48),
        let child = reader.u64(56), start <= last
      else { return nil }
      if flags & SystemRAM.flags == SystemRAM.flags {
        guard last < .max, let range = PhysicalRange(start, last + 1) else { return nil }
        found.append(range)
      }
      if sibling != 0, address != root { waiting.append(VirtualAddress(sibling)) }
      if child != 0 { waiting.append(VirtualAddress(child)) }
    }
    ranges = RangeSet.joined(found)
    if ranges.isEmpty { return nil }
  }

  public func overlaps(_ range: PhysicalRange) -> Bool { !RangeSet.overlapping(ranges, range).isEmpty }
}
