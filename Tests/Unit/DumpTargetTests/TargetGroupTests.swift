import DumpBasics
import Foundation
import Testing

@testable import DumpTarget
@testable import LinuxSystem

/// Protects: a target that fails or hangs costs itself, never the dump of the others; and nobody waits for it
/// longer than the limit.
@Suite(.serialized) struct TargetGroupTests {
  private enum Part: String, CaseIterable, Sendable { case open, sideFile, openDump, write, skip, finish, complete }

  /// Holds up what hangs until the test is over.
  private final class Gate: @unchecked Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    func hang() { semaphore.wait() }
    deinit { for _ in 0..<100 { semaphore.signal() } }
    func release() { for _ in 0..<100 { semaphore.signal() } }
  }

  private struct Kind: TargetKind {
    static let form = ""
    var failing: Part?
    var hanging: (part: Part, gate: Gate)?
    var isRemote = false
    let log: Log

    init?(parsing word: String) throws(DumpError) { nil }
    init(_ log: Log) { self.log = log }

    func meet(_ part: Part) throws(DumpError) {
      if let hanging, hanging.part == part { hanging.gate.hang() }
      if failing == part { throw DumpError(.system(EIO), "\(part.rawValue) failed") }
    }

    func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
      try meet(.open)
      return Fake(self)
    }
  }

  /// What arrived.
  private final class Log: @unchecked Sendable {
    private let lock = NSLock()
    private var text = ""
    private var data: [UInt8] = []
    func add(_ line: String) { lock.withLock { text += line + "\n" } }
    func add(_ bytes: [UInt8]) { lock.withLock { data += bytes } }
    var lines: [String] { lock.withLock { text.split(separator: "\n").map(String.init) } }
    var bytes: [UInt8] { lock.withLock { data } }
  }

  private final class Fake: Destination, DumpSink {
    let kind: Kind
    var name = "fake"
    let acceptsSideFiles = true
    init(_ kind: Kind) { self.kind = kind }
    func openDump(fileName: String) throws(DumpError) -> any DumpSink {
      try kind.meet(.openDump)
      return self
    }
    func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
      try kind.meet(.sideFile)
      kind.log.add(fileName)
    }
    func complete() throws(DumpError) -> String {
      try kind.meet(.complete)
      kind.log.add("complete")
      return name
    }
    func abandon(note: String) -> String {
      kind.log.add("abandoned")
      return name + ".incomplete"
    }
    func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
      try kind.meet(.write)
      kind.log.add(Array(bytes))
    }
    func skip(_ count: UInt64) throws(DumpError) {
      try kind.meet(.skip)
      kind.log.add([UInt8](repeating: 0, count: Int(count)))
    }
    func finish() throws(DumpError) { try kind.meet(.finish) }
  }

  private let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

  private func group(_ kinds: [Kind], stall: UInt64 = 1) throws -> TargetGroup {
    var transfer = TransferOptions()
    transfer.stallSeconds = stall
    let specs = kinds.enumerated().map { TargetSpec($1, word: "target \($0)") }
    return try openTargets(specs, NamedDump("d", transfer)) { _ in }
  }

  private func fill(_ group: TargetGroup) throws {
    try group.writeSideFile("dmesg.txt", [1])
    let sink = try group.openDump(fileName: "vmcore.elf")
    // From memory that is used for something else right after.
    for start in stride(from: 0, to: content.count, by: 10_000) {
      var piece = Array(content[start..<start + 10_000])
      try sink.write(piece)
      piece = [UInt8](repeating: 0xff, count: 10_000)
    }
    try sink.skip(5)
    try sink.finish()
    _ = try group.complete()
  }

  private var expected: [UInt8] { content + [0, 0, 0, 0, 0] }

  @Test func allGetTheSame() throws {
    let logs = [Log(), Log(), Log()]
    let group = try group(logs.map { Kind($0) })
    try fill(group)
    for log in logs {
      #expect(log.bytes == expected)
      #expect(log.lines == ["dmesg.txt", "complete"])
    }
    #expect(group.dropped.isEmpty)
  }

  @Test(arguments: Part.allCases)
  private func oneThatFailsDropsOutAndTheOthersGoOn(part: Part) throws {
    let logs = [Log(), Log()]
    var bad = Kind(logs[0])
    bad.failing = part
    let group = try group([bad, Kind(logs[1])])
    try fill(group)
    #expect(logs[1].bytes == expected && logs[1].lines.last == "complete")
    #expect(!logs[0].lines.contains("complete"))
    #expect(group.dropped.map(\.target) == ["target 0"])
    #expect(group.dropped[0].reason.what == "\(part.rawValue) failed")
    #expect(group.dropped[0].bytes == (part == .skip ? 100_000 : [.finish, .complete].contains(part) ? 100_005 : 0))
  }

  @Test(arguments: Part.allCases)
  private func oneThatHangsIsLeftBehind(part: Part) throws {
    let gate = Gate()
    defer { gate.release() }
    let logs = [Log(), Log()]
    var bad = Kind(logs[0])
    bad.hanging = (part, gate)
    // A limit of one second; opening has 30 more, as a mount has a limit of its own.
    if part == .open { return }
    let group = try group([bad, Kind(logs[1])])
    try fill(group)
    #expect(logs[1].bytes == expected && logs[1].lines.last == "complete")
    #expect(group.dropped.map(\.reason.kind) == [.system(ETIMEDOUT)])
    #expect(!logs[0].lines.contains("complete"))
  }

  @Test(arguments: Part.allCases)
  private func theOnlyOneThatHangsIsAnErrorAndNobodyWaitsAgain(part: Part) throws {
    if part == .open { return }
    let gate = Gate()
    defer { gate.release() }
    var bad = Kind(Log())
    bad.hanging = (part, gate)
    let group = try group([bad])
    let start = System.monotonicNanoseconds
    #expect { try fill(group) } throws: { ($0 as? DumpError)?.kind == .system(ETIMEDOUT) }
    _ = group.abandon(note: "")
    #expect(group.bytesThere() == 0)
    #expect(throws: DumpError.self) { try group.writeSideFile("dump.json", []) }
    #expect(System.monotonicNanoseconds - start < 20_000_000_000)
  }

  @Test func whereAllFailTheReasonIsThatOfOne() throws {
    var kinds = [Kind(Log()), Kind(Log())]
    for index in kinds.indices { kinds[index].failing = .write }
    let group = try group(kinds)
    #expect { try fill(group) } throws: { ($0 as? DumpError)?.what == "write failed" }
    #expect(group.dropped.count == 1)
    for index in kinds.indices { kinds[index].failing = .open }
    #expect { try self.group(kinds) } throws: { ($0 as? DumpError)?.what == "open failed" }
  }

  @Test func aRateIsKept() throws {
    let log = Log()
    let fake = Fake(Kind(log))
    let paced = PacedSink(fake, 200_000)
    let start = System.monotonicNanoseconds
    try paced.write(content)
    try paced.skip(100_000)
    #expect(log.bytes == content + [UInt8](repeating: 0, count: 100_000))
    // No sooner than the rate allows; how much later is the machine's.
    #expect(System.monotonicNanoseconds - start >= 1_000_000_000)
    #expect(PacedSink.nanoseconds(for: 3, 2) == 1_500_000_000)
    #expect(PacedSink.nanoseconds(for: .max, 1) == UInt64.max >> 2)
  }

  /// Fails as an unreachable host does, some times.
  private struct Flaky: TargetKind {
    static let form = ""
    let log: Log
    let failures: Int
    let code: Int32
    let isRemote = true
    init?(parsing word: String) throws(DumpError) { nil }
    init(_ log: Log, failures: Int, code: Int32) { (self.log, self.failures, self.code) = (log, failures, code) }
    func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
      log.add("try")
      if log.lines.count <= failures { throw DumpError(.system(code), "not yet") }
      return Fake(Kind(log))
    }
  }

  @Test func aFarSideThatCanNotBeReachedIsTriedAgainWithinTheWait() throws {
    func tries(_ failures: Int, _ code: Int32, wait: UInt64) -> (count: Int, isOpen: Bool) {
      let log = Log()
      var transfer = TransferOptions()
      transfer.waitSeconds = wait
      let spec = TargetSpec(Flaky(log, failures: failures, code: code), word: "x")
      let isOpen = (try? openTargets([spec], NamedDump("d", transfer)) { _ in }) != nil
      return (log.lines.count, isOpen)
    }
    #expect(tries(1, System.unreachable, wait: 60) == (2, true))
    #expect(tries(9, System.unreachable, wait: 2) == (2, false))
    #expect(tries(9, System.unreachable, wait: 0) == (1, false))
    // A refused login stays refused.
    #expect(tries(9, System.accessRefused, wait: 60) == (1, false))
  }
}
