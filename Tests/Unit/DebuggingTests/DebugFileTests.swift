import CoreEncoding
import CrashedKernel
import DumpBasics
import Foundation
import KernelReport
import LinuxSystem
import TestSupport
import Testing

@testable import Debugging

/// A vmlinux with nothing in it but what says which one it is.
private struct TinyVmlinux {
  var id: [UInt8] = Array(1...20)
  var machine: UInt16 = 62
  var debugSection = ".debug_info"
  var order = ByteOrder.little

  var hexID: String { id.map { String(format: "%02x", $0) }.joined() }

  func bytes() -> [UInt8] {
    let note = ELF64.encodeNotes([DumpNote(name: "GNU", type: 3, descriptor: id)], order)
    let names = Array("\0.notes\0\(debugSection)\0.shstrtab\0".utf8)
    let debug = [UInt8](repeating: 0xaa, count: 40)
    let contents: [(name: Int, type: UInt32, bytes: [UInt8])] = [
      (0, 0, []), (1, 7, note), (8, 1, debug), (9 + debugSection.utf8.count, 3, names),
    ]
    var header = ByteWriter(order)
    header.append([0x7f, 0x45, 0x4c, 0x46, 2, order.rawValue, 1] + [UInt8](repeating: 0, count: 9))
    header.u16(2)
    header.u16(machine)
    header.u32(1)
    for word in [0, 0, 64] as [UInt64] { header.u64(word) }
    header.u32(0)
    for half in [64, 56, 0, 64, UInt16(contents.count), 3] as [UInt16] { header.u16(half) }
    var table = ByteWriter(order)
    var data: [UInt8] = []
    for section in contents {
      table.u32(UInt32(section.name))
      table.u32(section.type)
      table.u64(0)
      table.u64(0)
      table.u64(UInt64(64 + 64 * contents.count + data.count))
      table.u64(UInt64(section.bytes.count))
      table.zeros(24)
      data += section.bytes + [UInt8](repeating: 0, count: (8 - section.bytes.count % 8) % 8)
    }
    return header.bytes + table.bytes + data
  }

  func write(to path: String) throws {
    let url = URL(fileURLWithPath: path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes()).write(to: url)
  }
}

private func search(_ scratch: Scratch, id: String? = TinyVmlinux().hexID, release: String? = "6.1.0-test") -> DebugFileSearch {
  var search = DebugFileSearch(release: release, buildID: KernelBuildID(inMemory: id), machine: .x86_64)
  search.root = scratch.path
  return search
}

@Suite(.serialized) struct DebugFileTests {
  @Test(arguments: [ByteOrder.little, .big]) func aVmlinuxSaysWhichItIs(order: ByteOrder) throws {
    let scratch = try Scratch()
    var vmlinux = TinyVmlinux()
    vmlinux.order = order
    vmlinux.machine = 183
    try vmlinux.write(to: scratch.file("vmlinux"))
    let file = try DebugFile(scratch.file("vmlinux"))
    #expect(file.buildID == "0102030405060708090a0b0c0d0e0f1011121314")
    #expect(file.machine == .arm64)
    #expect(file.hasDebugInformation)
    vmlinux.debugSection = ".debug_infos"
    try vmlinux.write(to: scratch.file("stripped"))
    #expect(try !DebugFile(scratch.file("stripped")).hasDebugInformation)
  }

  @Test func whatIsNoELFFileIsRefused() throws {
    let scratch = try Scratch()
    try Data("#!/bin/sh\n".utf8).write(to: URL(fileURLWithPath: scratch.file("script")))
    let error = #expect(throws: DumpError.self) { try DebugFile(scratch.file("script")) }
    #expect(error?.description.contains("no ELF file") == true)
    #expect(throws: DumpError.self) { try DebugFile(scratch.file("nothing")) }
  }

