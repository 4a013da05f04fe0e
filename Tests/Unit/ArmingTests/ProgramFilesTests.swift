import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming

private func run(_ program: String, _ arguments: [String]) throws -> String {
  let process = Process()
  let pipe = Pipe()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  process.standardOutput = pipe
  try process.run()
  let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return text
}

/// The libraries of a real program are those that the loader itself names.
@Test(arguments: ["/bin/bash", "/usr/bin/python3"]) func librariesAreThoseOfTheLoader(program: String) throws {
  var files = ProgramFiles()
  try files.add(program: program)
  let names = Set(files.entries.map(\.name))
  let told = try run("/usr/bin/ldd", [program]).split(separator: "\n").compactMap { line -> String? in
    let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
    return words.first.map(String.init).flatMap { $0.contains("vdso") ? nil : ($0 as NSString).lastPathComponent }
  }
  #expect(told.count >= 3)
  #expect(Set(names.map { ($0 as NSString).lastPathComponent }) == Set(told + [(program as NSString).lastPathComponent]))
  #expect(files.entries.first?.name == String(program.dropFirst()))
  #expect(files.entries.allSatisfy { FileManager.default.isReadableFile(atPath: $0.source) })
  // Parents come first.
  #expect(
    files.directories.first { $0.contains("/") }.map { files.directories.contains(($0 as NSString).deletingLastPathComponent) }
      ?? true)
}

/// What is collected runs where nothing else is, as in a crash initramfs.
@Test func whatIsCollectedRunsByItself() throws {
  try #require(getuid() == 0, "chroot(8) needs root")
  let scratch = try Scratch()
  try "#!/usr/bin/env bash\necho \"it runs in $BASH\"\n".write(toFile: scratch.file("hook"), atomically: true, encoding: .utf8)
  var files = ProgramFiles()
  try files.add(program: scratch.file("hook"), as: "hook")
  let tree = scratch.file("tree")
  for directory in files.directories {
    try FileManager.default.createDirectory(atPath: "\(tree)/\(directory)", withIntermediateDirectories: true)
  }
  try FileManager.default.createDirectory(atPath: tree, withIntermediateDirectories: true)
  for entry in files.entries {
    try FileManager.default.copyItem(atPath: entry.source, toPath: "\(tree)/\(entry.name)")
    if entry.isExecutable {
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(tree)/\(entry.name)")
    }
  }
  #expect(try run("/usr/sbin/chroot", [tree, "/hook"]) == "it runs in /usr/bin/bash\n")
}

/// A script leads to its interpreter; the shell of the initramfs is there already.
@Test func scriptsLeadToTheirInterpreters() throws {
  let scratch = try Scratch()
  func script(_ text: String) throws -> String {
    try text.write(toFile: scratch.file("script"), atomically: true, encoding: .utf8)
    return scratch.file("script")
  }
  var files = ProgramFiles()
  try files.add(program: script("#!/bin/sh -e\n"), as: "a")
  #expect(files.entries.map(\.name) == ["a"])
  try files.add(program: script("#! /bin/bash\n"), as: "b")
  #expect(files.entries.prefix(3).map(\.name) == ["a", "b", "bin/bash"])
  // It is there once, whoever needs it.
  let count = files.entries.count
  try files.add(program: script("#!/bin/bash\n"), as: "c")
  try files.add(program: "/bin/bash")
  #expect(files.entries.count == count + 1)
  try files.add(file: "/etc/passwd")
  #expect(files.entries.last == ProgramFiles.Entry(name: "etc/passwd", source: "/etc/passwd", isExecutable: false))
  for (text, what) in [
    ("#!/not/there\n", "/not/there"), ("echo\n", "neither an ELF program nor a script"), ("#!sh\n", "no interpreter's path"),
  ] {
    let error = #expect(throws: DumpError.self) { try files.add(program: script(text), as: text) }
    #expect(error?.description.contains(what) == true && error?.description.contains(scratch.file("script")) == true)
  }
  #expect(throws: DumpError.self) { try files.add(program: "no-such-program") }
}

