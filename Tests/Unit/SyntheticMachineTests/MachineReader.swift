import CrashedKernel
import DumpBasics
import TestSupport
import Testing

/// Walks the machine's structures by VMCOREINFO alone and compares with what the builder knows.
struct MachineReader {
  let machine: SyntheticMachine
  let info: VMCoreInfo
  let memory: KernelMemory

  /// mem_section root → section → map: each present section's map is where the builder says, and no section
  /// is missing.
  func checkSections() throws {
    let roots = try info.requireSymbol("mem_section").rawValue
    let rootCount = try #require(info.length("mem_section"))
    var found: [UInt64] = []
    for root in 0..<rootCount {
      let table = try memory.u64(VirtualAddress(roots + root * 8))
      if table == 0 { continue }
      for index in 0..<UInt64(256) {
        let section = root * 256 + index
        let encoded = try memory.u64(VirtualAddress(table + index * 16))
        if encoded & 1 == 0 { continue }
        found.append(section)
        let map = (encoded & ~0xfff) &+ section << 15 * 64
        #expect(map == machine.pageAddress(PageFrame(section << 15)).rawValue)
        #expect(throws: Never.self) { try memory.read(VirtualAddress(map + (1 << 21) - 64), count: 64) }
      }
    }
    let expected = machine.mappedFrames.flatMap { Array($0.lowerBound >> 15..<$0.upperBound >> 15) }
    #expect(found == expected.sorted())
  }

  /// Free lists walked = buddy marks in the page map = nr_free = vm_stat.
  func checkZone(_ zone: SyntheticZone) throws {
    // arm64's VMCOREINFO does not have it.
    let table = try #require(info.symbol("node_data") ?? KernelSymbols.find(["node_data"], info, memory)["node_data"])
    let node = try memory.u64(VirtualAddress(table.rawValue + UInt64(zone.node) * 8))
    let start = node + UInt64(zone.type * (try info.requireSize("zone")))
    let areaSize = UInt64(try info.requireSize("free_area"))
    let lists = try #require(info.length("free_area.free_list"))
    let areas = start + UInt64(try info.requireOffset("zone.free_area"))
    let marks = try buddyMarks(zone)
    var free: UInt64 = 0
    for order in 0..<11 {
      let area = areas + UInt64(order) * areaSize
      var members = Set<UInt64>()
      for type in 0..<Int(lists) {
        let chain = try walk(area + UInt64(type) * 16)
        #expect(chain == Array(machine.freeList(zone, order: order, migrateType: type)))
        members.formUnion(chain)
      }
      #expect(members == marks[order])
      #expect(try memory.u64(VirtualAddress(area + lists * 16)) == UInt64(members.count))
      free += UInt64(members.count) << UInt64(order)
    }
    let counted = try memory.u64(VirtualAddress(start + UInt64(try info.requireOffset("zone.vm_stat"))))
    #expect(counted == zone.freePages)
    let unaccepted = try unacceptedPages(zone)
    #expect(counted == free + unaccepted)
    let spanned = try memory.u64(VirtualAddress(start + UInt64(try info.requireOffset("zone.spanned_pages"))))
    #expect(spanned == UInt64(zone.span.count))
  }

  /// The frames in a list, following `next`; each `prev` has to lead back.
  private func walk(_ head: UInt64) throws -> [UInt64] {
    let base = machine.mappedFrames.map { ($0, machine.pageAddress(PageFrame($0.lowerBound)).rawValue) }
    var frames: [UInt64] = []
    var previous = head
    var link = try memory.u64(VirtualAddress(head))
    while link != head, frames.count < 1 << 20 {
      #expect(try memory.u64(VirtualAddress(link + 8)) == previous)
      frames.append(try #require(frame(of: link - 8, base)))
      previous = link
      link = try memory.u64(VirtualAddress(link))
    }
    #expect(try memory.u64(VirtualAddress(head + 8)) == previous)
    return frames
  }

  private func frame(of page: UInt64, _ maps: [(Range<UInt64>, UInt64)]) -> UInt64? {
    if machine.configuration.pageMap != .separate {
      for (range, base) in maps where page >= base && page < base + UInt64(range.count) * 64 {
        return range.lowerBound + (page - base) / 64
      }
      return nil
    }
    for (range, _) in maps {
      for section in range.lowerBound >> 15..<range.upperBound >> 15 {
        let base = machine.pageAddress(PageFrame(section << 15)).rawValue
        if page >= base, page < base + 1 << 21 { return section << 15 + (page - base) / 64 }
      }
    }
    return nil
  }

  private func buddyMarks(_ zone: SyntheticZone) throws -> [Set<UInt64>] {
    let type = UInt32(truncatingIfNeeded: try info.requireNumber("PAGE_BUDDY_MAPCOUNT_VALUE"))
    var marks = [Set<UInt64>](repeating: [], count: 11)
    try forEachPage(zone) { frame, words in
      guard UInt32(truncatingIfNeeded: words[6]) == type, words[1] & 1 == 0, machine.isDumped(PageFrame(frame)) else { return }
      let order = Int(truncatingIfNeeded: words[5])
      #expect(order < 11 && frame & (1 << UInt64(order) - 1) == 0)
      if order < 11 { marks[order].insert(frame) }
    }
    return marks
  }

  private func unacceptedPages(_ zone: SyntheticZone) throws -> UInt64 {
    guard let type = info.number("PAGE_UNACCEPTED_MAPCOUNT_VALUE") else { return 0 }
    var pages: UInt64 = 0
    try forEachPage(zone) { frame, words in
      if UInt32(truncatingIfNeeded: words[6]) == UInt32(truncatingIfNeeded: type), words[1] & 1 == 0 { pages += 1024 }
    }
    return pages
  }

  private func forEachPage(_ zone: SyntheticZone, _ body: (UInt64, [UInt64]) throws -> Void) throws {
    for first in stride(from: zone.span.lowerBound / 64 * 64, to: zone.span.upperBound, by: 64)
    where machine.mappedFrames.contains(where: { $0.contains(first) }) {
      let bytes = try memory.read(machine.pageAddress(PageFrame(first)), count: 4096)
      let words = bytes.withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
      for index in 0..<64 where zone.span.contains(first + UInt64(index)) {
        // Holes hold all ones, which is no type.
        if words[index * 8] == .max { continue }
        try body(first + UInt64(index), Array(words[index * 8..<index * 8 + 8]))
      }
    }
  }
}
