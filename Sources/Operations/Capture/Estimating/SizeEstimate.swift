public import CoreEncoding
public import CoreFormat
internal import CrashedKernel
public import DumpBasics
internal import DumpSource
internal import LinuxSystem
internal import PageClasses
public import PageSelection
internal import Pipeline
internal import Workers

/// What a dump would come to, at each level and in each format, from some pages of each class.
public struct SizeEstimate: Sendable {
  public struct Entry: Sendable {
    public var level: Level
    public var format: OutputFormat
    /// Of a disk.
    public var bytes: UInt64
    /// Nanoseconds for reading and encoding on `threads` threads of this machine; what the target takes is
    /// not in it.
    public var nanoseconds: UInt64
  }

  public var release: String?
  public var pageSize: PageSize
  public var threads: Int
  /// Pages by class, in the order of their numbers.
  public var classes: [(name: String, pages: UInt64)]
  public var entries: [Entry] = []

  public func bytes(_ level: Level, _ format: OutputFormat) -> UInt64? {
    entries.first { $0.level == level && $0.format == format }?.bytes
  }
}

/// Estimates without writing anything. Memory with equal content, which `used` and `all` store once, is not
/// looked for: there the dump may be smaller.
public func estimate(_ path: String, threads: Int = 0, _ reporter: any Reporter) throws(DumpError) -> SizeEstimate {
  let source = try openDump(path)
  var request = SaveRequest(source: path, targets: [], level: .header)
  request.threads = threads
  let capture = try PreparedCapture(request, source, reporter)
  let kernel = capture.kernel
  let threads = threads > 0 ? threads : System.usableCPUs
  reporter.message("finding out which pages are in use")
  let classes = PageClassification(kernel, work: capture.work)
  var estimate = SizeEstimate(
    release: kernel.release, pageSize: kernel.pageSize, threads: threads,
    classes: PageClass.allCases.map { ($0.name, classes.counts[$0]) })
  // Exact: it is a few pages.
  let plan = try capture.plan()
  for format in OutputFormat.allCases where !format.isPaged {
    let start = System.monotonicNanoseconds
    let bytes = try Pipeline(plan, format, capture.work).estimatedSize(source)
    estimate.entries.append(.init(level: .header, format: format, bytes: bytes, nanoseconds: System.monotonicNanoseconds - start))
  }
  let samples = try PageSampler(kernel, OutputFormat.allCases).samples(classes)
  for level in Level.named where level != .header {
    for format in OutputFormat.allCases {
      var (bytes, time): (UInt64, UInt64) = (0, 0)
      for pageClass in PageClass.allCases where level.keeps(pageClass) {
        let count = classes.counts[pageClass]
        guard let sample = samples[pageClass], sample.pages > 0, let written = sample.written[format] else { continue }
        bytes = clampedSum(bytes, scaled(written.bytes, count, sample.pages))
        time = clampedSum(time, scaled(clampedSum(sample.reading, written.time), count, sample.pages))
      }
      estimate.entries.append(.init(level: level, format: format, bytes: bytes, nanoseconds: time / UInt64(threads)))
    }
  }
  return estimate
}

/// `value` of `part` pages, for `whole` pages.
private func scaled(_ value: UInt64, _ whole: UInt64, _ part: UInt64) -> UInt64 {
  let (high, low) = value.multipliedFullWidth(by: whole)
  return high < part ? part.dividingFullWidth((high, low)).quotient : .max
}

extension SizeEstimate {
  /// The schema of `mcore estimate --json`: docs/estimate.md. `members` are added at its end.
  public func json(_ members: [(String, JSON)] = []) -> JSON {
    let sizes = entries.map { entry in
      JSON.object([
        ("level", .string(entry.level.name)), ("format", .string(entry.format.rawValue)), ("bytes", .unsigned(entry.bytes)),
        ("milliseconds", .unsigned(entry.nanoseconds / 1_000_000)),
      ])
    }
    return .object(
      [
        ("version", .string("1.0")), ("kernel", .object([("release", .optional(release))])),
        ("page_size", .unsigned(pageSize.bytes)), ("threads", .unsigned(UInt64(threads))),
        ("pages", .object(classes.map { ($0.name, .unsigned($0.pages)) })), ("sizes", .array(sizes)),
      ] + members)
  }

  /// For people: pages by class, then a row for each level and a column for each format.
  public var text: String {
    var lines = ["kernel \(printable(release ?? "of unknown release"))"]
    for (name, pages) in classes where pages > 0 {
      lines.append(column(name, 14) + column("\(pages) pages", 18) + humanBytes(pages << pageSize.shift))
    }
    lines.append(column("level", 14) + OutputFormat.allCases.map { column($0.rawValue, 22) }.joined())
    for level in Level.named {
      let cells = OutputFormat.allCases.map { format in
        guard let entry = entries.first(where: { $0.level == level && $0.format == format }) else { return column("-", 22) }
        let tenths = entry.nanoseconds / 100_000_000
        return column("\(humanBytes(entry.bytes)), \(tenths / 10).\(tenths % 10) s", 22)
      }
      lines.append(column(level.name, 14) + cells.joined())
    }
    lines.append("(by a sample; seconds of \(threads) thread\(threads == 1 ? "" : "s") of this machine, without the target's)")
    return lines.map(withoutBlanksAtEnd).joined(separator: "\n")
  }

  private func column(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.utf8.count))
  }

  private func withoutBlanksAtEnd(_ line: String) -> String {
    let bytes = Array(line.utf8)
    return String(decoding: bytes[..<((bytes.lastIndex { $0 != 0x20 } ?? -1) + 1)], as: UTF8.self)
  }
}
