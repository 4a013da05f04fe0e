import DumpBasics
import Foundation
import Testing

@testable import DumpTarget
@testable import LinuxSystem

/// The far side's shell is this machine's: a program named ssh stands first in PATH. The real one is judged in
/// Tests/Kernels/real/test_targets.py.
///
/// Protects: what the far side's shell is told to do, and what is made of what it says.
@Suite(.serialized) final class SSHTests {
  private let scratch: Scratch
  private let path: String
  private let content = [UInt8](repeating: 7, count: 100_000)

  init() throws {
    scratch = try Scratch()
    path = try #require(System.environment("PATH"))
    try FileManager.default.createDirectory(atPath: scratch.file("bin"), withIntermediateDirectories: true)
    try FileManager.default.createDirectory(atPath: scratch.file("far"), withIntermediateDirectories: true)
    // The command is the last word; the words are kept for a look at them.
    try program(#"for word; do last=$word; done; printf '%s\n' "$@" > \#(scratch.file("words")); exec sh -c "$last""#)
    setenv("PATH", scratch.file("bin") + ":" + path, 1)
  }

  deinit { setenv("PATH", path, 1) }

  private func program(_ script: String) throws {
    try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(fileURLWithPath: scratch.file("bin/ssh")))
    #expect(chmod(scratch.file("bin/ssh"), 0o755) == 0)
  }

  private func open(_ name: String = "far", stall: UInt64 = 60) throws -> any Destination {
    var transfer = TransferOptions()
    transfer.stallSeconds = stall
    try Data().write(to: URL(fileURLWithPath: scratch.file("key")))
    transfer.sshKey = scratch.file("key")
    return try TargetSpec("ssh:u@host:\(scratch.file(name))").open(NamedDump("d", transfer))
  }

  private func fill(_ destination: any Destination) throws {
    try destination.writeSideFile("dmesg.txt", Array("log\n".utf8))
    let sink = try destination.openDump(fileName: "vmcore.elf")
    try sink.write(content)
    try sink.skip(100_000)
    try sink.write(content)
    try sink.finish()
    try destination.writeSideFile("dump.json", Array("{}\n".utf8))
  }

  @Test func aFarSideIsAskedAndLeftAsItWas() throws {
    let spec = try TargetSpec("ssh:u@host:\(scratch.file("far"))/not/there/yet")
    #expect(try spec.askFarSide(TransferOptions(), limit: 20) ?? 0 > 0)
    #expect(try scratch.names("far") == [])
    try program("echo 'u@host: Permission denied (publickey).' >&2; exit 255")
    let refused = #expect(throws: DumpError.self) { try spec.askFarSide(TransferOptions(), limit: 20) }
    #expect(refused?.what.contains("Permission denied") == true)
    try program("echo this is no shell")
    let other = #expect(throws: DumpError.self) { try spec.askFarSide(TransferOptions(), limit: 20) }
    #expect(other?.what == "this is no shell")
    // Its time is limited.
    try program("exec sleep 100")
    #expect(throws: DumpError.self) { try spec.askFarSide(TransferOptions(), limit: 1) }
    #expect(try TargetSpec("/x").askFarSide(TransferOptions(), limit: 1) == nil)
  }

  @Test func aDirectoryIsIncompleteUntilItIsWhole() throws {
    let destination = try open("far/new")
    #expect(destination.acceptsSideFiles && destination.room ?? 0 > 0)
    try fill(destination)
    #expect(try scratch.names("far/new") == ["d.incomplete"])
    #expect(try destination.complete() == "ssh:u@host:\(scratch.file("far/new/d"))")
    #expect(try scratch.names("far/new") == ["d"])
    #expect(try scratch.names("far/new/d") == ["dmesg.txt", "dump.json", "vmcore.elf"])
    #expect(try scratch.bytes("far/new/d/vmcore.elf") == content + [UInt8](repeating: 0, count: 100_000) + content)
    #expect(try scratch.mode("far/new/d") == 0o700 && scratch.mode("far/new/d/vmcore.elf") == 0o600)
    let words = try String(contentsOfFile: scratch.file("words"), encoding: .utf8)
    for word in ["BatchMode=yes", "StrictHostKeyChecking=yes", scratch.file("key"), "u", "host"] {
      #expect(words.split(separator: "\n").contains { $0 == word }, "\(word)")
    }
  }

