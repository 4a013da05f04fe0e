internal import DumpBasics

/// The kernel's virtual addresses: where KASLR put image, direct map and page map, and where symbols are.
struct MachineAddresses: Sendable {
  /// __START_KERNEL_map, arch/x86/include/asm/page_64_types.h.
  static let kernelMap: UInt64 = 0xffff_ffff_8000_0000
  static let imageSize: UInt64 = 32 << 20

  /// KERNELOFFSET: how far KASLR moved the image from 0xffffffff81000000.
  let kernelOffset: UInt64
  let text: UInt64
  let imagePhysical: UInt64
  /// `page_offset_base`.
  let directMap: UInt64
  /// `vmemmap_base`; without vmemmap nothing is there.
  let vmemmap: UInt64
  let levels: Int
  let architecture: Architecture

  init(_ configuration: SyntheticMachineConfiguration, imagePhysical: UInt64) {
    var random = SeededRandom(configuration.seed ^ 0x6b61_736c)
    kernelOffset = UInt64(random.below(128)) << 21
    architecture = configuration.architecture
    // arm64: KIMAGE_VADDR, arch/arm64/include/asm/memory.h.
    text = (architecture == .arm64 ? 0xffff_8000_8100_0000 : 0xffff_ffff_8100_0000) + kernelOffset
    self.imagePhysical = imagePhysical
    levels = configuration.pageTableLevels
    // Documentation/arch/x86/x86_64/mm.rst; KASLR moves by 1 GiB (kaslr_regions, arch/x86/mm/kaslr.c).
    let gigabytes = UInt64(random.below(1 << 10)) << 30
    switch architecture {
    case .x86_64:
      directMap = (levels == 5 ? 0xff11_0000_0000_0000 : 0xffff_8880_0000_0000) + gigabytes
      vmemmap = (levels == 5 ? 0xffd4_0000_0000_0000 : 0xffff_ea00_0000_0000) + gigabytes
    case .arm64:
      // Documentation/arch/arm64/memory.rst, 48 bits.
      directMap = 0xffff_0000_0000_0000 + gigabytes
      vmemmap = 0xffff_fd00_0000_0000 + gigabytes
    }
  }

  /// MAX_PHYSMEM_BITS follows the page tables in use (arch/x86/include/asm/sparsemem.h).
  var physicalMemoryBits: Int { MachineAddresses.physicalMemoryBits(architecture, levels: levels) }
  static func physicalMemoryBits(_ architecture: Architecture, levels: Int) -> Int {
    architecture == .arm64 ? 48 : levels == 5 ? 52 : 46
  }

  /// NUMBER(phys_base): may be negative.
  /// NUMBER(kimage_voffset) of arm64.
  var imageOffset: UInt64 { text &- imagePhysical }
  var physBase: Int64 { Int64(imagePhysical) - Int64(text - MachineAddresses.kernelMap) }

  func direct(_ physical: UInt64) -> UInt64 { directMap + physical }
  func imagePhysical(of symbol: UInt64) -> UInt64 { imagePhysical + (symbol - text) }

  // Symbols in the image.
  var rootTable: UInt64 { text + 0x140_0000 }
  var utsNamespace: UInt64 { text + 0x150_0040 }
  var nodeOnlineMap: UInt64 { text + 0x150_1000 }
  var nodeData: UInt64 { text + 0x151_0000 }
  var printkRing: UInt64 { text + 0x152_0000 }
  var kallsyms: UInt64 { text + 0x120_0000 }
}
