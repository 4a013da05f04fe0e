public import PageClasses
public import TestSupport

/// The sum of many judgements; the order in which they came does not matter.
public struct CampaignTotals: Sendable {
  public struct Kind: Sendable {
    public var mutations = 0
    /// Some check failed, or something else was reported.
    public var detected = 0
    /// Nothing was reported, and no page has another class.
    public var harmless = 0
    /// Nothing was reported, and some pages have another class; none in use is left out.
    public var tolerated = 0
    /// Pages in use are left out, and it is reported.
    public var reportedLosses = 0
    public var silentLosses = 0
    /// Pages kept in consequence, for each mutation.
    public var extraKept: [UInt64] = []
    /// Of those that damaged one word and may cost its section or zone.
    public var bounded = 0
  }
  public var kinds: [Mutation.Kind: Kind] = [:]
  /// Mutations in which a check failed more often than on the undamaged dump.
  public var fired: [Check: Int] = [:]
  public var mutations = 0
  /// Drawn in vain: nothing of that kind hits anything in this image.
  public var notDrawn = 0
  public var dumpsWritten = 0
  public var lostPages: UInt64 = 0
  public var silentPages: UInt64 = 0
  public var slowest = 0.0
  /// What must not be, in words; at most `limit`.
  public var violations: [String] = []
  /// Pages in use that were left out though it was reported, in words; at most `limit`.
  public var losses: [String] = []
  public var violationCount = 0
  private static let limit = 200

  public init() {}
  public var silentLosses: Int { kinds.values.reduce(0) { $0 + $1.silentLosses } }

  mutating func add(_ judgement: Judgement) {
    var kind = kinds[judgement.mutation.kind] ?? Kind()
    mutations += 1
    kind.mutations += 1
    if judgement.isDetected { kind.detected += 1 } else if judgement.changed == 0 { kind.harmless += 1 }
    if !judgement.silent.isEmpty {
      kind.silentLosses += 1
      silentPages += judgement.silent.reduce(0) { $0 + UInt64($1.count) }
      violate(
        "silent loss as \(judgement.lostAs.map { "\($1) \($0.name)" }.sorted()) of pfn \(judgement.silent.prefix(4)) by \(judgement.mutation); reported: \(judgement.findings.prefix(4))"
      )
    } else if judgement.lost > 0 {
      kind.reportedLosses += 1
      lostPages += judgement.lost
      if losses.count < CampaignTotals.limit {
        losses.append(
          "\(judgement.lostAs.map { "\($1) \($0.name)" }.sorted()) by \(judgement.mutation); reported: \(judgement.findings.prefix(2))"
        )
      }
    } else if !judgement.isDetected, judgement.changed > 0 {
      kind.tolerated += 1
    }
    kind.extraKept.append(judgement.extraKept)
    if judgement.isBounded { kind.bounded += 1 }
    if !judgement.beyond.isEmpty {
      violate(
        "costs pfn \(judgement.beyond.prefix(4)) beyond its section or zone: \(judgement.mutation); \(judgement.fired); \(judgement.findings.suffix(3))"
      )
    }
    for violation in judgement.violations { violate("\(violation): \(judgement.mutation)") }
    if judgement.wroteDump { dumpsWritten += 1 }
    for check in judgement.fired { fired[check, default: 0] += 1 }
    slowest = max(slowest, judgement.seconds)
    kinds[judgement.mutation.kind] = kind
  }

  private mutating func violate(_ text: String) {
    violationCount += 1
    if violations.count < CampaignTotals.limit { violations.append(text) }
  }

  public mutating func merge(_ other: CampaignTotals) {
    for (name, theirs) in other.kinds {
      var kind = kinds[name] ?? Kind()
      kind.mutations += theirs.mutations
      kind.detected += theirs.detected
      kind.harmless += theirs.harmless
      kind.tolerated += theirs.tolerated
      kind.reportedLosses += theirs.reportedLosses
      kind.silentLosses += theirs.silentLosses
      kind.extraKept += theirs.extraKept
      kind.bounded += theirs.bounded
      kinds[name] = kind
    }
    fired.merge(other.fired) { $0 + $1 }
    mutations += other.mutations
    notDrawn += other.notDrawn
    dumpsWritten += other.dumpsWritten
    lostPages += other.lostPages
    silentPages += other.silentPages
    slowest = max(slowest, other.slowest)
    violationCount += other.violationCount
    violations = Array((violations + other.violations).prefix(CampaignTotals.limit))
    losses = Array((losses + other.losses).prefix(CampaignTotals.limit))
  }

  // MARK: Tables

  /// As in docs/measurements/damage-campaign.md.
  public var tables: String {
    var lines = [
      "| damage | mutations | detected | without effect | tolerated | losses, reported | silent losses | pages kept more: median | largest |",
      "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in Mutation.Kind.allCases {
      guard let kind = kinds[name] else { continue }
      let kept = kind.extraKept.sorted()
      lines.append(
        "| \(name.rawValue) | \(kind.mutations) | \(kind.detected) | \(kind.harmless) | \(kind.tolerated) | \(kind.reportedLosses) "
          + "| \(kind.silentLosses) | \(kept[kept.count / 2]) | \(kept.last ?? 0) |")
    }
    lines += ["", "| check | fired in | of all |", "|---|---|---|"]
    for check in Check.allCases {
      let times = fired[check] ?? 0
      lines.append("| \(check.name) | \(times) | \(percent(times, mutations)) |")
    }
    let bounded = kinds.values.reduce(0) { $0 + $1.bounded }
    lines += [
      "",
      "\(mutations) mutations (\(notDrawn) drawn in vain), \(silentLosses) silent losses (\(silentPages) pages), \(lostPages) pages lost "
        + "and reported; \(bounded) of one word, held to its section or zone; \(dumpsWritten) dumps written and verified; "
        + "slowest \(Int(slowest * 1000)) ms; \(violationCount) violations",
    ]
    return lines.joined(separator: "\n")
  }

  private func percent(_ part: Int, _ whole: Int) -> String {
    let tenths = whole == 0 ? 0 : (part * 1000 + whole / 2) / whole
    return "\(tenths / 10).\(tenths % 10) %"
  }
}
