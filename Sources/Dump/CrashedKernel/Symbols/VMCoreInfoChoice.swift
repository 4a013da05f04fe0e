internal import DumpBasics
internal import DumpSource

/// Which VMCOREINFO is the crashed kernel's.
///
/// A dump has one note of it, mostly. QEMU's dumps can have two (the crash kernel's own beside the crashed
/// one's), or none without a vmcoreinfo device; a damaged note header hides it. Several are judged by how
/// well they fit the memory. Where no note fits, the kernel's own copies are looked for in memory:
/// `vmcoreinfo_data`, text from the start of a page, and `vmcoreinfo_note`, a note from the start of a page
/// (kernel/vmcore_info.c).
struct VMCoreInfoChoice {
  let info: VMCoreInfo?
  /// The notes of the dump, with the chosen VMCOREINFO before any other.
  let notes: [DumpNote]
  let findings: [DumpError]

  /// How well one fits: more is better.
  private enum Fit: Int, Comparable {
    case empty, readable, translates, proved
    static func < (left: Fit, right: Fit) -> Bool { left.rawValue < right.rawValue }
  }

  /// Copies in memory that are looked at before the search ends.
  private static let candidateLimit = 16
  private static let chunk: UInt64 = 1 << 16
  private static let page: UInt64 = 4096
  /// Memory that is looked through: some ten seconds.
  private static let searchLimit: UInt64 = 64 << 30
  /// VMCOREINFO_BYTES is a page; of 64 KiB at most.
  private static let textLimit = 1 << 16

  init(_ source: any DumpSource, given: VMCoreInfo?) {
    if let given {
      info = given
      notes = VMCoreInfoChoice.notes(source, with: given)
      findings = []
      return
    }
    let stated = source.notes.filter(\.isVMCoreInfo).map { VMCoreInfo($0.descriptor) }
    // The usual case costs nothing.
    if stated.count == 1, !stated[0].isEmpty, VMCoreInfoChoice.fit(stated[0], source) >= .translates || source.metadata != nil {
      (info, notes, findings) = (stated[0], source.notes, [])
      return
    }
    let best = VMCoreInfoChoice.best(stated, source)
    if let best, best.fit >= .translates {
      info = best.info
      notes = best.index == 0 ? source.notes : VMCoreInfoChoice.notes(source, with: best.info)
      findings =
        best.index == 0
        ? []
        : [
          DumpError(
            "\(stated.count) VMCOREINFO notes: number \(best.index + 1), of \(printable(best.info.osRelease ?? "an unknown kernel")), fits the memory",
            at: source.name, advice: "it is taken")
        ]
      return
    }
    // A dump of ours says what it knows, and has no more. A note that leads to page tables is the kernel's,
    // and the tables are what is damaged.
    if source.metadata == nil, !stated.contains(where: VMCoreInfoChoice.leadsToTables),
      let found = VMCoreInfoChoice.inMemory(source)
    {
      info = found.info
      notes = VMCoreInfoChoice.notes(source, with: found.info)
      findings = [
        DumpError(
          "no VMCOREINFO note that fits the memory: the kernel's own copy at \(hex(found.address)) is taken", at: source.name)
      ]
      return
    }
    info = best?.info
    notes = source.notes
    findings = []
  }

  /// The candidate that fits best, the first of several; nil where all are empty.
  private static func best(_ candidates: [VMCoreInfo], _ source: any DumpSource) -> (info: VMCoreInfo, index: Int, fit: Fit)? {
    var best: (info: VMCoreInfo, index: Int, fit: Fit)?
    for (index, candidate) in candidates.enumerated() {
      let fit = fit(candidate, source)
      if fit > best?.fit ?? .empty { best = (candidate, index, fit) }
    }
    return best
  }

  private static func fit(_ info: VMCoreInfo, _ source: any DumpSource) -> Fit {
    if info.isEmpty { return .empty }
    let pageSize = (try? info.pageSize(source.identity.architecture)) ?? source.identity.architecture.defaultPageSize
    guard leadsToTables(info), let memory = try? KernelMemory(source, info, pageSize: pageSize),
      memory.findings.isEmpty
    else { return .readable }
    return CrashedKernel.ownRelease(info, memory) == info.osRelease && info.osRelease != nil ? .proved : .translates
  }

