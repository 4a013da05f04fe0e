import DumpBasics
import Foundation
import Testing

@testable import DumpTarget
@testable import LinuxSystem

// Faults are planned for the whole process: all tests that touch files stand in one serialised suite.
@Suite(.serialized) struct DestinationTests {
  private let content = [UInt8](repeating: 7, count: 10_000)

  /// Writes a small dump through `destination`, the way Capture does.
  private func fill(_ destination: any Destination) throws -> String {
    do {
      try destination.writeSideFile("dmesg.txt", Array("log\n".utf8))
      let sink = try destination.openDump(fileName: "vmcore.elf")
      try sink.write(content)
      try sink.skip(100_000)
      try sink.write(content)
      try sink.skip(5000)
      try sink.finish()
      try destination.writeSideFile("dump.json", Array("{}\n".utf8))
      return try destination.complete()
    } catch {
      _ = destination.abandon(note: "cut: \(error)\n")
      throw error
    }
  }

  private var expected: [UInt8] {
    content + [UInt8](repeating: 0, count: 100_000) + content + [UInt8](repeating: 0, count: 5000)
  }

  // MARK: directories

  @Test func aDirectoryIsIncompleteUntilItIsWhole() throws {
    let scratch = try Scratch()
    let destination = try openTarget(scratch.path, dumpName: "d")
    #expect(destination.acceptsSideFiles)
    #expect(try scratch.names() == ["d.incomplete"])
    #expect(try scratch.names("d.incomplete") == ["INCOMPLETE.txt"])
    #expect(try fill(destination) == scratch.file("d"))
    #expect(try scratch.names() == ["d"])
    #expect(try scratch.names("d") == ["dmesg.txt", "dump.json", "vmcore.elf"])
    #expect(try scratch.bytes("d/vmcore.elf") == expected)
    #expect(try scratch.mode("d") == 0o700)
    for name in try scratch.names("d") { #expect(try scratch.mode("d/\(name)") == 0o600) }
  }

  @Test func takenNamesGetANumber() throws {
    let scratch = try Scratch()
    #expect(try fill(openTarget(scratch.path, dumpName: "d")) == scratch.file("d"))
    let cut = try openTarget(scratch.path, dumpName: "d")
    #expect(cut.abandon(note: "stopped\n") == scratch.file("d-2.incomplete"))
    #expect(try fill(openTarget(scratch.path, dumpName: "d")) == scratch.file("d-3"))
    #expect(try scratch.names() == ["d", "d-2.incomplete", "d-3"])
  }

  @Test func whatIsAbandonedSaysHowFarItGot() throws {
    let scratch = try Scratch()
    let destination = try openTarget(scratch.path, dumpName: "d")
    let sink = try destination.openDump(fileName: "vmcore.elf")
    try sink.write(content)
    #expect(destination.abandon(note: "10000 bytes\n") == scratch.file("d.incomplete"))
    #expect(try scratch.names("d.incomplete") == ["INCOMPLETE.txt", "vmcore.elf"])
    #expect(try scratch.bytes("d.incomplete/vmcore.elf") == content)
    #expect(String(decoding: try scratch.bytes("d.incomplete/INCOMPLETE.txt"), as: UTF8.self) == "10000 bytes\n")
    #expect(throws: DumpError.self) { try sink.write(content) }
  }

  @Test func aSideFileIsReplacedAsAWhole() throws {
    let scratch = try Scratch()
    let destination = try openTarget(scratch.path, dumpName: "d")
    try destination.writeSideFile("dump.json", Array("first, and long".utf8))
    try destination.writeSideFile("dump.json", Array("second".utf8))
    Faults.set([.init(call: .write, after: 0, errno: ENOSPC)])
    defer { Faults.set([]) }
    #expect(throws: DumpError.self) { try destination.writeSideFile("dump.json", Array("third".utf8)) }
    #expect(try scratch.bytes("d.incomplete/dump.json") == Array("second".utf8))
    #expect(try scratch.names("d.incomplete") == ["INCOMPLETE.txt", "dump.json"])
  }

  @Test func holesAreHoles() throws {
    let scratch = try Scratch()
    let destination = try openTarget(scratch.file("f"), dumpName: "d")
    let sink = try destination.openDump(fileName: "x")
    try sink.write(content)
    try sink.skip(1 << 30)
    try sink.finish()
    _ = try destination.complete()
    var info = stat()
    #expect(stat(scratch.file("f"), &info) == 0)
    #expect(info.st_size == (1 << 30) + 10_000)
    #expect(info.st_blocks * 512 < 1 << 20)
  }

  // MARK: every call can fail, at every place

  private static let calls: [System.Call] = [.write, .fsync, .rename, .mkdir, .open, .unlink, .ftruncate, .lseek]
  private static let codes: [Int32] = [EIO, ENOSPC, EDQUOT, EROFS, EACCES, ENOMEM]

  /// Whatever fails: either the dump is whole under its final name, or nothing stands under that name. And a
  /// failure is reported, or the dump is there.
  @Test(arguments: calls, codes)
  func noFailureMakesACutDumpLookWhole(call: System.Call, code: Int32) throws {
    for target in ["", "file"] {
      for after in 0..<12 {
        let scratch = try Scratch()
        Faults.set([.init(call: call, after: after, errno: code)])
        defer { Faults.set([]) }
        let path: String?
        do { path = try fill(openTarget(target.isEmpty ? scratch.path : scratch.file(target), dumpName: "d")) } catch {
          let error = try #require(error as? DumpError)
          let isFull = code == ENOSPC || code == EDQUOT
          #expect(error.kind == (isFull ? .full : .system(code)), "\(error)")
          path = nil
        }
        Faults.set([])
        let names = try scratch.names()
        if path != nil {
          #expect(names == [target.isEmpty ? "d" : "file"])
          #expect(try scratch.bytes(target.isEmpty ? "d/vmcore.elf" : "file") == expected)
        } else {
          #expect(names.allSatisfy { $0.hasSuffix(".incomplete") }, "\(call) \(after): \(names)")
        }
      }
    }
  }

  @Test func aDiskThatKeepsFailingLeavesWhatThereIs() throws {
    for call in DestinationTests.calls {
      for after in 0..<12 {
        let scratch = try Scratch()
        Faults.set([.init(call: call, after: after, errno: EIO, times: .max)])
        defer { Faults.set([]) }
        _ = try? fill(openTarget(scratch.path, dumpName: "d"))
        Faults.set([])
        // A rename that can't be undone leaves a dump whose files are whole and synced.
        for name in try scratch.names() where name == "d" { #expect(try scratch.bytes("d/vmcore.elf") == expected) }
      }
    }
  }

  @Test func shortWritesAndInterruptedWritesChangeNothing() throws {
    let scratch = try Scratch()
    Faults.set([.init(call: .write, after: 0, errno: nil, shortTo: 100)])
    defer { Faults.set([]) }
    _ = try fill(openTarget(scratch.path, dumpName: "d"))
    #expect(try scratch.bytes("d/vmcore.elf") == expected)
  }

  @Test func aRealDiskThatIsFullKeepsTheDumpSoFarAndTheNote() throws {
    let scratch = try Scratch()
    let small = scratch.file("small")
    #expect(mkdir(small, 0o700) == 0)
    guard (try? System.mount("tmpfs", on: small, type: "tmpfs", options: "size=1m")) != nil else { return }
    defer { try? System.unmount(small) }
    let destination = try openTarget(small, dumpName: "d")
    let sink = try destination.openDump(fileName: "vmcore.elf")
    var written = 0
    #expect {
      for _ in 0..<300 {
        try sink.write(content)
        written += content.count
      }
    } throws: { ($0 as? DumpError)?.kind == .full }
    #expect(written > 800_000)
    #expect(destination.abandon(note: "\(written) bytes\n") == "\(small)/d.incomplete")
    let note = String(decoding: try scratch.bytes("small/d.incomplete/INCOMPLETE.txt"), as: UTF8.self)
    #expect(note.hasPrefix("\(written) bytes\n"))
    #expect(try scratch.bytes("small/d.incomplete/vmcore.elf").count >= written)
  }

  // MARK: files and paths

  @Test func aFileTakesTheDumpAlone() throws {
    let scratch = try Scratch()
    let destination = try openTarget(scratch.file("out"), dumpName: "d")
    #expect(!destination.acceptsSideFiles)
    #expect(try scratch.names() == ["out.incomplete"])
    #expect(try fill(destination) == scratch.file("out"))
    #expect(try scratch.names() == ["out"])
    #expect(try scratch.bytes("out") == expected)
    #expect(try scratch.mode("out") == 0o600)
  }

  @Test func anEarlierCutFileIsLeftAlone() throws {
    let scratch = try Scratch()
    try Data("old".utf8).write(to: URL(fileURLWithPath: scratch.file("out.incomplete")))
    #expect(try fill(openTarget(scratch.file("out"), dumpName: "d")) == scratch.file("out"))
    #expect(try scratch.bytes("out.incomplete") == Array("old".utf8))
    #expect(try scratch.names() == ["out", "out.incomplete"])
  }

  @Test func aFileThatExistsIsNotOverwritten() throws {
    let scratch = try Scratch()
    try Data("old".utf8).write(to: URL(fileURLWithPath: scratch.file("out")))
    #expect(throws: DumpError.self) { try openTarget(scratch.file("out"), dumpName: "d") }
    #expect(try scratch.bytes("out") == Array("old".utf8))
  }

  @Test(arguments: ["/nowhere/at/all", "/dev/null", "/dev/mcore-no-such-disk", "/tmp/mcore-no-such-directory/"])
  func pathsThatCanNotBeTargets(path: String) {
    #expect { try openTarget(path, dumpName: "d") } throws: { error in
      (error as? DumpError)?.kind == .usage && (error as? DumpError)?.advice.isEmpty == false
    }
  }