  /// Each byte of the headers as 0, 255 and flipped: it is read, or refused, and that is all.
  @Test func damagedHeadersNeverTrap() throws {
    let scratch = try Scratch()
    let whole = TinyVmlinux().bytes()
    let path = scratch.file("vmlinux")
    for offset in 0..<64 + 4 * 64 {
      for value in [255, whole[offset] ^ 0x80] as [UInt8] {
        var bytes = whole
        bytes[offset] = value
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        _ = try? DebugFile(path)
      }
    }
    for count in stride(from: 0, to: whole.count, by: 5) {
      try Data(whole[..<count]).write(to: URL(fileURLWithPath: path))
      _ = try? DebugFile(path)
    }
  }

  @Test func eachPlaceIsLookedAtInOrder() throws {
    let scratch = try Scratch()
    let places = [
      "/usr/lib/debug/.build-id/01/02030405060708090a0b0c0d0e0f1011121314.debug", "/usr/lib/debug/boot/vmlinux-6.1.0-test",
      "/usr/lib/debug/lib/modules/6.1.0-test/vmlinux", "/usr/lib/debug/usr/lib/modules/6.1.0-test/vmlinux",
      "/lib/modules/6.1.0-test/build/vmlinux",
    ]
    #expect(search(scratch).places == places.map { scratch.path + $0 })
    // From the last to the first: each that is added is the one found.
    for place in places.reversed() {
      try TinyVmlinux().write(to: scratch.path + place)
      #expect(try search(scratch).find().path == scratch.path + place)
    }
  }

  @Test func aReleaseLeadsNowhereElse() throws {
    let scratch = try Scratch()
    for release in ["../../tmp/x", "a/b", "..", "", "a\0b"] {
      #expect(search(scratch, id: nil, release: release).places.isEmpty)
    }
  }

