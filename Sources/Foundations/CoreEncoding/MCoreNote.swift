public import DumpBasics

/// The note `MCORE`: what a plain ELF cannot say and what is known before the first byte is written.
/// docs/format.md, "The MCORE note".
public struct MCoreNote: Sendable, Equatable {
  public static let name = "MCORE"
  public static let type: UInt32 = 1
  /// In a kdump-compressed file, whose readers may take any note of type 1 for a CPU's.
  public static let kdumpType: UInt32 = 0x4d43
  static let magic = "MCORNOTE"

  /// The page size of the crashed kernel, as the envelope states it.
  public private(set) var pageSize = PageSize.fourKiB
  /// Name and version of the program that wrote the dump.
  public var tool = ""
  public var level = ""
  /// Where the trailer begins in the uncompressed file; a multiple of 61,440.
  public var trailerOffset: UInt64 = 0
  /// The stretch of zeros that long zero runs share; empty when there is none.
  public var holeOffset: UInt64 = 0
  public var holeSize: UInt64 = 0
  /// Zero pages in the dump, in line and in the hole.
  public var zeroPages: UInt64 = 0
  /// Pages that the dump holds, zero ones included.
  public var keptPages: UInt64 = 0
  /// Where each pass ends in the uncompressed file, first pass first.
  public var passEnds: [UInt64] = []
  /// When the kernel crashed, in seconds since 1970; 0 where that is not known.
  public var crashTime: UInt64 = 0
  /// Whether the kernel ran on while its memory was read: no crash.
  public var isLive = false
  /// Memory of the source that is not in the dump.
  public var leftOut = AbsentRanges()
  /// Memory that has the content of other memory and no place of its own; by address, disjoint.
  public var shared: [SharedRange] = []
  /// Memory in the dump that reads as zeros, since the source of another tool had no data for it: zero, or
  /// left out by that tool.
  public var withoutData = AbsentRanges()
  /// What was found before writing, one line each.
  public var findings: [String] = []

  /// Pages by class, in a dump whose level needed classes; else empty.
  public var classes: [ClassCount] = []
  /// How the classes were verified.
  public var checks: [CheckCount] = []

  public struct ClassCount: Sendable, Equatable {
    public var name: String
    public var total: UInt64
    public var kept: UInt64
    public init(name: String, total: UInt64, kept: UInt64) {
      self.name = name
      self.total = total
      self.kept = kept
    }
  }

  public struct CheckCount: Sendable, Equatable {
    public var name: String
    public var tried: UInt64
    public var failed: UInt64
    public var keptPages: UInt64
    public init(name: String, tried: UInt64, failed: UInt64, keptPages: UInt64) {
      self.name = name
      self.tried = tried
      self.failed = failed
      self.keptPages = keptPages
    }
  }

  public init() {}

  private enum Kind {
    static let tool: UInt32 = 1
    static let level: UInt32 = 2
    static let layout: UInt32 = 3
    static let passes: UInt32 = 4
    static let findings: UInt32 = 6
    static let classes: UInt32 = 7
    static let checks: UInt32 = 8
    static let leftOut: UInt32 = 9
    static let shared: UInt32 = 10
    static let live: UInt32 = 11
    static let withoutData: UInt32 = 12
  }

  /// The note's descriptor. Its size depends on the lengths of the lists and texts only, never on the
  /// numbers.
  public func encoded(_ architecture: Architecture, _ pageSize: PageSize) -> [UInt8] {
    envelope(architecture, pageSize).encoded()
  }

  /// Bytes of that.
  public func encodedSize(_ architecture: Architecture, _ pageSize: PageSize) -> Int {
    envelope(architecture, pageSize).encodedSize
  }

