public import CoreEncoding

/// What a dump's codec does with its time: `speed=`.
public enum Speed: String, Sendable, CaseIterable {
  /// As fast as it goes while the dump is still smaller than what makedumpfile's fastest codec makes.
  case fast
  /// The default.
  case balanced
  /// As small as it gets in a time that somebody can wait for.
  case small
  /// What suits the target, group by group: see `CodecPace`. The bytes depend on how fast the target is.
  case adaptive

  /// Where it starts, and for all but `adaptive` stays.
  public var effort: Effort {
    switch self {
    case .fast: Effort(1)
    case .balanced, .adaptive: .balanced
    case .small: .smallest
    }
  }
}
