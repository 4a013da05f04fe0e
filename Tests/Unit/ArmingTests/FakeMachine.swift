import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming

/// A machine under a directory: what `arm` and `status` read of /proc and /sys, a kernel and an initramfs.
struct FakeMachine {
  let scratch: Scratch
  var request = ArmRequest()

  init() throws {
    scratch = try Scratch()
    request.root = scratch.file("root")
    request.directory = scratch.file("state")
    request.kernel = scratch.file("vmlinuz")
    request.initrd = scratch.file("initrd.img")
    request.base = scratch.file("base.img")
    request.targets = ["memory:"]
    for (path, text) in [
      ("/proc/sys/kernel/osrelease", "6.1.0-test\n"),
      ("/proc/sys/kernel/random/boot_id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\n"),
      ("/proc/cmdline", "root=/dev/vda1 console=ttyS0 quiet\n"), ("/sys/kernel/kexec_crash_size", "268435456\n"),
      ("/sys/kernel/kexec_crash_loaded", "0\n"), ("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
      ("/sys/devices/system/cpu/present", "0-1\n"), ("/sys/devices/system/cpu/online", "0-1\n"),
      ("/proc/sys/kernel/panic_on_oops", "1\n"),
      ("/proc/cpuinfo", "processor\t: 0\napicid\t\t: 4\ninitial apicid\t: 4\n\nprocessor\t: 1\napicid\t\t: 5\n"),
      ("/proc/iomem", "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n00100000-7ffdbfff : System RAM\n"),
      ("/sys/firmware/memmap/0/start", "0x0\n"), ("/sys/firmware/memmap/0/end", "0x9fbff\n"),
      ("/sys/firmware/memmap/0/type", "System RAM\n"), ("/sys/firmware/memmap/1/start", "0x100000\n"),
      ("/sys/firmware/memmap/1/end", "0x7ffdbfff\n"), ("/sys/firmware/memmap/1/type", "System RAM\n"),
    ] { try write(path, text) }
    try Data(noise(50_001, seed: 1)).write(to: URL(fileURLWithPath: scratch.file("vmlinuz")))
    try Data(noise(70_002, seed: 2)).write(to: URL(fileURLWithPath: scratch.file("initrd.img")))
    try Data(noise(1001, seed: 3)).write(to: URL(fileURLWithPath: scratch.file("base.img")))
  }

  func write(_ path: String, _ text: String) throws {
    let url = URL(fileURLWithPath: request.root + path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: url, atomically: true, encoding: .utf8)
    if url.lastPathComponent == "modules.dep" { try writeModules(text, url.deletingLastPathComponent()) }
  }

  /// A file for each module that the list names.
  private func writeModules(_ list: String, _ directory: URL) throws {
    // "1", packed by xz.
    let packed = "/Td6WFoAAATm1rRGAgAhARYAAAB0L+WjAQAAMQAAAADtypWUhQ4vKgABGQGlLIHMH7bzfQEAAAAABFla"
    for line in list.split(separator: "\n") {
      let file = directory.appendingPathComponent(String(line.prefix { $0 != ":" }))
      if FileManager.default.fileExists(atPath: file.path) { continue }
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try (file.pathExtension == "xz" ? #require(Data(base64Encoded: packed)) : Data()).write(to: file)
    }
  }

  func reason() -> String {
    do {
      _ = try arm(request)
      return ""
    } catch { return "\(error)" }
  }
}

/// The files of a newc archive, which begins at `offset`.
func unpacked(_ image: [UInt8], from offset: Int) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  var position = offset
  while true {
    #expect(Array(image[position..<position + 6]) == Array("070701".utf8))
    let fields = try (0..<13).map { index in
      let start = position + 6 + 8 * index
      return try #require(Int(String(decoding: image[start..<start + 8], as: UTF8.self), radix: 16))
    }
    let name = String(decoding: image[position + 110..<position + 109 + fields[11]], as: UTF8.self)
    if name == "TRAILER!!!" { return files }
    let data = (position + 110 + fields[11] + 3) & ~3
    files[name] = Array(image[data..<data + fields[6]])
    position = (data + fields[6] + 3) & ~3
  }
}
