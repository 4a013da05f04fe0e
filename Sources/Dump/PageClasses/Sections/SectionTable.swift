internal import CrashedKernel
internal import DumpBasics

/// A section of physical memory that has a page map.
struct MapSection: Sendable, Equatable {
  var number: UInt64
  /// The virtual address of the `struct page` of its first page.
  var map: UInt64
  /// SECTION_IS_ONLINE (include/linux/mmzone.h, since 4.13): whether zones hold its pages. Memory that was
  /// taken offline keeps its map, and no zone reaches there any more.
  var isOnline: Bool
}

/// Where the page map lies: SPARSEMEM's sections, from `mem_section` (include/linux/mmzone.h, mm/sparse.c).
struct SectionTable: Sendable {
  /// What a section's number means.
  struct Geometry: Sendable, Equatable {
    /// log2 of pages in a section: 15 on x86_64.
    var shift: UInt64
    /// log2 of the number of sections that physical memory can have.
    var numberBits: UInt64
    var pages: UInt64 { 1 << shift }
    /// The page frames of a section.
    func frames(_ number: UInt64) -> Range<UInt64> { number << shift..<(number + 1) << shift }
  }

  var geometry: Geometry
  /// Ascending by number; those that passed.
  var sections: [MapSection] = []
  /// The address of the map of pfn 0, on which all sections agree: with SPARSEMEM_VMEMMAP. Nil when each has
  /// its own.
  var commonBase: UInt64?
  /// Sections that are there and can't be used.
  var refused: Set<UInt64> = []

  /// 128 TiB of memory in sections of 128 MiB.
  static let sectionLimit = 1 << 20

  init(
    _ info: VMCoreInfo, _ memory: KernelMemory, of frames: [Range<UInt64>], pageSize: PageSize, layout: PageLayout,
    physicalBits: UInt64, trust: Trust, _ checks: inout CheckTable, _ findings: inout Findings
  ) throws(DumpError) {
    let sectionBits = try info.requireNumber("SECTION_SIZE_BITS")
    let memoryBits = try info.requireNumber("MAX_PHYSMEM_BITS")
    // 21 and 64 leave every kernel room; they bound the shifts below.
    guard (Int64(pageSize.shift) + 6...36).contains(sectionBits), sectionBits < memoryBits, memoryBits <= Int64(physicalBits)
    else {
      throw DumpError("SECTION_SIZE_BITS=\(sectionBits), MAX_PHYSMEM_BITS=\(memoryBits) are no section sizes", at: "VMCOREINFO")
    }
    geometry = Geometry(
      shift: UInt64(sectionBits) - pageSize.shift, numberBits: UInt64(memoryBits) - UInt64(sectionBits))
    let roots = try SectionTable.roots(info, pageSize, geometry)
    read(roots, memory, layout.size, &checks, &findings)
    limit(to: frames, pageSize, layout.size, &checks, &findings)
    if trust == .checked {
      agree(layout.size, info, memory, &checks, &findings)
    } else {
      commonBase = majority(of: sections, layout.size)
    }
    if trust == .checked { refuseUnmapped(frames, info, memory, pageSize, &checks, &findings) }
    if sections.isEmpty { throw DumpError("no section of memory has a page map", at: "mem_section \(roots.table)") }
  }

  // MARK: Questions

  /// The pfn whose `struct page` lies at `address`; nil when there is none. With vmemmap that of a refused
  /// section too: its pages are kept, but lists go through them.
  func frame(ofStruct address: UInt64, _ structSize: Int) -> UInt64? {
    let bytes = UInt64(structSize)
    if let commonBase {
      let distance = address &- commonBase  // an address below the base becomes a frame that no section has
      let frame = distance / bytes
      guard distance % bytes == 0, section(of: frame) != nil || refused.contains(frame >> geometry.shift) else { return nil }
      return frame
    }
    // Maps of their own lie anywhere: a damaged dump may ask for each, so the search is linear only in
    // sections.
    for section in sections {
      let distance = address &- section.map
      if distance < geometry.pages * bytes {
        return distance % bytes == 0 ? (section.number << geometry.shift) + distance / bytes : nil
      }
    }
    return nil
  }

  func section(of frame: UInt64) -> MapSection? {
    let number = frame >> geometry.shift
    let index = sections.partitionPoint { $0.number < number }
    return index < sections.count && sections[index].number == number ? sections[index] : nil
  }
}