/// A shared library outside of the loader's own directories goes where the loader finds it, and a missing one
/// is named.
@Test func librariesElsewhereAreFound() throws {
  let scratch = try Scratch()
  let root = scratch.file("root")
  func write(_ path: String, _ bytes: [UInt8]) throws {
    try FileManager.default.createDirectory(
      atPath: (root + path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: root + path))
  }
  try write("/opt/app/bin/tool", elf(needed: ["liba.so", "libc.so.6"], runPath: "$ORIGIN/../lib"))
  try write("/opt/app/lib/liba.so", elf(needed: ["libb.so.1"]))
  try write("/opt/other/libb.so.1", elf(needed: []))
  try write("/usr/lib64/libc.so.6", elf(needed: []))
  try write("/etc/ld.so.conf.d/other.conf", Array("# more\n/opt/other # here\n".utf8))
  var files = ProgramFiles(root: root)
  try files.add(program: "/opt/app/bin/tool")
  #expect(
    Set(files.entries.map(\.name))
      == ["opt/app/bin/tool", "usr/lib64/liba.so", "usr/lib64/libb.so.1", "usr/lib64/libc.so.6"])
  try write("/opt/app/lib/liba.so", elf(needed: ["libgone.so"]))
  var others = ProgramFiles(root: root)
  let error = #expect(throws: DumpError.self) { try others.add(program: "/opt/app/bin/tool") }
  #expect(error?.description.contains("libgone.so") == true)
}

/// No byte of a program brings the reader down.
@Test func damagedProgramsAreRefusedOrRead() throws {
  let scratch = try Scratch()
  let good = elf(needed: ["libc.so.6"], runPath: "/x")
  #expect(try DynamicLinks(written(good, scratch)).needed == ["libc.so.6"])
  for place in good.indices {
    for value in [0, 0x7f, 0xff] as [UInt8] {
      var bytes = good
      bytes[place] = value
      _ = try? DynamicLinks(written(bytes, scratch))
    }
  }
  for length in stride(from: 0, to: good.count, by: 7) { _ = try? DynamicLinks(written(Array(good.prefix(length)), scratch)) }
}

private func written(_ bytes: [UInt8], _ scratch: Scratch) throws -> String {
  try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("elf")))
  return scratch.file("elf")
}

/// A little ELF file with one PT_LOAD over all of it and a dynamic section.
private func elf(needed: [String], runPath: String? = nil) -> [UInt8] {
  var strings: [UInt8] = [0]
  func offset(_ text: String) -> UInt64 {
    defer { strings += Array(text.utf8) + [0] }
    return UInt64(strings.count)
  }
  var entries = needed.map { (UInt64(1), offset($0)) }
  if let runPath { entries.append((29, offset(runPath))) }
  let dynamicAt = UInt64(64 + 2 * 56)
  let stringsAt = dynamicAt + UInt64(16 * (entries.count + 3))
  entries += [(5, 0x1000 + stringsAt), (10, UInt64(strings.count)), (0, 0)]
  var writer = ByteWriter(.little)
  writer.append([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8))
  for value in [3, 62] as [UInt16] { writer.u16(value) }
  writer.u32(1)
  for value in [0, 64, 0] as [UInt64] { writer.u64(value) }
  writer.u32(0)
  for value in [64, 56, 2, 64, 0, 0] as [UInt16] { writer.u16(value) }
  let size = stringsAt + UInt64(strings.count)
  for (type, at, bytes) in [(1, 0, size), (2, dynamicAt, UInt64(16 * entries.count))] as [(UInt32, UInt64, UInt64)] {
    writer.u32(type)
    writer.u32(4)
    for value in [at, 0x1000 + at, 0x1000 + at, bytes, bytes, 8] { writer.u64(value) }
  }
  for (tag, value) in entries {
    writer.u64(tag)
    writer.u64(value)
  }
  writer.append(strings)
  return writer.bytes
}
