internal import DumpBasics

/// Writes page tables into the kernel's memory: x86_64's (Intel SDM vol. 3, 4.5) of four or five levels,
/// arm64's (Arm ARM D8) of four, for pages of 4 KiB.
struct PageTableWriter {
  private let root: UInt64
  private let topShift: UInt64
  private let leafFlags: UInt64
  private let tableFlags: UInt64
  /// What a large leaf has besides, or instead.
  private let large: UInt64

  init(_ addresses: MachineAddresses) {
    root = addresses.imagePhysical(of: addresses.rootTable)
    topShift = UInt64(12 + 9 * (addresses.levels - 1))
    switch addresses.architecture {
    case .x86_64:
      // Present, writable, accessed, dirty, global; no execution. Bit 7: large.
      (leafFlags, tableFlags, large) = (0x8000_0000_0000_0163, 0x63, 0x80)
    case .arm64:
      // Valid, page, inner shareable, accessed; no execution. A block has bit 1 clear.
      (leafFlags, tableFlags, large) = (0x0060_0000_0000_0703, 3, 2)
    }
  }

  /// Maps the 2^`shift` bytes at `address` (12, 21 or 30). A leaf of 2 MiB or 1 GiB has bit 7 set.
  func map(_ address: UInt64, to physical: UInt64, shift: UInt64, _ bytes: inout KernelBytes) {
    let flags = leafFlags ^ (shift > 12 ? large : 0)
    set(address, shift: shift, physical | flags, &bytes)
  }

  /// Makes the 2 MiB at `address` lead to a table of 4 KiB pages at `table`, whose entries are somebody
  /// else's work.
  func link(_ address: UInt64, toTable table: UInt64, _ bytes: inout KernelBytes) {
    set(address, shift: 21, table | tableFlags, &bytes)
  }

  func smallLeaf(_ physical: UInt64) -> UInt64 { physical | leafFlags }

  private func set(_ address: UInt64, shift: UInt64, _ entry: UInt64, _ bytes: inout KernelBytes) {
    var table = root
    var level = topShift
    while level > shift {
      let slot = table + (address >> level & 511) * 8
      if bytes.load(slot) == 0 { bytes.store(bytes.allocate(4096) | tableFlags, at: slot) }
      table = bytes.load(slot) & 0x0000_ffff_ffff_f000
      level -= 9
    }
    bytes.store(entry, at: table + (address >> shift & 511) * 8)
  }
}

extension PageTableWriter {
  /// The kernel image by 2 MiB pages.
  func mapImage(_ addresses: MachineAddresses, _ bytes: inout KernelBytes) {
    for offset in stride(from: UInt64(0), to: MachineAddresses.imageSize, by: 1 << 21) {
      map(addresses.text + offset, to: addresses.imagePhysical + offset, shift: 21, &bytes)
    }
  }

  /// All memory at its place in the direct map: by 1 GiB pages where there is nothing but memory, but every
  /// fourth and the first by 2 MiB (as split by set_memory_*), and 4 KiB where memory ends or begins inside 2
  /// MiB.
  func mapDirect(_ plan: MachinePlan, _ addresses: MachineAddresses, _ bytes: inout KernelBytes) {
    for range in plan.memory {
      var address = range.lowerBound * 4096
      let end = range.upperBound * 4096
      while address < end {
        let shift: UInt64
        if address % (1 << 30) == 0, end - address >= 1 << 30, address >> 30 & 3 != 0 {
          shift = 30
        } else if address % (1 << 21) == 0, end - address >= 1 << 21 {
          shift = 21
        } else {
          shift = 12
        }
        map(addresses.direct(address), to: address, shift: shift, &bytes)
        address += 1 << shift
      }
    }
  }

  /// The page map of each section: 2 MiB of virtual memory, 32,768 struct pages. `tables` is where the tables
  /// of 4 KiB pages lie, one for each section that has a map.
  func mapPageMap(_ plan: MachinePlan, _ addresses: MachineAddresses, tables: UInt64, _ bytes: inout KernelBytes) {
    for run in plan.sections {
      for section in run.sections {
        let address = addresses.vmemmap + section * MachinePlan.pageMapSection
        let number = run.before + (section - run.sections.lowerBound)
        if plan.hasSmallMap(section) {
          link(address, toTable: tables + number * 4096, &bytes)
        } else if let physical = plan.pageMap(ofSection: section) {
          map(address, to: physical, shift: 21, &bytes)
        }
      }
    }
  }
}

extension MachinePlan {
  /// Whether the section's part of vmemmap is mapped by 4 KiB pages.
  func hasSmallMap(_ section: UInt64) -> Bool {
    if giganticPage(withFreedMap: section) != nil { return true }
    return switch configuration.pageMap {
    case .largePages, .separate: false
    case .smallPages: true
    case .mixed: SeededRandom.mix(section ^ configuration.seed) & 1 == 0
    }
  }

  /// The 1 GiB page that the section lies in, if most of its map was given back.
  private func giganticPage(withFreedMap section: UInt64) -> UInt64? {
    guard configuration.pageMap != .separate, configuration.giganticMap != .whole,
      case .gigantic = extent(ofBlock: section * MachinePlan.sectionPages / UInt64(BlockPattern.pages))?.source
    else { return nil }
    return section * MachinePlan.sectionPages & ~(1 << 18 - 1)
  }

  /// Physical address of the `index`th page of the section's map.
  func mapPage(ofSection section: UInt64, _ index: UInt64) -> UInt64? {
    guard let head = giganticPage(withFreedMap: section),
      let first = pageMap(ofSection: head / MachinePlan.sectionPages)
    else { return pageMap(ofSection: section).map { $0 + index * 4096 } }
    let isFirst = section * MachinePlan.sectionPages == head && index == 0
    return isFirst || configuration.giganticMap == .headAgain ? first : first + 4096
  }
}
