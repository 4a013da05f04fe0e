import CrashedKernel
import DumpBasics
import DumpSource
import PageClasses
import Workers

/// 256 MiB of memory of a made-up x86_64 machine that has all that classification reads, and nothing else:
/// page tables, `mem_section`, a page map in vmemmap, one node with two zones, free lists. Its sections are
/// of 16 MiB, so that there are 16 of them.
final class TinyMachine: DumpSource, @unchecked Sendable {
  /// What differs between kernels.
  enum Generation: String, CaseIterable {
    /// Order and destructor of compound pages in bytes, slab a flag, types as cleared bits: up to 6.2.
    case v6_1
    /// Order in the first tail's flags, types in the top byte: since 6.12.
    case v6_12
    /// Tails hold masks: since 7.1.
    case v7_2
  }

  static let pages: UInt64 = 65536
  static let sectionPages: UInt64 = 4096
  static let direct: UInt64 = 0xffff_8880_0000_0000
  static let map: UInt64 = 0xffff_ea00_0000_0000
  static let image: UInt64 = 0xffff_ffff_8000_0000
  /// Physical addresses of the machine's structures, below 4 MiB; pages there are the kernel's.
  static let topTable: UInt64 = 0x1000
  static let mapTable: UInt64 = 0x6000
  static let roots: UInt64 = 0x40000
  static let sections: UInt64 = 0x80000
  static let nodeData: UInt64 = 0x90000
  static let onlineMap: UInt64 = 0x91000
  static let node: UInt64 = 0xa0000
  static let mapMemory: UInt64 = 0x0100_0000
  static let zoneSize: UInt64 = 1024
  static let zonesPerNode: UInt64 = 4
  static let nrZones = zonesPerNode * (zoneSize + 2 * 64 * 16) + 32
  static let freeAreaSize: UInt64 = 4 * 16 + 8

