import Capture
import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming

/// Each dump is told of once, and again when its state has changed.
@Test func eachDumpIsAnnouncedOnce() throws {
  let fake = try FakeMachine()
  let name = "/var/crash/2026-11-23T02-51-07Z-6.1.incomplete"
  try fake.write("/etc/mcore.conf", "target=/var/crash target=memory: target=/not/there")
  try fake.write(name + "/dmesg.txt", "x")
  try fake.write("/run/x", "")
  let first = try announceDumps(fake.request)
  #expect(first.new.count == 1 && first.new[0].contains("writing or cut") && first.problems.isEmpty)
  #expect(try announceDumps(fake.request).new.isEmpty)
  let root = fake.request.root
  try FileManager.default.moveItem(atPath: root + name, toPath: root + name.replacingOccurrences(of: ".incomplete", with: ""))
  #expect(try announceDumps(fake.request).new.count == 1)
  try FileManager.default.removeItem(atPath: root + "/var/crash")
  #expect(try announceDumps(fake.request).new.isEmpty)
  #expect(try String(contentsOfFile: fake.request.directory + "/announced", encoding: .utf8) == "")
}

private func newDump(_ fake: FakeMachine, _ name: String) throws { try fake.write("/var/crash/\(name)/dmesg.txt", "x") }

/// The next login is told of new dumps, and of no old ones.
@Test func theLoginTellsOfNewDumps() throws {
  let fake = try FakeMachine()
  let line = fake.request.root + "/run/motd.d/60-mcore"
  try fake.write("/etc/mcore.conf", "target=/var/crash")
  try fake.write("/run/x", "")
  _ = try announceDumps(fake.request)
  #expect(!FileManager.default.fileExists(atPath: line))
  for day in 1...5 { try newDump(fake, "2026-11-0\(day)T02-51-07Z-6.1") }
  _ = try announceDumps(fake.request)
  let text = try String(contentsOfFile: line, encoding: .utf8)
  #expect(text.split(separator: "\n").count == 5 && text.contains("2026-11-05T02:51:07Z") && text.contains("and 2 more"))
  #expect(try FileManager.default.attributesOfItem(atPath: line)[.posixPermissions] as? Int == 0o644)
  #expect(
    try FileManager.default.attributesOfItem(atPath: (line as NSString).deletingLastPathComponent)[.posixPermissions] as? Int
      == 0o755)
  // /run is empty at the next boot.
  try FileManager.default.removeItem(atPath: line)
  _ = try announceDumps(fake.request)
  #expect(!FileManager.default.fileExists(atPath: line))
  try newDump(fake, "2026-12-01T02-51-07Z-6.1")
  _ = try announceDumps(fake.request)
  #expect(FileManager.default.fileExists(atPath: line))
  try fake.write("/etc/mcore.conf", "target=/var/crash motd=no")
  try newDump(fake, "2026-12-02T02-51-07Z-6.1")
  #expect(try announceDumps(fake.request).new.count == 1)
  #expect(!FileManager.default.fileExists(atPath: line))
}

/// The command of notify= is run once for each dump, whatever comes of it.
@Test func theCommandIsRunOnce() throws {
  let fake = try FakeMachine()
  let out = fake.scratch.file("told")
  func configure(_ command: String) throws { try fake.write("/etc/mcore.conf", "target=/var/crash \"notify=\(command)\"") }
  try configure("echo $MCORE_STATUS $MCORE_RELEASE $MCORE_TIME $MCORE_PATH >>\(out)")
  try newDump(fake, "2026-11-01T02-51-07Z-6.1.incomplete")
  #expect(try notify(fake.request).told.count == 1)
  let directory = fake.request.root + "/var/crash/"
  #expect(
    try String(contentsOfFile: out, encoding: .utf8)
      == "writing or cut 6.1 2026-11-01T02:51:07Z \(directory)2026-11-01T02-51-07Z-6.1.incomplete\n")
  // Under its last name it is no other one.
  try FileManager.default.moveItem(
    atPath: directory + "2026-11-01T02-51-07Z-6.1.incomplete", toPath: directory + "2026-11-01T02-51-07Z-6.1")
  #expect(try notify(fake.request).told.isEmpty)
  // One that fails is told, and not run again.
  try configure("echo no way >&2; exit 7")
  try newDump(fake, "2026-11-02T02-51-07Z-6.1")
  let failed = try notify(fake.request)
  #expect(failed.problems.count == 1 && failed.problems[0].contains("ended with 7: no way"), "\(failed.problems)")
  #expect(try notify(fake.request).told.isEmpty)
  // With all that it started.
  try configure("sleep 1000 & echo $! >\(out); wait")
  try newDump(fake, "2026-11-03T02-51-07Z-6.1")
  let slow = try notify(fake.request, limitSeconds: 1)
  #expect(slow.problems.count == 1 && slow.problems[0].contains("took longer than 1 s"), "\(slow.problems)")
  let child = try #require(
    Int32(try String(contentsOfFile: out, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
  #expect(isGone(child))
  // Without a command dumps are put down all the same: later they are not new.
  try fake.write("/etc/mcore.conf", "target=/var/crash")
  try newDump(fake, "2026-11-04T02-51-07Z-6.1")
  #expect(try notify(fake.request).told.isEmpty)
  try configure("true")
  #expect(try notify(fake.request).told.isEmpty)
  for number in 10...40 { try newDump(fake, "2026-12-01T02-51-07Z-6.1-\(number)") }
  let many = try notify(fake.request)
  #expect(many.told.count == 20 && many.problems.count == 11)
}

/// No process, or one that has ended and that nobody has asked for yet.
private func isGone(_ process: Int32) -> Bool {
  if kill(process, 0) != 0 { return true }
  let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8).split(separator: ")").last
  return state?.hasPrefix(" Z") ?? true
}

/// A dump that a crash kernel left gets its report at the next boot, unless nobody wants one.
@Test func dumpsWithoutAReportGetOne() throws {
  let fake = try FakeMachine()
  try fake.write("/etc/mcore.conf", "target=/var/crash report=no")
  try fake.write("/var/crash/other/x", "somebody's")
  let directory = fake.request.root + "/var/crash"
  try SyntheticCore([.init(0x1000, noise(40_000, seed: 3))]).write(to: fake.scratch.file("core"))
  let path = try save(
    SaveRequest(source: fake.scratch.file("core"), targets: [directory], level: .all), QuietReporter()
  ).path
  #expect(try announceDumps(fake.request).reported.isEmpty)
  #expect(!FileManager.default.fileExists(atPath: path + "/report.txt"))
  try fake.write("/etc/mcore.conf", "target=/var/crash")
  let announced = try announceDumps(fake.request)
  #expect(announced.reported == [path] && announced.problems.isEmpty)
  #expect(FileManager.default.fileExists(atPath: path + "/report.json"))
  #expect(try announceDumps(fake.request).reported.isEmpty)
}
