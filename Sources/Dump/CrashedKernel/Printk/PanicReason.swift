internal import DumpBasics

extension KernelLog {
  /// Why the machine stopped, in one line, as far as the log says. Nil when nothing in it looks like a
  /// reason.
  ///
  /// The last panic of the kernel. Where that only says that something came before, what came before stands
  /// behind it in parentheses: a report near it in lines and time, by the same CPU or thread where the log
  /// says so, of a kind that leads to such a panic. Without a panic the last report counts. Text
  /// that a process wrote to the log is never taken. At most 250 characters, printable.
  public var panicMessage: String? { PanicReason(self).text.map { printable(String($0.prefix(250))) } }
}

/// Finds the reason among the last records.
struct PanicReason {
  let text: String?

  /// The end of a log is where the reason stands; the rest would only cost time.
  private static let searchedRecords = 20_000
  /// Between a report and its panic: the stacks of all CPUs, over a slow serial console.
  private static let nearRecords = 4_000
  private static let nearNanoseconds: UInt64 = 60_000_000_000
  /// The same where another thread or CPU wrote the report: a watchdog that reports what another CPU did
  /// panics at once.
  private static let nearForOthers: UInt64 = 5_000_000_000
  /// Between the cause of an oops and the line that says Oops.
  private static let sameReport = 12

  /// One line, with what is known of who wrote it.
  private struct Line {
    var text: Substring
    var nanoseconds: UInt64?
    var caller: UInt32?
  }

  init(_ log: KernelLog) {
    let lines = PanicReason.lines(log)
    guard let last = lines.lastIndex(where: { PanicReason.panic($0.text) != nil }),
      let panic = PanicReason.panic(lines[last].text)
    else {
      // Only what stands at the end of the log: an old report is not why the machine is here.
      let end = lines.last.map { Line(text: $0.text, nanoseconds: $0.nanoseconds, caller: nil) }
      text = end.flatMap { PanicReason.report(in: lines, before: lines.count, of: PanicReport.withoutPanic, near: $0) }
        .map { String($0) }
      return
    }
    let kinds = PanicReport.leading(to: panic)
    let cause = PanicReason.report(in: lines, before: last, of: kinds, near: lines[last])
    text = cause.map { "\(panic) (\($0))" } ?? String(panic)
  }

  /// The kernel's own lines, the last ones.
  private static func lines(_ log: KernelLog) -> [Line] {
    if log.entries.isEmpty {
      return log.lines.suffix(searchedRecords).map { Line(text: withoutTime($0)) }
    }
    return log.entries.suffix(searchedRecords).filter(\.isKernels).map { record in
      let text = log.bytes[record.text].prefix { $0 != UInt8(ascii: "\n") }
      return Line(
        text: Substring(String(decoding: text, as: UTF8.self)), nanoseconds: record.nanoseconds, caller: record.caller)
    }
  }

  /// `Kernel panic - not syncing…` at the start of a line, or in the mark that a panic ends with.
  private static func panic(_ line: Substring) -> Substring? {
    if line.utf8.starts(with: "Kernel panic - not syncing".utf8) { return line }
    guard let marked = line.dropping("---[ end Kernel panic - not syncing") else { return nil }
    let rest = marked.utf8.suffix(4).elementsEqual(" ]--".utf8) ? marked.dropLast(4) : marked
    let whole = rest.utf8.suffix(5).elementsEqual(" ]---".utf8) ? rest.dropLast(5) : rest
    return "Kernel panic - not syncing" + whole
  }

  /// The last report of one of `kinds` before line `end`, near `place`: one by the same CPU or thread, else
  /// one by another. Whoever oopses panics itself.
  private static func report(
    in lines: [Line], before end: Int, of kinds: [PanicReport], near place: Line
  ) -> Substring? {
    for (near, kinds) in [(isNear, kinds), (isNearByAnother, kinds.filter { $0 != .oops })] where !kinds.isEmpty {
      for index in stride(from: end - 1, through: max(0, end - nearRecords), by: -1) {
        let line = lines[index]
        guard near(line, place), let kind = kinds.first(where: { $0.begins(line.text) }) else { continue }
        if kind == .oops, let cause = cause(in: lines, before: index) { return cause }
        return kind == .machineCheck ? firstOfHardware(in: lines, at: index) : line.text
      }
    }
    return nil
  }

  private static func isNear(_ line: Line, _ panic: Line) -> Bool {
    if let here = line.caller, let there = panic.caller, here != there { return false }
    return isWithin(nearNanoseconds, line, panic)
  }

  private static func isNearByAnother(_ line: Line, _ panic: Line) -> Bool {
    isWithin(nearForOthers, line, panic)
  }

  private static func isWithin(_ limit: UInt64, _ line: Line, _ panic: Line) -> Bool {
    guard let here = line.nanoseconds, let there = panic.nanoseconds else { return true }
    return there >= here && there - here <= limit
  }

  /// What an oops is about stands some lines before it: `BUG: kernel NULL pointer dereference`, `kernel BUG
  /// at`.
  private static func cause(in lines: [Line], before index: Int) -> Substring? {
    for earlier in stride(from: index - 1, through: max(0, index - sameReport), by: -1) {
      guard isNear(lines[earlier], lines[index]) else { continue }
      if PanicReport.oopsCauses.contains(where: { lines[earlier].text.utf8.starts(with: $0.utf8) }) { return lines[earlier].text }
    }
    return nil
  }

  /// The first line of the hardware's report that line `index` is one of: it says what the rest is about.
  /// Other lines may stand between.
  private static func firstOfHardware(in lines: [Line], at index: Int) -> Substring {
    guard let mark = PanicReport.hardwareMark(lines[index].text) else { return lines[index].text }
    var first = index
    for earlier in stride(from: index - 1, through: max(0, index - nearRecords), by: -1) where first - earlier <= sameReport {
      guard isNear(lines[earlier], lines[index]), lines[earlier].text.utf8.starts(with: mark) else { continue }
      first = earlier
    }
    return lines[first].text
  }

  /// Without `[    1.234567] `, and without the level `<6>` before it.
  private static func withoutTime(_ line: String) -> Substring {
    var rest = line[...]
    if rest.utf8.first == UInt8(ascii: "<"), let end = rest.utf8.prefix(6).firstIndex(of: UInt8(ascii: ">")) {
      rest = rest[rest.utf8.index(after: end)...]
    }
    guard rest.utf8.first == UInt8(ascii: "["), let end = rest.utf8.firstIndex(of: UInt8(ascii: "]")) else { return rest }
    return rest[rest.utf8.index(after: end)...].drop { $0 == " " }
  }
}

extension Substring {
  /// What follows `prefix`; nil when this does not begin with it.
  fileprivate func dropping(_ prefix: String) -> Substring? {
    utf8.starts(with: prefix.utf8) ? self[utf8.index(startIndex, offsetBy: prefix.utf8.count)...] : nil
  }
}
