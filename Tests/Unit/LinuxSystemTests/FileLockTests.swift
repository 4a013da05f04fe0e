import Foundation
import Testing

@testable import LinuxSystem

/// What two that arm at the same time go by.
@Test func aDirectoryIsLockedByOneAtATime() throws {
  let directory = NSTemporaryDirectory() + "mcore-lock-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(atPath: directory) }
  let second = try File(directory, .read)
  do {
    let first = try File(directory, .read)
    let (taken, other, again) = (first.lock(milliseconds: 0), second.lock(milliseconds: 120), first.lock(milliseconds: 0))
    #expect(taken && !other && again)
  }
  let now = second.lock(milliseconds: 0)
  #expect(now)
}
