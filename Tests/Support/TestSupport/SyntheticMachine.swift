public import DumpBasics
public import DumpSource

/// A crashed machine that never was, as a dump: page tables, mem_section, nodes, zones, free lists and the
/// page map agree with one another, and the class of each page is known. A terabyte costs no more than a
/// megabyte, since pages are made when they are read.
///
/// What a page holds is a function of the configuration and its frame number alone. Memory is made of 4 MiB
/// blocks, each a copy of one of `patterns` blocks (`PatternMaker` has the distribution); `Permutation` says
/// which. Free lists visit the blocks in the order of that permutation, so that neighbours are computed in
/// both directions.
public final class SyntheticMachine: DumpSource {
  public let configuration: SyntheticMachineConfiguration
  public let name: String
  public let identity: MachineIdentity
  public let segments: [MemorySegment]
  public let notes: [DumpNote]
  public var shortfall: Shortfall? { nil }

  /// Where memory begins in a core file: behind headers and notes.
  static let dataOffset: UInt64 = 1 << 16

  let plan: MachinePlan
  let addresses: MachineAddresses
  let structures: KernelStructures
  private let writer: StructPageWriter
  private let layout: ZoneLayout

  public init(_ configuration: SyntheticMachineConfiguration) {
    self.configuration = configuration
    let kind = configuration.architecture == .x86_64 ? "" : " \(configuration.architecture)"
    name = "synthetic\(kind) \(configuration.generation), \(humanBytes(configuration.memory))"
    identity = MachineIdentity(configuration.architecture, .little)
    plan = MachinePlan(configuration, arenaPages: KernelStructures.arenaPages(configuration))
    addresses = MachineAddresses(configuration, imagePhysical: plan.image.lowerBound * 4096)
    structures = KernelStructures(plan, addresses)
    writer = StructPageWriter(plan, addresses)
    layout = configuration.generation.zoneLayout(configuration.architecture)
    let text = VMCoreInfoText.make(configuration, addresses, sectionRoots: structures.sectionRoots)
    notes = SyntheticMachine.notes(configuration, vmcoreinfo: text)
    segments = SyntheticMachine.segments(plan, addresses)
  }

  /// The VMCOREINFO text.
  public var vmcoreinfo: String {
    notes.last.map { String(decoding: $0.descriptor, as: UTF8.self) } ?? ""
  }

  /// The zones that have memory.
  public var zones: [SyntheticZone] { plan.zones }

  // MARK: memory

