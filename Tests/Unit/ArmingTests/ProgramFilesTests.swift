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

private func source(_ file: ImageFile) -> String {
  if case .copy(let path) = file.content { path } else { "" }
}

/// The libraries of a real program are those that the loader itself names.
@Test(arguments: ["/bin/bash", "/usr/bin/python3"]) func librariesAreThoseOfTheLoader(program: String) throws {
  var files = ProgramFiles()
  try files.add(program: program)
  let names = Set(files.files.map(\.name))
  let told = try run("/usr/bin/ldd", [program]).split(separator: "\n").compactMap { line -> String? in
    let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
    return words.first.map(String.init).flatMap { $0.contains("vdso") ? nil : ($0 as NSString).lastPathComponent }
  }
  #expect(told.count >= 3)
  #expect(Set(names.map { ($0 as NSString).lastPathComponent }) == Set(told + [(program as NSString).lastPathComponent]))
  #expect(files.files.first?.name == String(program.dropFirst()))
  #expect(files.files.allSatisfy { FileManager.default.isReadableFile(atPath: source($0)) })
}

/// What is collected runs where nothing else is, as in a crash initramfs.
@Test func whatIsCollectedRunsByItself() throws {
  try #require(getuid() == 0, "chroot(8) needs root")
  let scratch = try Scratch()
  try "#!/usr/bin/env bash\necho \"it runs in $BASH\"\n".write(toFile: scratch.file("hook"), atomically: true, encoding: .utf8)
  var files = ProgramFiles()
  try files.add(program: scratch.file("hook"), as: "hook")
  let tree = scratch.file("tree")
  for file in files.files {
    let place = "\(tree)/\(file.name)"
    try FileManager.default.createDirectory(
      atPath: (place as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: source(file), toPath: place)
    try FileManager.default.setAttributes([.posixPermissions: Int(file.mode)], ofItemAtPath: place)
  }
  #expect(try run("/usr/sbin/chroot", [tree, "/hook"]) == "it runs in /usr/bin/bash\n")
}

/// The kernel unpacks in order: parents come first, each once, and none that the start of the initramfs has.
@Test func directoriesComeBeforeWhatIsInThem() throws {
  let scratch = try Scratch()
  for name in ["base", "x"] { try Data().write(to: URL(fileURLWithPath: scratch.file(name))) }
  let archive = try CpioArchive(scratch.file("image"), beginningWith: scratch.file("base"))
  let names = ["usr/lib/a/one", "usr/lib/two", "bin/three"]
  try archive.add(names.map { ImageFile(name: $0, content: .copy(scratch.file("x")), kind: .program) })
  try archive.finish()
  let image = Array(try Data(contentsOf: URL(fileURLWithPath: scratch.file("image"))))
  func places(_ name: String) -> Int { image.ranges(of: Array((name + "\0").utf8)).count }
  func place(_ name: String) throws -> Int { try #require(image.firstRange(of: Array((name + "\0").utf8))).lowerBound }
  #expect(try place("usr") < place("usr/lib") && place("usr/lib") < place("usr/lib/a") && place("usr/lib/a") < place(names[0]))
  #expect(places("usr/lib") == 1 && places("usr/lib/two") == 1 && places("bin") == 0)
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
  #expect(files.files.map(\.name) == ["a"])
  try files.add(program: script("#! /bin/bash\n"), as: "b")
  #expect(files.files.prefix(3).map(\.name) == ["a", "b", "bin/bash"])
  // It is there once, whoever needs it.
  let count = files.files.count
  try files.add(program: script("#!/bin/bash\n"), as: "c")
  try files.add(program: "/bin/bash")
  #expect(files.files.count == count + 1)
  try files.add(file: "/etc/passwd")
  #expect(files.files.last == ImageFile(name: "etc/passwd", content: .copy("/etc/passwd")))
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
  try write("/opt/app/bin/tool", elf(["liba.so", "libc.so.6"], runpath: "$ORIGIN/../lib"))
  try write("/opt/app/lib/liba.so", elf(["libb.so.1"]))
  try write("/opt/other/libb.so.1", elf([]))
  try write("/usr/lib64/libc.so.6", elf([]))
  try write("/etc/ld.so.conf.d/other.conf", Array("# more\n/opt/other # here\n".utf8))
  var files = ProgramFiles(root: root)
  try files.add(program: "/opt/app/bin/tool")
  #expect(
    Set(files.files.map(\.name))
      == ["opt/app/bin/tool", "usr/lib64/liba.so", "usr/lib64/libb.so.1", "usr/lib64/libc.so.6"])
  try write("/opt/app/lib/liba.so", elf(["libgone.so"]))
  var others = ProgramFiles(root: root)
  let error = #expect(throws: DumpError.self) { try others.add(program: "/opt/app/bin/tool") }
  #expect(error?.description.contains("libgone.so") == true)
}

/// No byte of a program brings the reader down.
@Test func damagedProgramsAreRefusedOrRead() throws {
  let scratch = try Scratch()
  let good = elf(["libc.so.6"], runpath: "/x")
  #expect(try ELFObject(written(good, scratch)).needed == ["libc.so.6"])
  for place in good.indices {
    for value in [0, 0x7f, 0xff] as [UInt8] {
      var bytes = good
      bytes[place] = value
      _ = try? ELFObject(written(bytes, scratch))
    }
  }
  for length in stride(from: 0, to: good.count, by: 7) { _ = try? ELFObject(written(Array(good.prefix(length)), scratch)) }
}

private func written(_ bytes: [UInt8], _ scratch: Scratch) throws -> String {
  try Data(bytes).write(to: URL(fileURLWithPath: scratch.file("elf")))
  return scratch.file("elf")
}