  @Test func anotherKernelIsRefusedByNameAndTakenByForce() throws {
    let scratch = try Scratch()
    var other = TinyVmlinux()
    other.id[0] = 0xff
    let path = scratch.path + "/usr/lib/debug/boot/vmlinux-6.1.0-test"
    try other.write(to: path)
    let error = #expect(throws: DumpError.self) { try search(scratch).find() }
    let words = ["no vmlinux", path, other.hexID, TinyVmlinux().hexID, "linux-image-6.1.0-test-dbg", "--vmlinux"]
    for word in words { #expect(error?.description.contains(word) == true, "\(word)") }
    let named = #expect(throws: DumpError.self) { try search(scratch).named(path) }
    #expect(named?.description.contains("another kernel") == true)
    #expect(named?.kind == .usage)
    var forced = search(scratch)
    forced.force = true
    #expect(try forced.named(path).buildID == other.hexID)
  }

  @Test func theKernelsOwnNoteCountsMoreThanVMCOREINFO() throws {
    let scratch = try Scratch()
    let path = scratch.path + "/usr/lib/debug/boot/vmlinux-6.1.0-test"
    try TinyVmlinux().write(to: path)
    var search = search(scratch)
    // Garbage of a stable kernel beside the truth.
    search.buildID = KernelBuildID(inMemory: TinyVmlinux().hexID, noted: "ffee")
    #expect(try search.find().path == path)
    // VMCOREINFO alone has to be right.
    search.buildID = KernelBuildID(noted: TinyVmlinux().hexID)
    #expect(try search.find().path == path)
    search.buildID = KernelBuildID(noted: "ffee")
    #expect(throws: DumpError.self) { try search.find() }
    search.buildID = KernelBuildID(inMemory: "ffee", noted: TinyVmlinux().hexID)
    #expect(throws: DumpError.self) { try search.find() }
    // Of a kernel without any build ID the release has to do.
    search.buildID = KernelBuildID()
    #expect(try search.find().path == path)
  }

  @Test func ofAnotherMachineOrWithoutDebugInformationItIsNoUse() throws {
    let scratch = try Scratch()
    var vmlinux = TinyVmlinux()
    let path = scratch.path + "/usr/lib/debug/boot/vmlinux-6.1.0-test"
    vmlinux.machine = 183
    try vmlinux.write(to: path)
    #expect(#expect(throws: DumpError.self) { try search(scratch).find() }?.description.contains("arm64") == true)
    vmlinux.machine = 62
    vmlinux.debugSection = ".text"
    try vmlinux.write(to: path)
    #expect(#expect(throws: DumpError.self) { try search(scratch).find() }?.description.contains("no debug information") == true)
  }

  @Test func debuginfodIsAskedWhereAServerIsSet() throws {
    let scratch = try Scratch()
    let script = scratch.file("bin/debuginfod-find")
    try TinyVmlinux().write(to: scratch.file("fetched"))
    try FileManager.default.createDirectory(atPath: scratch.file("bin"), withIntermediateDirectories: true)
    try Data("#!/bin/sh\necho \"$@\" >\"$0.words\"\necho noise >&2\necho '\(scratch.file("fetched"))'\n".utf8)
      .write(to: URL(fileURLWithPath: script))
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
    let path = System.environment("PATH") ?? ""
    defer { System.setEnvironment("PATH", path) }
    defer { System.setEnvironment("DEBUGINFOD_URLS", "") }
    System.setEnvironment("PATH", scratch.file("bin") + ":/usr/bin:/bin")
    System.setEnvironment("DEBUGINFOD_URLS", "")
    #expect(throws: DumpError.self) { try search(scratch).find() }
    System.setEnvironment("DEBUGINFOD_URLS", "http://localhost:1")
    #expect(try search(scratch).find().path == scratch.file("fetched"))
    #expect(try String(contentsOfFile: script + ".words", encoding: .utf8) == "debuginfo \(TinyVmlinux().hexID)\n")
    // What it gives is checked too.
    var other = TinyVmlinux()
    other.id[0] = 9
    try other.write(to: scratch.file("fetched"))
    #expect(#expect(throws: DumpError.self) { try search(scratch).find() }?.description.contains("another kernel") == true)
    try Data("#!/bin/sh\necho 'Server query failed: No such file' >&2\nexit 1\n".utf8).write(to: URL(fileURLWithPath: script))
    #expect(#expect(throws: DumpError.self) { try search(scratch).find() }?.description.contains("Server query failed") == true)
  }

  @Test func theWordsOfEachProgram() {
    #expect(
      DebugTool.crash.arguments(vmlinux: "v", core: "c", offset: 16, ["-s", "-i", "x"]) == ["v", "c", "-s", "-i", "x"])
    #expect(DebugTool.drgn.arguments(vmlinux: "v", core: "c", offset: 16, ["x.py"]) == ["-c", "c", "-s", "v", "x.py"])
    #expect(DebugTool.gdb.arguments(vmlinux: "v", core: "c", offset: 0, ["-batch"]) == ["v", "c", "-batch"])
    #expect(
      DebugTool.gdb.arguments(vmlinux: "/a \"b\\", core: "c", offset: 0x1a00_0000, ["-batch"]) == [
        "-c", "c", "-ex", "symbol-file -o 0x1a000000 \"/a \\\"b\\\\\"", "-batch",
      ])
    #expect(DebugTool.allCases.map { $0.reads(.kdump) } == [true, true, false])
  }

  /// What VMCOREINFO of Debian's 6.12, 6.12-16k and 6.1 for arm64 says.
  @Test(
    arguments: [
      ("52", "0x10", "0xfff0edd940000000", 0xffff_edd9_4000_0000), ("52", "0x11", "0xfff0800040000000", 0x4000_0000),
      ("48", "0x10", "0xffffda0a40000000", nil), ("52", "0xc", "0x40000000", nil),
    ] as [(String, String, String, UInt64?)])
  func crashIsToldWhereTheDirectMapOfARM64Starts(bits: String, t1sz: String, counted: String, start: UInt64?) {
    let lines = "NUMBER(VA_BITS)=\(bits)\nNUMBER(TCR_EL1_T1SZ)=\(t1sz)\nNUMBER(PHYS_OFFSET)=\(counted)\n"
    #expect(DebugTool.physicalOffset(VMCoreInfo(Array(lines.utf8))) == start)
    let words = DebugTool.crash.arguments(vmlinux: "v", core: "c", offset: 0, physicalOffset: 0x4000_0000, ["-s"])
    #expect(words == ["v", "c", "--machdep", "phys_offset=0x40000000", "-s"])
  }
}
