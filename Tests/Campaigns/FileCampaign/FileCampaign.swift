import Capture
import DumpBasics
import DumpSource
import Foundation
import TestSupport

/// What came of mutations of files.
public struct FileTotals: Sendable {
  public var mutations = 0
  /// No memory at all could be had; allowed only where the rules say so.
  public var notOpened = 0
  /// Named, and all memory is right.
  public var namedWithoutLoss = 0
  /// Named, and some pages of the damaged unit are not there or not right.
  public var namedLosses = 0
  /// No finding, and all memory is right: the damage hit nothing that counts.
  public var withoutEffect = 0
  /// No finding, and pages are wrong or missing.
  public var silentLosses = 0
  public var violations: [String] = []
  public var slowest = 0.0

  public init() {}

  public mutating func merge(_ other: FileTotals) {
    mutations += other.mutations
    notOpened += other.notOpened
    namedWithoutLoss += other.namedWithoutLoss
    namedLosses += other.namedLosses
    withoutEffect += other.withoutEffect
    silentLosses += other.silentLosses
    violations += other.violations
    slowest = max(slowest, other.slowest)
  }

  public var row: String {
    "\(mutations) | \(namedWithoutLoss) | \(namedLosses) | \(withoutEffect) | \(notOpened) | \(silentLosses) | \(violations.count)"
  }
}

/// Damages a copy of a file, one mutation at a time, and judges what mcore makes of it.
///
/// The rules: opening neither traps nor takes more than `patience` seconds of a processor. A page that is
/// wrong or missing lies in the damaged unit (a segment whose program header was hit; a block, member or
/// frame in which a byte was hit; what lies behind a cut), and something says so: a finding, or for a plain
/// dump of ours, whose pages have no checksum that reading looks at, `verify`.
public struct FileCampaign {
  public var patience = 10.0
  public var seed: UInt64 = 1
  /// Wrong or missing pages that one word of a program header may cost: those of its segment.
  private let image: FileImage
  private let copy: String
  private let mutator: FileMutator

  /// `directory` gets a copy of the file.
  public init(_ image: FileImage, directory: String, seed: UInt64 = 1) throws {
    self.image = image
    kinds = FileMutation.Kind.allCases.filter { $0.isOfKdump == nil || $0.isOfKdump == (image.kdump != nil) }
    self.seed = seed
    copy = "\(directory)/\(image.name)-\(ProcessInfo.processInfo.processIdentifier)"
    try? FileManager.default.removeItem(atPath: copy)
    // cp keeps holes as holes.
    let cp = Process()
    cp.executableURL = URL(fileURLWithPath: "/bin/cp")
    cp.arguments = ["--sparse=always", image.path, copy]
    try cp.run()
    cp.waitUntilExit()
    mutator = FileMutator(file: image, seed: seed)
  }

  public func removeCopy() { try? FileManager.default.removeItem(atPath: copy) }

  /// The kinds that fit the file: in another format there is nothing that they could damage.
  private let kinds: [FileMutation.Kind]

  /// Mutations `numbers` of the kinds that fit the file.
  public func run(_ numbers: Range<Int>) throws -> [FileMutation.Kind: FileTotals] {
    var totals: [FileMutation.Kind: FileTotals] = [:]
    for number in numbers {
      let kind = kinds[number % kinds.count]
      guard let mutation = mutator.mutation(number, kind) else { continue }
      totals[kind, default: FileTotals()].merge(try judge(mutation))
    }
    return totals
  }

  /// Mutation `number` as JSON: what to write at which offsets of the file, or how much of it stays. Nil
  /// where the kind does not fit the file.
  public func patchLine(_ number: Int) -> String? {
    let kind = kinds[number % kinds.count]
    guard let mutation = mutator.mutation(number, kind) else { return nil }
    let writes = mutation.patches.map { patch in
      [String(patch.offset), patch.bytes.map { String(format: "%02x", $0) }.joined()]
    }
    var line: [String: Any] = ["number": number, "kind": "\(kind)", "text": mutation.description, "writes": writes]
    line["length"] = mutation.length
    return (try? JSONSerialization.data(withJSONObject: line)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Applies one mutation, judges, and takes it back.
  public func judge(_ mutation: FileMutation) throws -> FileTotals {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: copy))
    defer { try? file.close() }
    let before = mutation.patches.map { FileMutation.Patch(offset: $0.offset, bytes: image.bytes($0.offset, $0.bytes.count)) }
    func put(_ patches: [FileMutation.Patch]) throws {
      for patch in patches {
        try file.seek(toOffset: UInt64(patch.offset))
        try file.write(contentsOf: Data(patch.bytes))
      }
    }
    if let length = mutation.length {
      let tail = image.bytes(length, image.size - length)
      try file.truncate(atOffset: UInt64(length))
      defer {
        _ = try? file.seek(toOffset: UInt64(length))
        try? file.write(contentsOf: Data(tail))
      }
      return verdict(mutation)
    }
    try put(mutation.patches)
    defer { try? put(before) }
    return verdict(mutation)
  }

  private func verdict(_ mutation: FileMutation) -> FileTotals {
    let start = clock()
    var totals = judged(mutation)
    // Of the processor: what else the machine does is no fault of mcore.
    totals.slowest = Double(clock() - start) / Double(CLOCKS_PER_SEC)
    if totals.slowest > patience { totals.violations.append("\(image.name), \(mutation): took \(totals.slowest) s") }
    return totals
  }