  /// What can't be counted is not there, and what can't be synced is not safe.
  @Test func whatIsGoneOrNotOnTheDiskIsNotWhole() throws {
    let destination = try open()
    try fill(destination)
    try FileManager.default.removeItem(atPath: scratch.file("far/d.incomplete/vmcore.elf"))
    #expect(throws: DumpError.self) { try destination.complete() }
    #expect(try scratch.names("far") == ["d.incomplete"])
    let other = try open()
    try fill(other)
    try Data("#!/bin/sh\necho sync: Input/output error >&2\nexit 1\n".utf8).write(
      to: URL(fileURLWithPath: scratch.file("bin/sync")))
    #expect(chmod(scratch.file("bin/sync"), 0o755) == 0)
    let error = #expect(throws: DumpError.self) { try other.complete() }
    #expect(error?.what.contains("Input/output error") == true)
    #expect(try scratch.names("far") == ["d-2.incomplete", "d.incomplete"])
  }

  @Test func takenNamesGetANumber() throws {
    try fill(try open())
    let second = try open()
    try fill(second)
    #expect(try second.complete().hasSuffix("/d-2"))
    #expect(try scratch.names("far") == ["d-2", "d.incomplete"])
  }

  /// A connection that breaks looks like the end of the file to the far side.
  @Test func whatDidNotArriveIsNotRenamed() throws {
    let destination = try open()
    try fill(destination)
    #expect(truncate(scratch.file("far/d.incomplete/vmcore.elf"), 299_999) == 0)
    #expect { try destination.complete() } throws: { ("\($0)").contains("not whole there") }
    #expect(destination.bytesThere() == 299_999)
    #expect(destination.abandon(note: "cut\n").hasSuffix("/d.incomplete"))
    #expect(try scratch.bytes("far/d.incomplete/INCOMPLETE.txt") == Array("cut\n".utf8))
  }

  private static let complaints: [(String, Int32, String)] = [
    ("echo 'ssh: connect to host h port 22: Connection refused' >&2; exit 255", System.unreachable, "Connection refused"),
    ("printf 'a\\nHost key verification failed.\\n' >&2; exit 255", System.accessRefused, "host key"),
    (
      "printf 'Load key: bad permissions\\nu@h: Permission denied (publickey).\\n' >&2; exit 255", System.accessRefused,
      "bad permissions"
    ),
    ("exec sleep 1000", System.timedOut, "time"),
  ]

  @Test(arguments: complaints)
  func whatSshSaysIsOneLine(script: String, code: Int32, word: String) throws {
    try program(script)
    #expect { try open(stall: 1) } throws: { error in
      let error = error as? DumpError
      return error?.kind == .system(code) && error?.what.contains(word) == true && error?.description.contains("\n") == false
    }
  }

  @Test(arguments: [
    "true", "echo nonsense", "echo mcore-directory 0", "echo mcore-directory 99999999999999999999999",
    "head -c 100000 /dev/zero",
  ])
  func garbageIsToldAsSuch(script: String) throws {
    try program(script)
    #expect { try open() } throws: { ("\($0)").contains("does not answer as a shell does") }
  }

  @Test func aFullDiskOnTheFarSideIsFull() throws {
    let destination = try open()
    try program("head -c 1000 >/dev/null; echo 'cat: write error: No space left on device' >&2; exit 1")
    let sink = try destination.openDump(fileName: "vmcore.elf")
    #expect {
      for _ in 0..<100 { try sink.write(content) }
    } throws: { ($0 as? DumpError)?.kind == .full }
  }
}