  let generation: Generation
  var info: [String: String]
  /// The class that each page has in truth.
  private(set) var truth = [PageClass](repeating: .kernel, count: Int(pages))
  /// The first of its memory; all that lies above is zeros. A plain pointer: tests make hundreds of machines.
  private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: written, alignment: 4096)
  private static let written = Int(mapMemory + pages * 64)
  private var lists: [String: [UInt64]] = [:]

  var name: String { "tiny" }
  let identity = MachineIdentity(.x86_64, .little)
  let shortfall: Shortfall? = nil
  var segments: [MemorySegment] {
    [PhysicalRange(start: 0, count: TinyMachine.pages * 4096)].compactMap { $0 }.map {
      MemorySegment(physical: $0, virtualAddress: 0, flags: 7, fileOffset: 0, fileSize: $0.count)
    }
  }
  var notes: [DumpNote] {
    let text = info.map { "\($0.key)=\($0.value)\n" }.sorted().joined()
    return [
      DumpNote(name: "CORE", type: 1, descriptor: registers),
      DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array(text.utf8)),
    ]
  }

  /// `rsp` of the one CPU (struct elf_prstatus: 112 + 19 × 8).
  var stackPointer: UInt64 = 0
  private var registers: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 336)
    withUnsafeBytes(of: stackPointer.littleEndian) { bytes.replaceSubrange(264..<272, with: $0) }
    return bytes
  }
  /// Pages on the LRU.
  private var listed: [UInt64] = []

  init(_ generation: Generation = .v6_12) {
    self.generation = generation
    info = TinyMachine.keys(generation)
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    makeTables()
    makeSections()
    for frame in 0..<TinyMachine.pages { makeKernelPage(frame) }
    makeNode()
    fill()
    closeLists()
  }

  deinit { memory.deallocate() }

  // MARK: Memory

  func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    guard address.rawValue + UInt64(buffer.count) <= TinyMachine.pages * 4096 else { throw DumpError("no memory at \(address)") }
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    let start = Int(address.rawValue)
    if start < TinyMachine.written {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[start..<min(TinyMachine.written, start + buffer.count)]))
    }
  }

  subscript(byte address: UInt64) -> UInt8 {
    get { memory[Int(address)] }
    set { memory[Int(address)] = newValue }
  }
  subscript(_ address: UInt64) -> UInt64 {
    get { memory.loadUnaligned(fromByteOffset: Int(address), as: UInt64.self) }
    set { memory.storeBytes(of: newValue, toByteOffset: Int(address), as: UInt64.self) }
  }

  /// Physical address of a member of a page's `struct page`.
  func at(_ frame: UInt64, _ offset: UInt64 = 0) -> UInt64 { TinyMachine.mapMemory + frame * 64 + offset }
  static func structAddress(_ frame: UInt64) -> UInt64 { map + frame * 64 }
  static func zoneAddress(_ zone: UInt64) -> UInt64 { node + zone * zoneSize }
  static func area(_ zone: UInt64, _ order: UInt64) -> UInt64 { zoneAddress(zone) + 128 + order * freeAreaSize }
  static func zone(of frame: UInt64) -> UInt64 { frame < pages / 2 ? 0 : 1 }

  func tag(_ frame: UInt64) -> UInt64 { TinyMachine.zone(of: frame) << 56 }
  var head: UInt64 { 1 << 6 }
  var lru: UInt64 { 1 << 5 }
  var swapBacked: UInt64 { 1 << 17 }
  var privateData: UInt64 { 1 << 14 }
  var poison: UInt64 { 1 << 20 }
  var slab: UInt64 { 1 << 9 }
  private var isOld: Bool { generation == .v6_1 }
  func typeWord(_ new: UInt64, _ old: UInt64) -> UInt64 { isOld ? old & 0xffff_ffff : new << 24 }
  var buddy: UInt64 { typeWord(0xf0, ~0x80) }
  var offline: UInt64 { typeWord(0xf1, ~0x100) }

  // MARK: Pages

  func makeKernelPage(_ frame: UInt64) {
    self[at(frame)] = tag(frame)
    self[at(frame, 8)] = 0xdead_0000_0000_0100
    self[at(frame, 16)] = 0xdead_0000_0000_0122
    self[at(frame, 48)] = 1 << 32 | 0xffff_ffff
  }

  /// Makes `frame` a page on the LRU, of which `closeLists` makes a ring.
  func makeListed(_ frame: UInt64, _ mapping: UInt64, _ extra: UInt64 = 0) {
    self[at(frame)] = tag(frame) | lru | extra
    self[at(frame, 24)] = mapping
    self[at(frame, 48)] = 2 << 32
    listed.append(frame)
  }

  func makeFree(_ frame: UInt64, _ order: UInt64, _ type: UInt64 = 0) {
    for page in frame..<frame + 1 << order {
      self[at(page)] = tag(page)
      self[at(page, 48)] = 0xffff_ffff
      truth[Int(page)] = .free
    }
    self[at(frame, 40)] = order
    self[at(frame, 48)] = buddy
    lists["\(TinyMachine.zone(of: frame)) \(order) \(type)", default: []].append(frame)
  }

  /// A compound page whose head is set up already.
  func makeCompound(_ frame: UInt64, _ order: UInt64, destructor: UInt8 = 1) {
    self[at(frame)] |= head
    for page in frame + 1..<frame + 1 << order {
      self[at(page)] = tag(page)
      self[at(page, 8)] = generation == .v7_2 ? ~(64 << order - 1) | 1 : TinyMachine.structAddress(frame) | 1
      self[at(page, 24)] = 0xdead_0000_0000_0400
      truth[Int(page)] = truth[Int(frame)]
    }
    if isOld {
      self[byte: at(frame + 1, 17)] = UInt8(order)
      self[byte: at(frame + 1, 16)] = destructor
    } else {
      self[at(frame + 1)] |= order
    }
  }

  static let fileMapping = direct + 0x12340
  static let anonymous = direct + 0x23450 + 1

  /// Places by kind, for tests to damage: the first page of each.
  static let cachePages: Range<UInt64> = 8192..<8292
  static let privatePages: Range<UInt64> = 8300..<8310
  static let userPages: Range<UInt64> = 8320..<8400
  static let transparentHuge: UInt64 = 9728
  static let huge: UInt64 = 9216
  static let slabBlock: UInt64 = 8448
  static let freeBlocks: UInt64 = 12288
  static let singleFree: UInt64 = 40001
  static let offlinePages: Range<UInt64> = 8500..<8503
  static let poisonPage: UInt64 = 8510
  static let kernelPage: UInt64 = 8600

  private func fill() {
    for frame in TinyMachine.cachePages {
      makeListed(frame, TinyMachine.fileMapping)
      truth[Int(frame)] = .cache
    }
    for frame in TinyMachine.privatePages {
      makeListed(frame, TinyMachine.fileMapping, privateData)
      truth[Int(frame)] = .cachePrivate
    }
    for frame in TinyMachine.userPages {
      makeListed(frame, TinyMachine.anonymous, swapBacked)
      truth[Int(frame)] = .user
    }
    // The second crosses borders of sections, as pages of 1 GiB do.
    for (frame, order) in [(TinyMachine.transparentHuge, UInt64(9)), (16384, 14)] {
      makeListed(frame, TinyMachine.anonymous, swapBacked)
      truth[Int(frame)] = .user
      makeCompound(frame, order)
    }
    makeHuge(TinyMachine.huge, 9)
    if isOld { self[at(TinyMachine.slabBlock)] |= slab } else { self[at(TinyMachine.slabBlock, 48)] = 0xf500_0000 | 1 << 32 }
    makeCompound(TinyMachine.slabBlock, 3)
    for block in 0..<8 { makeFree(TinyMachine.freeBlocks + UInt64(block) * 256, 8, UInt64(block % 3)) }
    for block in 0..<100 { makeFree(40001 + UInt64(block) * 2, 0, 1) }
    makeFree(49152, 10)
    for frame in TinyMachine.offlinePages {
      self[at(frame, 48)] = offline | 1 << 32
      truth[Int(frame)] = .offline
    }
    self[at(TinyMachine.poisonPage)] |= poison
    truth[Int(TinyMachine.poisonPage)] = .hwpoison
    // Never initialised: all ones, and zeros.
    for offset in stride(from: UInt64(0), to: 64, by: 8) {
      self[at(60000, offset)] = .max
      self[at(60001, offset)] = 0
    }
  }

  private func makeHuge(_ frame: UInt64, _ order: UInt64) {
    truth[Int(frame)] = .user
    self[at(frame, 8)] = TinyMachine.image + 0x9000
    self[at(frame, 16)] = TinyMachine.image + 0x9000
    if !isOld { self[at(frame, 48)] = 0xf400_0000 | 1 << 32 }
    makeCompound(frame, order, destructor: 2)
  }

  // MARK: Structures

  private func makeTables() {
    func entry(_ table: UInt64, _ index: UInt64, _ value: UInt64) { self[table + index * 8] = value }
    entry(TinyMachine.topTable, TinyMachine.direct >> 39 & 511, 0x2000 | 3)
    entry(0x2000, 0, 0 | 0x83)  // 1 GiB
    entry(TinyMachine.topTable, TinyMachine.map >> 39 & 511, 0x5000 | 3)
    entry(0x5000, 0, TinyMachine.mapTable | 3)
    entry(TinyMachine.mapTable, 0, TinyMachine.mapMemory | 0x83)
    entry(TinyMachine.mapTable, 1, TinyMachine.mapMemory + 0x200000 | 0x83)
    entry(TinyMachine.topTable, 511, 0x3000 | 3)
    entry(0x3000, 510, 0x4000 | 3)
    for index in 0..<8 { entry(0x4000, UInt64(index), UInt64(index) << 21 | 0x83) }
  }

  private func makeSections() {
    self[TinyMachine.roots] = TinyMachine.direct + TinyMachine.sections
    for section in 0..<16 { self[TinyMachine.sections + UInt64(section) * 16] = TinyMachine.map | 0xf }
  }

  private func makeNode() {
    self[TinyMachine.nodeData] = TinyMachine.direct + TinyMachine.node
    self[TinyMachine.onlineMap] = 1
    self[TinyMachine.node + TinyMachine.nrZones] = 2
    self[TinyMachine.node + TinyMachine.nrZones + 8] = 0
    self[TinyMachine.node + TinyMachine.nrZones + 24] = TinyMachine.pages
    for zone in 0..<UInt64(2) {
      self[TinyMachine.zoneAddress(zone) + 16] = zone * TinyMachine.pages / 2
      self[TinyMachine.zoneAddress(zone) + 32] = TinyMachine.pages / 2
    }
  }

  /// Links the free blocks, in an order that is not that of addresses, and counts them.
  private func closeLists() {
    for (index, frame) in listed.enumerated() {
      let next = listed[(index + 1) % listed.count]
      self[at(frame, 8)] = TinyMachine.structAddress(next) + 8
      self[at(next, 16)] = TinyMachine.structAddress(frame) + 8
    }
    for zone in 0..<UInt64(2) {
      var free: UInt64 = 0
      for order in 0..<UInt64(11) {
        var count: UInt64 = 0
        for type in 0..<UInt64(4) {
          let blocks = (lists["\(zone) \(order) \(type)"] ?? []).sorted { $0 &* 0x9e37_79b9 % 1009 < $1 &* 0x9e37_79b9 % 1009 }
          count += UInt64(blocks.count)
          free += UInt64(blocks.count) << order
          let headAt = TinyMachine.area(zone, order) + type * 16
          let ring = [(TinyMachine.direct + headAt, headAt)] + blocks.map { (TinyMachine.structAddress($0) + 8, at($0, 8)) }
          for index in ring.indices {
            self[ring[index].1] = ring[(index + 1) % ring.count].0
            self[ring[index].1 + 8] = ring[(index + ring.count - 1) % ring.count].0
          }
        }
        self[TinyMachine.area(zone, order) + 64] = count
      }
      self[TinyMachine.zoneAddress(zone) + 960] = free
    }
  }

  private static func keys(_ generation: Generation) -> [String: String] {
    func image(_ physical: UInt64) -> String { String(TinyMachine.image + physical, radix: 16) }
    var keys = [
      "OSRELEASE": generation.rawValue, "PAGESIZE": "4096", "SYMBOL(init_top_pgt)": image(topTable),
      "SYMBOL(_stext)": image(0x1000), "NUMBER(phys_base)": "0", "NUMBER(pgtable_l5_enabled)": "0",
      "SYMBOL(mem_section)": String(direct + roots, radix: 16), "LENGTH(mem_section)": "16384", "SIZE(mem_section)": "16",
      "OFFSET(mem_section.section_mem_map)": "0", "NUMBER(SECTION_SIZE_BITS)": "24", "NUMBER(MAX_PHYSMEM_BITS)": "46",
      "SIZE(page)": "64", "SIZE(zone)": "\(zoneSize)", "SIZE(free_area)": "\(freeAreaSize)", "SIZE(list_head)": "16",
      "OFFSET(page.flags)": "0", "OFFSET(page._refcount)": "52", "OFFSET(page.mapping)": "24", "OFFSET(page.lru)": "8",
      "OFFSET(page._mapcount)": "48", "OFFSET(page.private)": "40",
      "OFFSET(pglist_data.node_zones)": "0", "OFFSET(pglist_data.nr_zones)": "\(nrZones)",
      "OFFSET(pglist_data.node_start_pfn)": "\(nrZones + 8)", "OFFSET(pglist_data.node_spanned_pages)": "\(nrZones + 24)",
      "OFFSET(pglist_data.node_id)": "\(nrZones + 32)", "OFFSET(zone.free_area)": "128", "OFFSET(zone.vm_stat)": "960",
      "OFFSET(zone.spanned_pages)": "32", "OFFSET(free_area.free_list)": "0", "OFFSET(list_head.next)": "0",
      "OFFSET(list_head.prev)": "8", "LENGTH(zone.free_area)": "11", "LENGTH(free_area.free_list)": "4",
      "NUMBER(NR_FREE_PAGES)": "0", "NUMBER(PG_lru)": "5", "NUMBER(PG_private)": "14", "NUMBER(PG_swapcache)": "10",
      "NUMBER(PG_swapbacked)": "17", "NUMBER(PG_hwpoison)": "20", "NUMBER(PG_head_mask)": "64",
      "SYMBOL(node_data)": image(nodeData), "LENGTH(node_data)": "64", "SYMBOL(node_online_map)": image(onlineMap),
    ]
    if generation == .v6_1 {
      keys["NUMBER(PG_slab)"] = "9"
      keys["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"] = "-129"
      keys["NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"] = "-257"
      keys["NUMBER(HUGETLB_PAGE_DTOR)"] = "2"
      keys["OFFSET(page.compound_order)"] = "17"
      keys["OFFSET(page.compound_dtor)"] = "16"
    } else {
      keys["NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)"] = "-184549376"
      keys["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"] = "-268435456"
      keys["NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"] = "-251658240"
      keys["NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"] = "-201326592"
      keys["NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)"] = "-150994944"
    }
    keys[generation == .v7_2 ? "OFFSET(page.compound_info)" : "OFFSET(page.compound_head)"] = "8"
    return keys
  }

  // MARK: Classes

  func classify(_ trust: Trust = .checked, threads: Int = 1) -> PageClassification {
    PageClassification(CrashedKernel(self), trust: trust, work: OrderedWork(threads: threads))
  }
}

extension PageClassification {
  /// One class for each page.
  var pages: [PageClass] {
    var pages: [PageClass] = []
    pages.reserveCapacity(Int(counts.total))
    for run in runs { pages.append(contentsOf: repeatElement(run.pageClass, count: run.range.count)) }
    return pages
  }
  var failedChecks: Set<String> { Set(checks.filter { $0.failed > 0 }.map(\.name)) }
}
