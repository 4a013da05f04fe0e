public import CrashedKernel
public import DumpBasics
internal import DumpSource

/// The memory without which the rest of a dump can't be read: pass 2. docs/passes.md says how each part is
/// found, and what the crash utility reads of it.
///
/// It only decides the order of the dump, so it may hold too much, and where the kernel is damaged it holds
/// less.
public struct KernelCore: Sendable {
  /// The parts, in the order of need.
  public enum Part: UInt8, Sendable, CaseIterable {
    /// What the page tables map outside of the direct map (kernel image, modules, vmalloc with the stacks),
    /// the tables themselves, per-CPU areas, `mem_section`, the nodes.
    case base
    /// Tasks and all other objects.
    case slab
    /// `struct page`s: large, and needed by few.
    case pageMap
  }
  /// By part.
  private var blocks = [BlockSet](repeating: BlockSet(), count: Part.allCases.count)
  private let map: [PhysicalRange]
  private let frames: [Range<UInt64>]
  /// Frames that may still be put in: many mappings of one large piece of memory must not cost hours.
  private var allowance: UInt64
  /// What could not be looked at, if anything.
  public private(set) var finding: DumpError?

  /// `classes` tells which pages are slab; without it the other parts are found.
  public init(_ kernel: CrashedKernel, _ classes: PageClassification?) {
    frames = framesOf(kernel)
    allowance = 4 * frames.reduce(0) { $0 + UInt64($1.count) } + 1 << 20
    map = classes?.map ?? []
    if let classes { blocks[Int(Part.slab.rawValue)] = classes.slab }
    guard let info = kernel.vmcoreinfo, let memory = kernel.memory?.separate(recording: true) else { return }
    let direct = readStructures(info, memory)
    let space = AddressSpace(
      info, memory, inDirectMap: direct, probes: probes(frames, kernel.pageSize),
      memoryEnd: (frames.last?.upperBound ?? 0) << kernel.pageSize.shift)
    insertStacks(kernel, memory)
    insertProcessorUnits(info, memory.separate(recording: false), kernel.pageSize)
    for page in memory.touchedPages { insert(page.rawValue..<page.rawValue + 1) }
    walk(memory, space, kernel.pageSize)
  }

  /// Calls `body` for each stretch of `range` with the part that it is of, or nil; ascending.
  public func forEach(in range: PhysicalRange, _ pageSize: PageSize, _ body: (PhysicalRange, Part?) -> Void) {
    var start = range.start
    var part = part(of: start >> pageSize.shift)
    var cursor = start
    let shift = pageSize.shift + BlockSet.blockShift
    while cursor < range.end {
      let (next, overflow) = ((cursor >> shift) + 1).multipliedReportingOverflow(by: 1 << shift)
      cursor = overflow ? range.end : min(range.end, next)
      let following = cursor < range.end ? self.part(of: cursor >> pageSize.shift) : nil
      if cursor == range.end || following != part {
        if let stretch = PhysicalRange(start, cursor) { body(stretch, part) }
        start = cursor
        part = following
      }
    }
  }

  private func part(of frame: UInt64) -> Part? {
    Part.allCases.first { blocks[Int($0.rawValue)].contains(frame) }
  }

  // MARK: The parts

  /// Of `pages`, those that the dump has.
  private mutating func insert(_ pages: Range<UInt64>, _ destination: Part = .base) {
    for piece in frames[frames.partitionPoint { $0.upperBound <= pages.lowerBound }...] {
      if piece.lowerBound >= pages.upperBound || allowance == 0 { return }
      let part = piece.clamped(to: pages)
      allowance -= min(allowance, UInt64(part.count))
      blocks[Int(destination.rawValue)].insert(part)
    }
  }

  /// Reads `mem_section` and the nodes, so that `memory` remembers their pages and the page tables on the
  /// way. Returns addresses that lie in the direct map.
  private func readStructures(_ info: VMCoreInfo, _ memory: KernelMemory) -> [VirtualAddress] {
    var direct: [VirtualAddress] = []
    // SPARSEMEM_EXTREME: pointers to pages full of sections. A plain table is a part of the kernel's image.
    let rootLimit: UInt64 = 1 << 17  // 2^52 bytes of memory
    if let table = info.symbol("mem_section"), let count = info.length("mem_section"), count <= rootLimit,
      let bytes = try? memory.read(table, count: Int(count) * 8)
    {
      direct.append(table)
      let roots = ByteReader(bytes, memory.byteOrder)
      for index in 0..<Int(count) {
        if let root = roots.u64(index * 8), root >> 63 == 1 { _ = try? memory.read(VirtualAddress(root), count: 4096) }
      }
    }
    if let table = try? NodeTable(info, memory.separate(recording: false)), let layout = try? ZoneLayout(info, table),
      let nodes = try? table.addresses(layout.maxNodes, memory)
    {
      for node in nodes where node.rawValue >> 63 == 1 {
        direct.append(node)
        _ = try? memory.read(node, count: info.size("pglist_data") ?? 4096)
      }
    }
    return direct
  }

