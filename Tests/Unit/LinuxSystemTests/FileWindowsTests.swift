import DumpBasics
import Foundation
import Testing

@testable import LinuxSystem

/// A file of `count` bytes, each telling its place.
private func withFile(_ count: Int, _ body: (String, [UInt8]) throws -> Void) throws {
  let path = NSTemporaryDirectory() + "mcore-windows-\(UUID().uuidString)"
  let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ $0 >> 12) }
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  defer { try? FileManager.default.removeItem(atPath: path) }
  try body(path, bytes)
}

private func read(_ windows: FileWindows, at offset: UInt64, count: Int) -> [UInt8]? {
  var buffer = [UInt8](repeating: 0xee, count: count)
  return buffer.withUnsafeMutableBytes { windows.read(at: offset, into: $0) } ? buffer : nil
}

@Test func windowsGiveWhatTheFileHasAcrossTheirBorders() throws {
  let window = Int(FileWindows.windowSize)
  try withFile(2 * window + 100_000) { path, bytes in
    let file = try File(path, .read)
    let windows = FileWindows(file, size: UInt64(bytes.count))
    let end = bytes.count
    for (offset, count) in [(0, 40_000), (4095, 70_001), (window - 50_000, 100_000), (1, 2 * window), (end - 40_000, 40_000)] {
      #expect(read(windows, at: UInt64(offset), count: count) == Array(bytes[offset..<offset + count]))
    }
  }
}

@Test func whatIsNotWorthAWindowOrNotThereIsNotRead() throws {
  try withFile(100_000) { path, _ in
    let file = try File(path, .read)
    let windows = FileWindows(file, size: 100_000)
    #expect(read(windows, at: 0, count: 4096) == nil)
    #expect(read(windows, at: 60_001, count: 40_000) == nil)
    #expect(read(windows, at: .max - 10, count: 40_000) == nil)
  }
}

/// A page that is gone would end the process with SIGBUS.
@Test func aFileThatIsCutWhileItIsMappedIsNoEndOfTheProcess() throws {
  try withFile(200_000) { path, bytes in
    let file = try File(path, .readWrite)
    let windows = FileWindows(file, size: 200_000)
    #expect(read(windows, at: 0, count: 200_000) == bytes)
    try file.truncate(to: 50_000)
    // 50,000 bytes are 13 pages: the rest of the last one is zeros.
    #expect(read(windows, at: 100_000, count: 100_000) == nil)
    #expect(read(windows, at: 0, count: 40_000) == Array(bytes[..<40_000]))
    #expect(read(windows, at: 40_000, count: 40_000) == nil)
  }
}

@Test func whatCannotBeMappedIsRefusedForGood() throws {
  // A directory opens, and has no mmap.
  let directory = try File("/proc/self", .read)
  let windows = FileWindows(directory, size: 1 << 20)
  for _ in 0..<3 { #expect(read(windows, at: 0, count: 65536) == nil) }
  let isInProc = directory.isInProc
  #expect(isInProc)
}

@Test func manyThreadsReadThroughTheSameWindows() async throws {
  let count = 3 * Int(FileWindows.windowSize)
  try withFile(count) { path, bytes in
    let file = try File(path, .read)
    let windows = FileWindows(file, size: UInt64(count))
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      let offset = index * 150_001 % (count - 100_000)
      #expect(read(windows, at: UInt64(offset), count: 100_000) == Array(bytes[offset..<offset + 100_000]))
    }
  }
}
