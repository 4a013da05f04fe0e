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