  public func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    var done = 0
    while done < buffer.count {
      let here = address.rawValue + UInt64(done)
      let frame = here / 4096
      guard plan.isDumped(frame) else { throw DumpError("physical address \(hex(here)) is not in the dump", at: name) }
      let within = Int(here % 4096)
      let count = min(buffer.count - done, 4096 - within)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
      if count == 4096, Int(bitPattern: part.baseAddress) % 8 == 0 {
        fill(frame, part.bindMemory(to: UInt64.self))
      } else {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 512) { page in
          fill(frame, page)
          part.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(page)[within..<within + count]))
        }
      }
      done += count
    }
  }

  /// The 512 words of a page.
  private func fill(_ frame: UInt64, _ words: UnsafeMutableBufferPointer<UInt64>) {
    guard let start = words.baseAddress else { return }
    if let bytes = structures.bytes.pages[frame] {
      bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(words).copyMemory(from: $0) }
    } else if let map = plan.section(mappedAt: frame * 4096) {
      fillPageMap(map.section * MachinePlan.sectionPages + map.offset / 64, start)
    } else if structures.smallMapTables.contains(frame * 4096) {
      fillSmallMap((frame * 4096 - structures.smallMapTables.lowerBound) / 4096, words)
    } else {
      words.update(repeating: 0)
      let noise = SeededRandom.mix(frame ^ configuration.seed << 40)
      // One page in eight is zero, the others begin with eight words of noise.
      if noise & 7 != 0 { for index in 0..<8 { start[index] = SeededRandom.mix(noise &+ UInt64(index)) } }
    }
  }

  /// 64 struct pages, from `first` on; `first` is a multiple of 64.
  private func fillPageMap(_ first: UInt64, _ words: StructPageWriter.Words) {
    let place = blockPlace(first / UInt64(BlockPattern.pages))
    let location = writer.location(first, place.zone)
    guard let entries = place.pattern?.entries else {
      for offset in 0..<64 {
        let frame = first + UInt64(offset)
        writer.write(frame, place.uniformPage(frame), location: location, links: nil, to: words + offset * 8)
      }
      return
    }
    let start = Int(first % UInt64(BlockPattern.pages))
    for offset in 0..<64 {
      let frame = first + UInt64(offset)
      let page = entries[start + offset]
      let isFreeHead = page.kind == .buddy && page.index == 0
      let links =
        isFreeHead
        ? links(frame, page, place)
        : place.pattern?.neighbours(start + offset).map { next, previous in
          let block = first - UInt64(start)
          return (plan.listAddress(block + UInt64(next), addresses), plan.listAddress(block + UInt64(previous), addresses))
        }
      writer.write(frame, page, location: location, links: links, to: words + offset * 8)
    }
  }

  /// The table of 4 KiB pages that maps the `number`th section's page map.
  private func fillSmallMap(_ number: UInt64, _ words: UnsafeMutableBufferPointer<UInt64>) {
    words.update(repeating: 0)
    let leaves = PageTableWriter(addresses)
    guard let run = plan.sections.first(where: { number >= $0.before && number - $0.before < UInt64($0.sections.count) })
    else { return }
    let section = run.sections.lowerBound + number - run.before
    guard plan.hasSmallMap(section) else { return }
    for index in words.indices {
      words[index] = plan.mapPage(ofSection: section, UInt64(index)).map(leaves.smallLeaf) ?? 0
    }
  }

  /// Next and previous in the free list; the ends are the list head in the zone.
  private func links(_ frame: UInt64, _ page: SyntheticPage, _ place: BlockPlace) -> (UInt64, UInt64)? {
    guard let zone = place.zone, let pattern = place.pattern else { return nil }
    let list = BlockPattern.list(page)
    let index = Int(pattern.place[Int(frame % UInt64(BlockPattern.pages))])
    let head = listHead(zone, order: Int(page.order), migrateType: Int(page.migrateType))
    return (
      zone.headAfter(list, place.position, place: index).map { plan.listAddress($0, addresses) } ?? head,
      zone.headBefore(list, place.position, place: index).map { plan.listAddress($0, addresses) } ?? head
    )
  }

  /// The virtual address of a free list's head.
  public func listHead(_ zone: SyntheticZone, order: Int, migrateType: Int) -> UInt64 {
    addresses.direct(structures.nodes[zone.node])
      + UInt64(layout.listHead(zone: zone.type, order: order, migrateType: migrateType))
  }

  /// The virtual address of a struct page.
  public func pageAddress(_ frame: PageFrame) -> VirtualAddress {
    VirtualAddress(plan.pageAddress(frame.rawValue, addresses))
  }

  // MARK: headers

  private static func notes(_ configuration: SyntheticMachineConfiguration, vmcoreinfo: String) -> [DumpNote] {
    let status = (0..<configuration.cpus).map { cpu in
      var descriptor = [UInt8](repeating: 0, count: configuration.architecture.prstatusSize)
      // pr_pid of struct elf_prstatus; the first CPU ran process 1000, the others idled.
      if cpu == 0 { (descriptor[32], descriptor[33]) = (0xe8, 0x03) }
      return DumpNote(name: "CORE", type: 1, descriptor: descriptor)
    }
    return status + [DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array(vmcoreinfo.utf8))]
  }

  /// As /proc/vmcore has them: the kernel's text by its own mapping, then memory by the direct map.
  private static func segments(_ plan: MachinePlan, _ addresses: MachineAddresses) -> [MemorySegment] {
    let image = PhysicalRange(start: addresses.imagePhysical, count: MachineAddresses.imageSize)
    let memory = plan.dumped.compactMap { PhysicalRange($0.lowerBound * 4096, $0.upperBound * 4096) }
    var pieces = memory.map { ($0, addresses.direct($0.start)) }
    if let image { pieces.insert((image, addresses.text), at: 0) }
    var offset = dataOffset
    return pieces.map { range, address in
      defer { offset += range.count }
      return MemorySegment(physical: range, virtualAddress: address, flags: 7, fileOffset: offset, fileSize: range.count)
    }
  }
}