  private static func leadsToTables(_ info: VMCoreInfo) -> Bool {
    info.osRelease != nil
      && (info.symbol("init_top_pgt") ?? info.symbol("init_level4_pgt") ?? info.symbol("swapper_pg_dir")) != nil
  }

  /// The notes of `source` with this VMCOREINFO in the place of the first one; others follow.
  private static func notes(_ source: any DumpSource, with info: VMCoreInfo) -> [DumpNote] {
    let own = DumpNote(name: "VMCOREINFO", type: 0, descriptor: info.text)
    var notes = source.notes.filter { !($0.isVMCoreInfo && VMCoreInfo($0.descriptor).text == info.text) }
    notes.insert(
      own, at: notes.firstIndex(where: \.isVMCoreInfo) ?? notes.lastIndex(where: \.isProcessorStatus).map { $0 + 1 } ?? 0)
    return notes
  }

  // MARK: in memory

  /// What was found in memory so far.
  private struct Search {
    let source: any DumpSource
    var best: (info: VMCoreInfo, address: UInt64, fit: Fit)?
    var candidates = 0
    var isOver: Bool { best?.fit == .proved || candidates >= candidateLimit }

    /// Looks at each page that begins in `bytes`, which lie at `start`.
    mutating func look(_ bytes: [UInt8], at start: UInt64) {
      // Pages of every size begin at multiples of the smallest.
      var offset = Int((VMCoreInfoChoice.page - start % VMCoreInfoChoice.page) % VMCoreInfoChoice.page)
      while offset + 64 < bytes.count, !isOver {
        if let text = VMCoreInfoChoice.text(bytes, offset) { take(at: start + UInt64(offset), text) }
        offset += Int(VMCoreInfoChoice.page)
      }
    }

    private mutating func take(at address: UInt64, _ text: Int) {
      let place = PhysicalAddress(address)
      guard let whole = (try? source.bytes(at: place, count: textLimit)) ?? (try? source.bytes(at: place, count: Int(page)))
      else { return }
      candidates += 1
      let info = VMCoreInfo(Array(whole[text...].prefix { $0 != 0 }))
      let fit = VMCoreInfoChoice.fit(info, source)
      if info.osRelease != nil, fit > best?.fit ?? .empty { best = (info, address, fit) }
    }
  }

  private static func inMemory(_ source: any DumpSource) -> (info: VMCoreInfo, address: UInt64)? {
    var search = Search(source: source)
    var left = searchLimit
    for piece in source.coverage() {
      guard case .data = piece.kind else { continue }
      var start = piece.range.start
      while start < piece.range.end, !search.isOver, left > 0 {
        let end = min(piece.range.end, (start / chunk + 1) * chunk)
        if let bytes = try? source.bytes(at: PhysicalAddress(start), count: Int(end - start)) {
          search.look(bytes, at: start)
        } else {
          // A page that can't be read costs itself alone.
          for page in stride(from: start, to: end, by: Int(page)) {
            let count = Int(min(end - page, VMCoreInfoChoice.page))
            if let bytes = try? source.bytes(at: PhysicalAddress(page), count: count) { search.look(bytes, at: page) }
          }
        }
        left -= min(left, end - start)
        start = end
      }
    }
    return search.best.map { ($0.info, $0.address) }
  }

  /// Where VMCOREINFO's text begins, if a copy of it begins at `offset`, relative to that.
  private static func text(_ bytes: [UInt8], _ offset: Int) -> Int? {
    let key = Array("OSRELEASE=".utf8)
    if bytes[offset..<offset + key.count].elementsEqual(key) { return 0 }
    // A note's header: 11 bytes of name, a descriptor, type 0; the name padded to 12.
    let name = Array("VMCOREINFO\0".utf8)
    guard bytes[offset + 12..<offset + 12 + name.count].elementsEqual(name),
      bytes[offset + 24..<offset + 24 + key.count].elementsEqual(key)
    else { return nil }
    return 24
  }
}
