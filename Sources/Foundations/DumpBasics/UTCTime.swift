/// A point in time as a date and a time of day, UTC, in the proleptic Gregorian calendar; without a time zone
/// database.
public struct UTCTime: Sendable, Equatable {
  public var year: Int64
  public var month: Int64
  public var day: Int64
  public var hour: Int64
  public var minute: Int64
  public var second: Int64

  /// `seconds` since 1970-01-01. Clamped to the years 0 to 9999: the number may come from a damaged dump.
  public init(secondsSince1970 seconds: Int64) {
    let clamped = min(max(seconds, -62_167_219_200), 253_402_300_799)
    let days = (clamped - (clamped % 86_400 + 86_400) % 86_400) / 86_400
    let rest = clamped - days * 86_400
    // Days are counted from 0000-03-01, so that the leap day is the last of its year (Howard Hinnant's
    // "civil_from_days").
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    hour = rest / 3600
    minute = rest % 3600 / 60
    second = rest % 60
  }

  /// `2026-11-23T03:31:07Z` (ISO 8601).
  public var text: String {
    "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(hour, 2)):\(padded(minute, 2)):\(padded(second, 2))Z"
  }
}
