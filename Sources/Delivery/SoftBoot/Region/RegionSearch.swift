public import DumpBasics

/// Finds the region in memory. `windows` are where it may lie: those of the command line, or every place that
/// a scan has to look at. All that is read is a claim.
public func findRegion(
  _ memory: any RegionMemory, in windows: [PhysicalRange], expecting: RegionExpectation
) throws(DumpError) -> Region {
  let search = RegionSearch(memory, windows)
  let heads = search.heads
  var refusal: DumpError?
  var accepted: [RegionHead] = []
  for head in heads.found {
    do throws(DumpError) {
      try expecting.check(head.identity, at: "\(memory.name), \(head.extents.ranges[0])")
      accepted.append(head)
    } catch { refusal = refusal ?? error }
  }
  if let head = newest(accepted) { return search.region(head, others: accepted) }
  if let refusal { throw refusal }
  // Whether it is damaged can't be known, so nothing is made of its parts.
  if let foreign = heads.foreign { throw foreign }
  if let region = try search.rebuiltFromTables(expecting) { return region }
  // Blocks say nothing of the boot they are from: they are taken only where the region was said to be.
  if !expecting.isFoundByScan, let region = search.rebuiltFromBlocks() { return region }
  throw heads.damage
    ?? DumpError("no region is here", at: windows.first.map { "\(memory.name), \($0)" } ?? memory.name)
}

/// Whether anything lies there that looks like a region: at most boots there is nothing. Throws where the
/// memory can't be had.
public func holdsRegion(_ memory: any RegionMemory, _ windows: [PhysicalRange]) throws(DumpError) -> Bool {
  guard let first = windows.first else { return false }
  _ = try memory.bytes(at: first.start, count: RegionLayout.headSize)
  let search = RegionSearch(memory, windows)
  let heads = search.heads
  return !heads.found.isEmpty || heads.foreign != nil || heads.damage != nil || search.holdsTable
}

/// Of several dumps the one that was not saved, the latest crash; of its heads the latest.
private func newest(_ heads: [RegionHead]) -> RegionHead? {
  let latest = heads.filter { head in
    !heads.contains { $0.dumpID == head.dumpID && $0.generation > head.generation }
  }
  return latest.max { a, b in
    (a.state == .saved ? 0 : 1, a.identity.crashTime, a.generation)
      < (b.state == .saved ? 0 : 1, b.identity.crashTime, b.generation)
  }
}

struct RegionSearch {
  struct Heads {
    var found: [RegionHead] = []
    /// Of another version.
    var foreign: DumpError?
    /// The first that is damaged.
    var damage: DumpError?
  }

  let memory: any RegionMemory
  /// Every place in the windows where a unit may lie, ascending.
  let places: [UInt64]
  private(set) var heads = Heads()
  private var findings: [String] = []

  init(_ memory: any RegionMemory, _ windows: [PhysicalRange]) {
    self.memory = memory
    var places: [UInt64] = []
    for window in RangeSet.joined(windows) where window.end <= 1 << 52 {
      var place = (window.start + RegionLayout.unitSize - 1) & ~(RegionLayout.unitSize - 1)
      while place + RegionLayout.unitSize <= window.end, places.count < Int(RegionExtents.unitLimit) {
        places.append(place)
        place += RegionLayout.unitSize
      }
    }
    self.places = places
    for place in places { for offset in [0, RegionLayout.secondHeadOffset] { look(place + offset) } }
  }

  private mutating func look(_ address: UInt64) {
    let place = "\(memory.name), \(hex(address))"
    // Most places hold none: the first bytes tell.
    guard let start = try? memory.bytes(at: address, count: RegionHead.magic.count), start == RegionHead.magic,
      let bytes = try? memory.bytes(at: address, count: RegionLayout.headSize)
    else { return }
    do throws(DumpError) {
      guard let head = try RegionHead(bytes, at: place) else { return }
      if head.extents.headAddress(head.generation) == address {
        heads.found.append(head)
      } else {
        let error = DumpError("a region's head says that it lies elsewhere: it is of other memory", at: place)
        heads.damage = heads.damage ?? error
        findings.append(error.description)
      }
    } catch {
      if error.kind == .unsupported { heads.foreign = heads.foreign ?? error } else { heads.damage = heads.damage ?? error }
      findings.append(error.description)
    }
  }

  func region(_ head: RegionHead, others: [RegionHead]) -> Region {
    var findings = self.findings
    let dumps = Set(others.filter { $0.state != .saved }.map(\.dumpID)).subtracting([head.dumpID])
    if !dumps.isEmpty { findings.append("\(dumps.count) more dumps that were not saved lie in this memory") }
    let units = (0..<head.extents.units).map { unit -> UInt64? in
      let address = head.extents.address(ofUnit: unit)
      return isThere(address) ? address : nil
    }
    return Region(memory, head, units, .head, findings)
  }

  private func isThere(_ place: UInt64) -> Bool {
    let index = places.partitionPoint { $0 < place }
    return index < places.count && places[index] == place
  }

  // MARK: without heads

  var holdsTable: Bool {
    places.contains { place in
      (try? memory.bytes(at: place + RegionLayout.tableOffset, count: UnitTable.headerSize)).flatMap { UnitTable($0) } != nil
    }
  }

  /// Of the units of several dumps, those of the latest crash.
  func rebuiltFromTables(_ expecting: RegionExpectation) throws(DumpError) -> Region? {
    var refusal: DumpError?
    var tables: [(place: UInt64, table: UnitTable)] = []
    for place in places {
      guard let bytes = try? memory.bytes(at: place + RegionLayout.tableOffset, count: UnitTable.headerSize),
        let table = UnitTable(bytes)
      else { continue }
      do throws(DumpError) {
        try expecting.check(table.identity, at: "\(memory.name), \(hex(place))")
        tables.append((place, table))
      } catch { refusal = refusal ?? error }
    }
    guard let latest = tables.max(by: { $0.table.identity.crashTime < $1.table.identity.crashTime })?.table else {
      if let refusal { throw refusal }
      return nil
    }
    tables = tables.filter { $0.table.dumpID == latest.dumpID }
    var units = [UInt64?](repeating: nil, count: Int(tables.map(\.table.unit).max() ?? 0) + 1)
    for (place, table) in tables { units[Int(table.unit)] = place }
    guard var head = placeholder() else { return nil }
    head.dumpID = latest.dumpID
    head.identity = latest.identity
    let note = "both heads of the region are gone: it is put together from the tables of \(tables.count) units"
    return Region(memory, head, units, .tables, findings + [note])
  }

  /// A head in place of one that is lost: it claims nothing but memory.
  private func placeholder() -> RegionHead? {
    guard let first = places.first, let range = PhysicalRange(start: first, count: RegionLayout.unitSize),
      let extents = try? RegionExtents([range])
    else { return nil }
    return RegionHead(extents)
  }

  func rebuiltFromBlocks() -> Region? {
    guard let first = places.firstIndex(where: { BlockWalk.begins(memory, $0) }), let head = placeholder() else { return nil }
    let units = places[first...].map { Optional($0) }
    let blocks = BlockWalk(memory, units).goodRanges()
    if blocks.isEmpty { return nil }
    let note =
      "the directory of the region is gone: this is what its compressed blocks hold, and nothing proves that they are all "
      + "of one dump"
    return Region(memory, head, units, blocks: blocks, findings + [note])
  }
}
