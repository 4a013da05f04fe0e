internal import CrashedKernel
internal import DumpBasics
internal import DumpSource

/// Which addresses can be what: the direct map of physical memory, the kernel's image, the page map.
///
/// VMCOREINFO does not say where the direct map begins (`page_offset_base`): it follows from structures that
/// are known to lie in it, and is tried out.
struct AddressSpace: Sendable, Equatable {
  /// First address of the direct map (the one of physical address 0), and bytes of it up to the end of
  /// memory.
  var directBase: UInt64
  var directSize: UInt64
  /// Whether the direct map was found. If not, all of the kernel's half is taken for it.
  var directKnown: Bool
  /// The kernel's own text and data, generously.
  var imageBase: UInt64
  static let imageSize: UInt64 = 1 << 30

  /// `known`: structures that the kernel allocated at boot, by their virtual addresses (a node,
  /// `mem_section`). `probes`: physical addresses that are memory.
  init(
    _ info: VMCoreInfo, _ memory: KernelMemory, inDirectMap known: [VirtualAddress], probes: [UInt64], memoryEnd: UInt64
  ) {
    let stext = info.symbol("_stext")?.rawValue ?? 0
    imageBase = stext &- AddressSpace.imageSize / 2  // wraps only without _stext; then nothing lies there
    // The upper half; a random word lies in it as often as not.
    directBase = 1 << 63
    directSize = 1 << 63
    directKnown = false
    for address in known {
      guard let physical = try? memory.translate(address).rawValue else { continue }
      let base = address.rawValue &- physical  // on arm64 memory need not begin at 0: the base may lie below the map
      if isDirectMap(base, memory, like: address, probes) {
        directBase = base
        directSize = memoryEnd
        directKnown = true
        return
      }
    }
  }

  /// Whether memory elsewhere is mapped with the same distance.
  private func isDirectMap(_ base: UInt64, _ memory: KernelMemory, like address: VirtualAddress, _ probes: [UInt64]) -> Bool {
    guard base & 0xfffff == 0, !isImage(address.rawValue) else { return false }
    // One that is not mapped proves nothing: memory can be taken out of the direct map.
    var tried = false
    for physical in probes {
      guard let found = try? memory.translate(VirtualAddress(base &+ physical)) else { continue }
      if found.rawValue != physical { return false }
      tried = true
    }
    return tried
  }

  @inline(__always) func isImage(_ address: UInt64) -> Bool { address &- imageBase < AddressSpace.imageSize }
  @inline(__always) func isDirect(_ address: UInt64) -> Bool { address &- directBase < directSize }
}
