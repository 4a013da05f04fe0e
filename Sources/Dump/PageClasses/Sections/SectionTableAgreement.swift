internal import CrashedKernel
internal import DumpBasics

// Which of the sections that were read can be right together.
extension SectionTable {
  /// Every section's map lies in memory. Where there are more than memory has room for, most of them are
  /// damage, and only those of which the dump has memory are believed to be there: the time that it takes is
  /// bounded by what the dump holds.
  mutating func limit(
    to frames: [Range<UInt64>], _ pageSize: PageSize, _ structSize: Int, _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    let memory = frames.reduce(UInt64(0)) { $0 + UInt64($1.count) } << pageSize.shift  // ranges of 52 bits, disjoint
    let room = memory / (geometry.pages * UInt64(structSize)) + 1
    if UInt64(sections.count) <= room { return }
    checks.failed(.sectionPointer)
    findings.add(
      DumpError(
        "mem_section has \(sections.count) sections, and memory could hold the maps of \(room)", at: "mem_section",
        advice: "those outside the dump are not looked at"), Findings.noFrames)
    sections.removeAll { pagesIn(frames, geometry.frames($0.number)) == 0 }
  }

  /// The base on which more than half of the sections agree.
  func majority(of sections: [MapSection], _ structSize: Int) -> UInt64? {
    var candidate: UInt64 = 0
    var votes = 0
    for section in sections {
      let base = base(section, structSize)
      if votes == 0 { candidate = base }
      votes += base == candidate ? 1 : -1
    }
    return sections.count { base($0, structSize) == candidate } * 2 > sections.count ? candidate : nil
  }

  private func base(_ section: MapSection, _ structSize: Int) -> UInt64 {
    section.map &- (section.number << geometry.shift) &* UInt64(structSize)  // wraps, as it was encoded
  }

  /// With vmemmap every section has the same base (`SYMBOL(vmemmap)`, where the kernel says it): what differs
  /// is damaged.
  mutating func agree(
    _ structSize: Int, _ info: VMCoreInfo, _ memory: KernelMemory, _ checks: inout CheckTable, _ findings: inout Findings
  ) {
    let said = info.symbol("vmemmap")?.rawValue
    guard
      let base = said.flatMap({ said in sections.contains { base($0, structSize) == said } ? said : nil }) ?? majority(
        of: sections, structSize)
        // One of two is damaged: the one whose map is there.
        ?? majority(of: sections.filter { (try? memory.translate(VirtualAddress($0.map))) != nil }, structSize)
    else { return }
    commonBase = base
    var kept: [MapSection] = []
    kept.reserveCapacity(sections.count)
    for section in sections {
      if self.base(section, structSize) == base {
        kept.append(section)
      } else {
        checks.failed(.sectionPointer)
        refused.insert(section.number)
        findings.add(
          DumpError(
            "the page map would lie at \(hex(section.map)), outside the one of all other sections",
            at: "section \(section.number), pfn \(hex(section.number << geometry.shift)) and on",
            advice: "the section is kept"), geometry.frames(section.number))
      }
    }
    sections = kept
  }

  /// Memory that the dump has and mem_section does not is kept; with vmemmap its `struct page`s can still be
  /// found, so that free lists lead through them. Where the kernel itself lists none of it as RAM, it never
  /// had a map: the firmware in a hypervisor's dump is no damage. `frames` ascend.
  mutating func refuseUnmapped(
    _ frames: [Range<UInt64>], _ info: VMCoreInfo, _ memory: KernelMemory, _ pageSize: PageSize, _ checks: inout CheckTable,
    _ findings: inout Findings
  ) {
    var first: UInt64 = 0
    var ram: SystemRAM??
    func isRAM(_ section: Range<UInt64>) -> Bool {
      if ram == nil { ram = .some(SystemRAM(info, memory)) }
      guard let ram = ram ?? nil else { return true }
      let start = frames.partitionPoint { $0.upperBound <= section.lowerBound }
      return frames[start...].prefix { $0.lowerBound < section.upperBound }.contains { part in
        let part = part.clamped(to: section)
        return PhysicalRange(part.lowerBound << pageSize.shift, part.upperBound << pageSize.shift).map(ram.overlaps) ?? true
      }
    }
    for range in frames where !range.isEmpty {
      first = max(first, range.lowerBound >> geometry.shift)
      let end = (range.upperBound - 1) >> geometry.shift + 1
      // Bounded, as what the dump claims to hold is: the rest is kept all the same.
      while first < end, refused.count < SectionTable.sectionLimit {
        defer { first += 1 }
        if refused.contains(first) || section(of: first << geometry.shift) != nil { continue }
        refused.insert(first)
        if !isRAM(geometry.frames(first)) { continue }
        checks.failed(.sectionPointer)
        findings.add(
          DumpError("memory has no page map", at: "section \(first)", advice: "the section is kept"), geometry.frames(first))
      }
    }
  }
}