  @Test func aDiskThatIsNotThereIsAnErrorAtOnce() throws {
    #expect { try openTarget("/dev/mcore-no-such-disk:/x", dumpName: "d") } throws: { ("\($0)").contains("no such disk") }
    let spec = try TargetSpec("/dev/mcore-no-such-disk:/x")
    var waits = 0
    #expect(!spec.waitUntilPresent(seconds: 1) { waits += 1 })
    #expect(waits == 1)
    #expect(try TargetSpec("/tmp").waitUntilPresent(seconds: 9) { waits += 1 })
    #expect(waits == 1)
  }

  @Test func directoriesAreMadeWithTheirParents() throws {
    let scratch = try Scratch()
    try makeDirectories(scratch.file("var/crash"))
    #expect(try scratch.mode("var") == 0o755)
    #expect(try scratch.mode("var/crash") == 0o700)
    try makeDirectories(scratch.file("var/crash"))
    try Data().write(to: URL(fileURLWithPath: scratch.file("var/file")))
    #expect(throws: DumpError.self) { try makeDirectories(scratch.file("var/file/x")) }
  }

  /// EINVAL is what file systems say that can't do it (fsync(2)); anything else is a failure.
  @Test func aDirectoryThatCanNotBeSyncedIsToldAndTolerated() throws {
    let scratch = try Scratch()
    _ = System.takeUnsyncedDirectories()
    Faults.set([.init(call: .fsync, after: 0, errno: EINVAL)])
    defer { Faults.set([]) }
    try System.synchronizeDirectory(scratch.path)
    #expect(System.takeUnsyncedDirectories() && !System.takeUnsyncedDirectories())
    Faults.set([.init(call: .fsync, after: 0, errno: EIO)])
    #expect(throws: DumpError.self) { try System.synchronizeDirectory(scratch.path) }
  }