  private func envelope(_ architecture: Architecture, _ pageSize: PageSize) -> Envelope {
    var layout = ByteWriter()
    for value in [trailerOffset, holeOffset, holeSize, zeroPages, keptPages, crashTime] { layout.u64(value) }
    var passes = ByteWriter()
    for end in passEnds { passes.u64(end) }
    var shared = ByteWriter()
    for run in self.shared {
      for value in [run.range.start, run.range.end, run.original.rawValue] { shared.u64(value) }
    }
    return Envelope(
      magic: MCoreNote.magic, architecture, pageSize,
      [
        .init(Kind.tool, Array(tool.utf8)), .init(Kind.level, Array(level.utf8)), .init(Kind.layout, layout.bytes),
        .init(Kind.passes, passes.bytes), .init(Kind.leftOut, leftOut.encoded),
        .init(Kind.findings, Array(findings.joined(separator: "\n").utf8)),
        .init(Kind.classes, MCoreNote.table(classes.map { ($0.name, [$0.total, $0.kept]) })),
        .init(Kind.checks, MCoreNote.table(checks.map { ($0.name, [$0.tried, $0.failed, $0.keptPages]) })),
      ] + (self.shared.isEmpty ? [] : [.init(Kind.shared, shared.bytes)])
        + (isLive ? [.init(Kind.live, [])] : [])
        + (withoutData.encoded.isEmpty ? [] : [.init(Kind.withoutData, withoutData.encoded)]))
  }

  public init(_ descriptor: [UInt8], at place: String) throws(DumpError) {
    let envelope = try Envelope(descriptor, magic: MCoreNote.magic, at: place)
    pageSize = envelope.pageSize
    tool = envelope.text(Kind.tool) ?? ""
    level = envelope.text(Kind.level) ?? ""
    let layout = ByteReader(envelope.payload(Kind.layout) ?? [], .little)
    trailerOffset = layout.u64(0) ?? 0
    holeOffset = layout.u64(8) ?? 0
    holeSize = layout.u64(16) ?? 0
    zeroPages = layout.u64(24) ?? 0
    keptPages = layout.u64(32) ?? 0
    crashTime = layout.u64(40) ?? 0
    let passes = ByteReader(envelope.payload(Kind.passes) ?? [], .little)
    passEnds = (0..<passes.count / 8).compactMap { passes.u64($0 * 8) }
    isLive = envelope.payload(Kind.live) != nil
    leftOut = try AbsentRanges(encoded: envelope.payload(Kind.leftOut) ?? [], at: "MCORE note, \(place)")
    withoutData = try AbsentRanges(encoded: envelope.payload(Kind.withoutData) ?? [], at: "MCORE note, \(place)")
    let shared = ByteReader(envelope.payload(Kind.shared) ?? [], .little)
    self.shared = (0..<shared.count / 24).compactMap { index in
      guard let start = shared.u64(index * 24), let end = shared.u64(index * 24 + 8), let original = shared.u64(index * 24 + 16),
        let range = PhysicalRange(start, end)
      else { return nil }
      return SharedRange(range, original: PhysicalAddress(original))
    }
    findings = (envelope.text(Kind.findings) ?? "").split(separator: "\n").map(String.init)
    classes = MCoreNote.rows(envelope.payload(Kind.classes), numbers: 2).map {
      ClassCount(name: $0.name, total: $0.numbers[0], kept: $0.numbers[1])
    }
    checks = MCoreNote.rows(envelope.payload(Kind.checks), numbers: 3).map {
      CheckCount(name: $0.name, tried: $0.numbers[0], failed: $0.numbers[1], keptPages: $0.numbers[2])
    }
  }

  // MARK: tables: a name of 32 bytes, NUL-padded, and numbers of 8

  private static let nameSize = 32

  private static func table(_ rows: [(name: String, numbers: [UInt64])]) -> [UInt8] {
    var writer = ByteWriter()
    for row in rows {
      let name = row.name.utf8.prefix(nameSize)
      writer.append(name)
      writer.zeros(nameSize - name.count)
      for number in row.numbers { writer.u64(number) }
    }
    return writer.bytes
  }

  private static func rows(_ payload: [UInt8]?, numbers: Int) -> [(name: String, numbers: [UInt64])] {
    let reader = ByteReader(payload ?? [], .little)
    let size = nameSize + 8 * numbers
    return (0..<reader.count / size).compactMap { row in
      guard let name = reader.text(row * size, limit: nameSize) else { return nil }
      return (name, (0..<numbers).compactMap { reader.u64(row * size + nameSize + 8 * $0) })
    }
  }
}