  /// Around the stack pointer of every CPU. Most kernels map stacks, so that the page tables lead to all of
  /// them (CONFIG_VMAP_STACK); where they don't, these are the ones that can be found.
  private func insertStacks(_ kernel: CrashedKernel, _ memory: KernelMemory) {
    let architecture = kernel.source.identity.architecture
    for note in kernel.source.notes where note.isProcessorStatus {
      let registers = ByteReader(note.descriptor, kernel.source.identity.byteOrder)
      guard let pointer = registers.u64(architecture.prstatusStackPointerOffset), pointer >> 63 == 1 else { continue }
      let base = pointer & ~(architecture.kernelStackSize - 1)
      for offset in stride(from: 0, to: architecture.kernelStackSize, by: Int(kernel.pageSize.bytes)) {
        _ = try? memory.u64(VirtualAddress(base + offset))
      }
    }
  }

  /// The first chunk of per-CPU memory, which lies in the direct map: a unit for each CPU, from
  /// `__per_cpu_start` on, moved by `__per_cpu_offset` (mm/percpu.c). By kallsyms, where that knows
  /// variables.
  private mutating func insertProcessorUnits(_ info: VMCoreInfo, _ memory: KernelMemory, _ pageSize: PageSize) {
    let symbols = KernelSymbols.find(["__per_cpu_offset", "__per_cpu_start", "pcpu_unit_size", "nr_cpu_ids"], info, memory)
    func word(_ name: String) -> UInt32? { symbols[name].flatMap { try? memory.u32($0) } }
    guard let offsets = symbols["__per_cpu_offset"], let start = symbols["__per_cpu_start"], let count = word("nr_cpu_ids"),
      (1...ProcessorCensus.limit).contains(count)
    else { return }
    let size = word("pcpu_unit_size").flatMap { (4 << 10...4 << 20).contains($0) ? UInt64($0) : nil } ?? 1 << 20
    for cpu in 0..<Int(count) {
      guard let unit = try? memory.processorCopy(of: start.rawValue, cpu: cpu, offsets) else { return }
      for offset in stride(from: 0, to: size, by: Int(pageSize.bytes)) {
        guard let page = unit.advanced(by: offset), let place = try? memory.translate(page) else { break }
        let frame = place.rawValue >> pageSize.shift
        insert(frame..<frame + 1)
      }
    }
  }

  /// The page tables, and all that they map outside of the direct map: kernel image, modules, vmalloc (stacks
  /// among it), the page map, per-CPU memory.
  private mutating func walk(_ memory: KernelMemory, _ space: AddressSpace, _ pageSize: PageSize) {
    guard var walk = memory.pageTableWalk else { return }
    var core = self
    let map = self.map
    func pages(_ range: PhysicalRange) -> Range<UInt64> { range.start >> pageSize.shift..<(range.end - 1) >> pageSize.shift + 1 }
    walk.run(isDirect: { address, bytes in
      space.directKnown && space.isDirect(address) && space.isDirect(address &+ (bytes - 1))
    }) { found in
      switch found {
      case .table(let table): core.insert(pages(table))
      case .memory(let range, let address, let isProcessorPage):
        // Where the direct map was not found, only the image is known to be something else.
        if space.directKnown ? space.isDirect(address) : !space.isImage(address) { break }
        for rest in RangeSet.subtracting(map, from: range) { core.insert(pages(rest)) }
        for part in RangeSet.overlapping(map, range) {
          if let part = part.intersection(range) { core.insert(pages(part), .pageMap) }
        }
        if isProcessorPage { core.insertProcessorArea(range.start >> pageSize.shift, pageSize) }
      }
      return core.allowance > 0
    }
    self = core
    if walk.isCutShort || allowance == 0 || walk.unreadable > 0 {
      finding = DumpError(
        walk.unreadable > 0 ? "\(walk.unreadable) page tables can't be read" : "the page tables map more than there can be",
        at: "page tables", advice: "some memory of the kernel's stands later in the dump")
    }
  }

  /// The per-CPU area around one of its pages. What the processor needs on entry (descriptor table, task
  /// state, exception stacks) stands at the beginning of each CPU's area, which has less than 1 MiB; nothing
  /// in VMCOREINFO leads there.
  private mutating func insertProcessorArea(_ frame: UInt64, _ pageSize: PageSize) {
    let before: UInt64 = (64 << 10) >> pageSize.shift
    insert(frame - min(frame, before)..<frame + (1 << 20) >> pageSize.shift)
  }
}

/// Page frames of the dump, ascending, disjoint. A frame that the dump has a part of is whole here.
/// `withData`: without those that are zeros by the word of a header alone.
func framesOf(_ kernel: CrashedKernel, withData: Bool = false) -> [Range<UInt64>] {
  let size = kernel.pageSize
  let pieces = RangeSet.joined(
    kernel.source.coverage().compactMap { piece in
      if withData, piece.kind == .zeros { return nil }
      return size.ceil(piece.range.end).flatMap { PhysicalRange(size.floor(piece.range.start), $0) }
    })
  return pieces.map { $0.start >> size.shift..<$0.end >> size.shift }
}

/// Physical addresses in the middle of the first and of the last pieces of memory.
func probes(_ frames: [Range<UInt64>], _ pageSize: PageSize) -> [UInt64] {
  (frames.prefix(4) + frames.suffix(4)).map { ($0.lowerBound + UInt64($0.count) / 2) << pageSize.shift }
}
