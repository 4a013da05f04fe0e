internal import CoreEncoding
public import DumpBasics
public import DumpTarget
internal import LinuxSystem

// Dumps that wait on a raw disk, where a crash kernel wrote them by the target raw:.

/// Whether a source is a raw disk.
public func isRawWord(_ word: String) -> Bool { word.utf8.starts(with: "raw:".utf8) }

/// Copies the dump on a raw disk (`raw:/dev/DISK`) to the first of the targets that takes it, and marks it as
/// saved. Throws when there is none, when it was saved before, and when no target took it: then it stays.
public func saveRaw(
  _ word: String, to targets: [String], _ transfer: TransferOptions, threads: Int, witness: (any KernelWitness)? = nil,
  _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  let disk = try RawDisk(String(decoding: word.utf8.dropFirst(4), as: UTF8.self), forWriting: true)
  guard let header = try disk.header() else {
    throw DumpError(.usage, "there is no dump on this disk", at: disk.path, advice: "mcore list shows where dumps are")
  }
  guard header.state != .saved || header.length > 0 else {
    throw DumpError(.usage, "a dump was begun on this disk, and none of it is there", at: disk.path)
  }
  guard header.state != .saved else {
    throw DumpError(.usage, "the dump \(header.name) on this disk was saved already", at: disk.path)
  }
  var last = DumpError(.usage, "no target given", advice: "name a directory, or a device with a path")
  var failed = FailedCopies()
  for (index, target) in targets.enumerated() {
    failed.begin()
    do throws(DumpError) {
      let (result, isSound) = try copy(disk, header, to: target, transfer, witness, reporter, &failed)
      if isSound {
        try disk.markSaved(header)
      } else {
        reporter.warning("the dump stays on the disk: not all of it came through")
      }
      return result
    } catch {
      last = error
      let more = index + 1 < targets.count
      reporter.warning(failed.failed(target, error) + (more ? "; trying the next" : ""))
    }
  }
  throw last
}

/// `isSound`: the bytes are those that were written.
private func copy(
  _ disk: borrowing RawDisk, _ header: RawHeader, to target: String, _ transfer: TransferOptions, _ witness: (any KernelWitness)?,
  _ reporter: any Reporter, _ failed: inout FailedCopies
) throws(DumpError) -> (result: SaveResult, isSound: Bool) {
  let destination = try openTargets([try TargetSpec(target)], NamedDump(header.name, transfer)) { reporter.message($0) }
  do throws(DumpError) {
    let fileName = CopiedDump.fileName(header.fileName)
    let sink = try destination.openDump(fileName: fileName)
    reporter.message("writing \(sink.name)")
    let length = disk.length(of: header)
    var digest = Digest()
    var unreadable: (bytes: UInt64, first: DumpError)?
    var checksum: UInt32 = 0
    var done: UInt64 = 0
    while done < length {
      let piece = bytesOrZeros(disk, at: done, count: Int(min(1 << 20, length - done)), &unreadable)
      if piece.isEmpty { break }
      unsafe piece.withUnsafeBytes {
        unsafe checksum = CRC32.of($0, from: checksum)
        unsafe digest?.update($0)
      }
      try sink.write(piece)
      done += UInt64(piece.count)
      failed.bytes = done
      Activity.step()
      reporter.progress(done: done, total: length)
    }
    try sink.finish()
    let isSound = done == header.length && checksum == header.checksum
    var findings: [String] = []
    if let unreadable {
      findings.append("\(unreadable.bytes) bytes of the disk could not be read and are zeros here: \(unreadable.first)")
    }
    if !isSound { findings.append("what is on the disk is not what was written to it: its checksum is wrong") }
    if header.state == .cut { findings.append("the dump did not fit onto the disk: its most important part is here") }
    if header.state == .writing { findings.append("the dump was not written to its end: its most important part is here") }
    let isWhole = isSound && header.state == .whole
    let copied = CopiedDump(
      fileName: fileName, bytes: done, sha256: digest?.finish(), isWhole: isWhole, failed: failed.attempts, witness: witness)
    let travelled = JSON.object([("by", .string("raw")), ("checksum", .string(isSound ? "right" : "wrong"))])
    let status = copied.writeSideFiles(to: destination, travelled: travelled, &findings)
    if isWhole {
      return (
        SaveResult(status: status, path: try destination.complete(), bytesWritten: done, findings: findings), isSound
      )
    }
    let stays = destination.abandon(
      note: "This dump waited on a raw disk.\n" + findings.joined(separator: "\n")
        + "\nWhat is there can be read: mcore info, mcore dmesg.\n")
    return (SaveResult(status: .cut, path: stays, bytesWritten: done, findings: findings), isSound)
  } catch {
    let stays = destination.abandon(note: "mcore did not finish this dump: \(error)\nIt is still on the raw disk.\n")
    throw DumpError(error.kind, error.what, at: error.place, advice: "what was written stays in \(stays)")
  }
}

/// Bytes of the dump; zeros, page by page, for what the disk does not give any more.
private func bytesOrZeros(
  _ disk: borrowing RawDisk, at offset: UInt64, count: Int, _ unreadable: inout (bytes: UInt64, first: DumpError)?
) -> [UInt8] {
  if let bytes = try? disk.bytes(at: offset, count: count) { return bytes }
  var bytes: [UInt8] = []
  while bytes.count < count {
    let part = min(4096, count - bytes.count)
    do throws(DumpError) {
      let found = try disk.bytes(at: offset + UInt64(bytes.count), count: part)
      bytes += found
      if found.count < part { break }
    } catch {
      unreadable = ((unreadable?.bytes ?? 0) + UInt64(part), unreadable?.first ?? error)
      bytes += [UInt8](repeating: 0, count: part)
    }
  }
  return bytes
}

/// A target word without what is secret in it.
public func shownTarget(_ word: String) -> String { (try? TargetSpec(word).shown) ?? TargetSpec.withoutLogin(word) }

/// A dump on a raw disk, as `mcore list` shows it.
public struct ListedRawDump: Sendable {
  public var line: String
  public var disk: String
  /// Of the dump directory that it would get; nil where the header is damaged.
  public var name: String?
  /// Nobody has saved it to files yet.
  public var isWaiting: Bool
}

/// The dumps on raw disks: all disks of this machine, or `disks`. What can't be read is passed over, unless
/// it was named.
public func listRawDumps(_ disks: [String]) throws(DumpError) -> [ListedRawDump] {
  var dumps: [ListedRawDump] = []
  for path in try disks.isEmpty ? System.names(in: "/sys/class/block").map({ "/dev/" + $0 }) : disks {
    do throws(DumpError) {
      let disk = try RawDisk(path, forWriting: false)
      let found: RawHeader?
      do throws(DumpError) { found = try disk.header() } catch {
        guard disks.isEmpty else { throw error }
        let line = "raw:\(disk.path)  damaged header: \(error)"
        dumps.append(ListedRawDump(line: line, disk: disk.path, name: nil, isWaiting: true))
        continue
      }
      guard let header = found else {
        if !disks.isEmpty { throw DumpError(.usage, "there is no dump on this disk", at: disk.path) }
        continue
      }
      let written = UTCTime(secondsSince1970: Int64(clamping: header.time)).text
      let size = humanBytes(disk.length(of: header))
      dumps.append(
        ListedRawDump(
          line:
            "raw:\(disk.path)  \(header.length > 0 ? header.state.rawValue : "empty")  \(header.name)  \(size)  written \(written)",
          disk: disk.path, name: header.name, isWaiting: header.state != .saved))
    } catch { if !disks.isEmpty { throw error } }
  }
  return dumps
}