  private func judged(_ mutation: FileMutation) -> FileTotals {
    var totals = FileTotals()
    totals.mutations = 1
    func violate(_ what: String) { totals.violations.append("\(image.name), \(mutation): \(what)") }
    let source: any DumpSource
    do { source = try openDump(copy) } catch {
      totals.notOpened = 1
      if !mayBeNoDump(mutation) { violate("not opened: \(error)") }
      return totals
    }
    var wrong: [Int] = []
    for (index, page) in image.pages.enumerated() {
      let found = try? source.bytes(at: PhysicalAddress(page.start), count: Int(page.count))
      if found != image.truth[index] { wrong.append(index) }
    }
    var isNamed = !source.findings.isEmpty || source.shortfall != nil
    if !isNamed, !wrong.isEmpty {
      // Reading a damaged block says so itself; a plain file's pages are compared by verify.
      let unread = wrong.filter {
        (try? source.bytes(at: PhysicalAddress(image.pages[$0].start), count: Int(image.pages[$0].count))) == nil
      }
      isNamed =
        unread.count == wrong.count || image.isOurs && (try? verify(copy, threads: 1, QuietReporter()).verdict) == .corrupt
    }
    // A byte of memory in somebody else's plain file has no witness but itself.
    let hasWitness = image.isOurs || image.unit > 4096 || isInHeaders(mutation)
    switch (wrong.isEmpty, isNamed) {
    case (true, true): totals.namedWithoutLoss = 1
    case (true, false): totals.withoutEffect = 1
    case (false, true): totals.namedLosses = 1
    case (false, false): if hasWitness { totals.silentLosses = 1 } else { totals.withoutEffect = 1 }
    }
    if totals.silentLosses > 0 { violate("\(wrong.count) pages lost in silence, first \(image.pages[wrong[0]])") }
    if let outside = wrong.first(where: { !mayLose($0, mutation, wrong) }) {
      let offsets = wrong.map { image.offsets[$0] }
      violate(
        "\(wrong.count) pages lost, \(image.pages[outside]) is not in the damaged unit; they stand at "
          + "\(offsets.min() ?? 0) to \(offsets.max() ?? 0)")
    }
    return totals
  }

  /// Whether two pages are less than eight apart.
  private func isNear(_ one: Int, _ other: Int) -> Bool {
    let (first, second) = (image.pages[one].start, image.pages[other].start)
    return max(first, second) - min(first, second) < 8 * 4096
  }

  private func isInHeaders(_ mutation: FileMutation) -> Bool {
    [.programHeaderBit, .programHeaderWord, .elfHeader, .noteByte, .noteHeader, .prefix].contains(mutation.kind)
      || mutation.patches.allSatisfy { $0.offset + $0.bytes.count <= image.notes.upperBound }
  }

  /// What no program could open: nothing of the start is left, or what says that it is a 64-bit ELF core.
  private func mayBeNoDump(_ mutation: FileMutation) -> Bool {
    if let length = mutation.length {
      return length < image.size && (image.isOurs || length <= Int(image.offsets.min() ?? 0))
        || length < 64 + 56 * image.programHeaders
    }
    if image.kdump != nil {
      // One of its two headers as a whole.
      return mutation.kind == .tornSector && mutation.patches.contains { $0.offset < 8192 }
    }
    if mutation.kind == .tornSector {
      return mutation.patches.contains { $0.offset < max(4096, image.notes.upperBound) } && image.unit == 4096
    }
    // e_ident's class, e_type as that of a program, another machine that Linux has.
    return mutation.patches.allSatisfy { $0.offset < 0x14 } && image.unit == 4096
  }

  /// Whether this page may be lost by this mutation.
  private func mayLose(_ index: Int, _ mutation: FileMutation, _ wrong: [Int]) -> Bool {
    if mutation.length != nil { return true }
    if image.kdump != nil {
      // Nothing for a header. A byte of the bitmap that has as many bits as before moves its own eight pages;
      // a sector of 4096 bytes holds 171 descriptors.
      let limit = mutation.kind == .kdumpHeader ? 0 : mutation.kind == .tornSector ? 171 : 8
      return wrong.count <= limit && (mutation.kind == .tornSector || wrong.allSatisfy { isNear($0, wrong[0]) })
    }
    let offset = image.offsets[index]
    switch mutation.kind {
    case .programHeaderBit, .programHeaderWord:
      // The pages of one stretch of the file: those of one segment.
      guard !image.isOurs, let first = wrong.first, let last = wrong.last else { return !image.isOurs }
      return image.segment(of: first) == image.segment(of: last)
    case .kdumpHeader, .kdumpBitmap, .kdumpDescriptor: return false
    case .elfHeader, .noteByte, .noteHeader:
      // In a compressed file these are bytes of its first block.
      if image.unit == 4096 { return false }
      fallthrough
    case .edgeByte, .anyByte, .tornSector, .prefix:
      if image.unit == 4096 {
        return mutation.patches.contains {
          offset + image.pages[index].count > UInt64($0.offset) && offset < UInt64($0.offset + $0.bytes.count)
        }
          || mutation.patches.contains { $0.offset < image.notes.upperBound } && !image.isOurs
      }
      // A compressed file: what one damaged member or frame holds; two where a sector lies across a border.
      guard let first = wrong.map({ image.offsets[$0] }).min(), let last = wrong.map({ image.offsets[$0] }).max() else {
        return true
      }
      let members = 2 + mutation.patches.reduce(0) { $0 + $1.bytes.count / 64 }
      return last - first < UInt64(members * image.unit)
    }
  }
}
