import CrashedKernel
import DumpBasics
import DumpSource
public import PageClasses
import PageSelection
public import TestSupport

/// What became of a dump by one mutation. docs/verification.md defines the words.
public struct Judgement: Sendable {
  public let mutation: Mutation
  /// Checks that failed more often than on the undamaged dump.
  public var fired: [Check] = []
  /// Findings that the undamaged dump does not have.
  public var findings: [String] = []
  /// Pages in use that are left out.
  public var lost: UInt64 = 0
  /// By what they became.
  public var lostAs: [PageClass: UInt64] = [:]
  /// Those of them that no finding covers.
  public var silent: [Range<UInt64>] = []
  /// Pages that were left out at level kern and are kept now.
  public var extraKept: UInt64 = 0
  /// Pages that have another class than before.
  public var changed: UInt64 = 0
  /// For damage to one word that should cost no more than a section or zone: what it cost beyond.
  public var beyond: [Range<UInt64>] = []
  public var isBounded = false
  /// Rules that were broken, in words.
  public var violations: [String] = []
  public var seconds = 0.0
  /// Whether a whole dump was written and read again.
  public var wroteDump = false

  public var isDetected: Bool { !fired.isEmpty || !findings.isEmpty }
}

extension CampaignImage {
  /// Damages the dump, classifies it, selects by it, and compares.
  public func judge(_ mutation: Mutation) -> Judgement {
    var result = Judgement(mutation: mutation)
    let clock = ContinuousClock()
    let started = clock.now
    let damaged = MutatedSource(source, mutation)
    let (kernel, found) = CampaignImage.classify(damaged)
    for level in [Level.kern, .used] {
      let selection = PageSelection(
        level, damaged, witnesses: kernel.memory?.touchedPages ?? [], classes: found, pageSize: kernel.pageSize)
      if let problem = misses(selection) { result.violations.append("level \(level): \(problem)") }
    }
    result.seconds = (clock.now - started) / .seconds(1)

    result.fired = Check.allCases.filter { found[$0].failed > classes[$0].failed }
    var covered: [Range<UInt64>] = []
    for (finding, frames) in zip(found.findings, found.findingFrames) where !knownFindings.contains(finding.description) {
      result.findings.append(finding.description)
      covered.append(frames)
    }
    // What is wrong with VMCOREINFO or with the way to the kernel's memory is said of all pages.
    for finding in kernel.findings where !knownFindings.contains(finding.description) {
      result.findings.append(finding.description)
      covered.append(0..<UInt64.max)
    }
    compare(changes(from: classes.runs, to: found.runs), covered, &result)
    if found.runs.packedBytes > ClassRuns.byteLimit(pages: pages) {
      result.violations.append("\(found.runs.packedBytes) bytes of runs")
    }
    if found.counts.total != pages { result.violations.append("\(found.counts.total) pages of \(pages) have a class") }
    return result
  }

  func compare(_ changes: [ClassChange], _ covered: [Range<UInt64>], _ result: inout Judgement) {
    var lost: [Range<UInt64>] = []
    var extra: [Range<UInt64>] = []
    for change in changes {
      result.changed += UInt64(change.range.count)
      let isLost =
        change.before == .kernel && change.after != .kernel || change.before.isInUse && !change.after.isInUse
      if isLost {
        lost.append(change.range)
        result.lostAs[change.after, default: 0] += UInt64(change.range.count)
      }
      if change.after == .kernel { extra.append(change.range) }
    }
    result.lost = FrameRanges.count(lost)
    result.silent = FrameRanges.subtracting(covered, from: lost)
    result.extraKept = FrameRanges.count(extra)
    if let allowed = allowed(result.mutation) {
      result.isBounded = true
      result.beyond = FrameRanges.subtracting(allowed, from: extra)
    }
  }

  /// Section and zone that damage to one word may cost; nil where the word stands for more than that by what
  /// it is: a root of mem_section, a node, a page-table entry, a key.
  private func allowed(_ mutation: Mutation) -> [Range<UInt64>]? {
    guard mutation.isOneWord else { return nil }
    let place = mutation.place
    switch mutation.kind {
    case .sectionTable, .unmappedSection:
      guard let section = place.section, !mutation.text.hasPrefix("mapping") else { return nil }
      // Of two sections with one map nobody knows whose it is.
      return [section, place.otherSection ?? section].map { $0 << sectionShift..<($0 + 1) << sectionShift }
        .flatMap { [$0] + mutator.zoneFrames(of: $0) }
    case .structPage, .plausiblePage:
      guard let frame = place.frame, let section = place.section else { return nil }
      return [section << sectionShift..<(section + 1) << sectionShift] + mutator.zoneFrames(of: frame..<frame + 1)
    case .freeListLink, .freeListHead, .freeListLoop, .zoneField:
      guard let node = place.node, let zone = place.zone else { return nil }
      return mutator.frames(node: node, zone: zone)
    default: return nil
    }
  }

  /// Whether kept and left out are all of the dump, once.
  private func misses(_ selection: PageSelection) -> String? {
    let ranges = (selection.kept.map(\.range) + selection.absent.map(\.range)).sorted { $0.start < $1.start }
    let bytes = ranges.reduce(UInt64(0)) { $0 + $1.count }
    let joined = RangeSet.joined(ranges)
    let all = RangeSet.joined(source.coverage().map(\.range))
    return joined == all && bytes == all.reduce(0) { $0 + $1.count } ? nil : "kept and left out are not all memory, once"
  }
}

extension PageClass {
  /// Kept at level `used`.
  var isInUse: Bool { [.kernel, .user, .cache, .cachePrivate].contains(self) }
}
