internal import DumpBasics
internal import DumpSource

/// Virtual to physical by what the program headers of the dump claim (`p_vaddr`): a last resort.
///
/// Loaders have written wrong addresses there, so it is used only where the page tables can't be found at
/// all, and `KernelMemory` reports that it is.
struct SegmentTranslation: AddressTranslation {
  let mapsWholePages = false
  private let segments: [MemorySegment]

  /// Nil when no segment claims a kernel address, as in QEMU's dumps.
  init?(_ segments: [MemorySegment]) {
    let claims = segments.filter { $0.virtualAddress >> 63 == 1 }
    if claims.isEmpty { return nil }
    self.segments = claims
  }

  func translate(_ address: VirtualAddress, readEntry: (PhysicalAddress) throws(DumpError) -> UInt64)
    throws(DumpError) -> MappedMemory
  {
    for segment in segments where address.rawValue >= segment.virtualAddress {
      let within = address.rawValue - segment.virtualAddress
      if within < segment.physical.count {
        return MappedMemory(
          PhysicalAddress(segment.physical.start + within), count: min(segment.physical.count - within, 1 << 39))
      }
    }
    throw DumpError("no program header claims \(address)")
  }
}
