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