  // MARK: streams

  @Test func zerosAreWrittenToAStream() throws {
    let scratch = try Scratch()
    let out = try File(scratch.file("stream"), .create)
    let destination = StandardOutputDestination(descriptor: out.descriptor)
    #expect(!destination.acceptsSideFiles)
    _ = try fill(destination)
    #expect(try scratch.bytes("stream") == expected)
  }

  // MARK: a real disk

  /// A file system in a file, on a loop device. Nil where that is not allowed.
  private func loopDisk(_ scratch: Scratch) throws -> String? {
    let image = scratch.file("disk.img")
    guard let made = try? System.run(Command("mkfs.ext4", ["-q", "-F", image, "8M"], output: .collect)), made.end == .exited(0),
      let loop = try? System.run(Command("losetup", ["-f", "--show", image], output: .collect)), loop.end == .exited(0)
    else { return nil }
    return loop.output
  }

  @Test func aDiskIsMountedWrittenAndUnmounted() throws {
    let scratch = try Scratch()
    guard let disk = try loopDisk(scratch) else { return }
    defer { _ = try? System.run(Command("losetup", ["-d", disk])) }
    for expectedName in ["d", "d-2"] {
      #expect(try fill(openTarget("\(disk):/var/crash", dumpName: "d")) == "\(disk):/var/crash/\(expectedName)")
      #expect(try MountTable.current().allSatisfy { $0.source != disk })
    }
    let cut = try openTarget("\(disk):/var/crash", dumpName: "d")
    #expect(cut.abandon(note: "x") == "\(disk):/var/crash/d-3.incomplete")
    #expect(try MountTable.current().allSatisfy { $0.source != disk })

    // Mounted already: the mount is used and stays.
    let point = scratch.file("mnt")
    #expect(mkdir(point, 0o700) == 0)
    try System.mount(disk, on: point, type: "ext4")
    defer { try? System.unmount(point) }
    #expect(try scratch.names("mnt/var/crash") == ["d", "d-2", "d-3.incomplete"])
    #expect(try scratch.bytes("mnt/var/crash/d/vmcore.elf") == expected)
    #expect(try fill(openTarget("\(disk):/other", dumpName: "d")) == "\(point)/other/d")
    #expect(try MountTable.current().contains { $0.point == point })
  }

  @Test func aDiskWithoutAFileSystemIsToldByMountItself() throws {
    let scratch = try Scratch()
    guard let disk = try loopDisk(scratch) else { return }
    defer { _ = try? System.run(Command("losetup", ["-d", disk])) }
    try File(disk, .readWrite).write([UInt8](repeating: 0, count: 8192))
    #expect { try openTarget("\(disk):/x", dumpName: "d") } throws: { ("\($0)").contains("cannot mount") }
    #expect(try System.names(in: "/run").allSatisfy { !$0.hasPrefix("mcore-mount-\(System.processID)") })
  }
}
