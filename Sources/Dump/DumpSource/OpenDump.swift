internal import CoreEncoding
public import DumpBasics
internal import LinuxSystem

/// Opens a dump of any format that this build reads. `path` is the file, or a dump directory holding it.
public func openDump(_ path: String) throws(DumpError) -> any DumpSource {
  let file = try File.seekable(try dumpFile(path))
  let start = try file.bytes(at: 0, count: BGZF.headerSize)
  let end = try Ending(file)
  if BGZF.memberSize(start) != nil || end.isBGZF { return try openContent(try BGZFContent(file)) }
  if BGZF.isGzip(start) {
    #if Streams
      return try openUnpacked(try GzipContent(file))
    #else
      throw DumpError(
        "gzip, but not BGZF: it can't be read at an offset", at: file.path,
        advice: "decompress it with gzip -d, or compress it with bgzip")
    #endif
  }
  if ZstdFrame.isZstd(start) || end.isSeekableZstd {
    #if Streams && Zstd
      if !end.isSeekableZstd, try UnpackedZstd.isNeeded(file) { return try openUnpacked(try UnpackedZstd(file)) }
    #endif
    #if Zstd
      return try openContent(try ZstdContent(file))
    #else
      throw DumpError(
        .unsupported, "this build of mcore does not read zstd", at: file.path, advice: "decompress it with zstd -d")
    #endif
  }
  let path = file.path
  let content = try PlainContent(file)
  do throws(DumpError) { return try openUnpacked(content) } catch {
    // What has its signature says itself what is wrong with it.
    var known = [[0x7f, 0x45, 0x4c, 0x46], Array("KDUMP   ".utf8), Array("makedumpfile".utf8)]
    #if Kdump
      known.append(LKCDHeader.signature)
    #endif
    if known.contains(where: { start.starts(with: $0) && canRead($0) }) { throw error }
    throw ForeignFormat.named((try? content.start(ForeignFormat.startSize)) ?? start, path) ?? error
  }
}

/// Opens a dump that may be in several files: the parts that makedumpfile --split wrote, in any order.
public func openDump(_ paths: [String]) throws(DumpError) -> any DumpSource {
  guard let path = paths.first else { throw DumpError(.usage, "no dump is named") }
  if paths.count == 1 { return try openDump(path) }
  #if Kdump
    var parts: [KdumpSource] = []
    for path in paths {
      guard let part = try openDump(path) as? KdumpSource else {
        throw DumpError(
          .usage, "this file is no part of a set", at: path,
          advice: "only the files that makedumpfile --split wrote can be joined")
      }
      parts.append(part)
    }
    return try SplitSource(parts, parts[0])
  #else
    throw DumpError(.unsupported, "this build of mcore does not join files", advice: "makedumpfile --reassemble does")
  #endif
}

/// Whether this build has the reader for files with this signature.
private func canRead(_ signature: [UInt8]) -> Bool {
  #if Kdump
    return true
  #else
    return signature.first == 0x7f
  #endif
}

/// A file that may be flattened.
private func openUnpacked(_ content: any Content) throws(DumpError) -> any DumpSource {
  #if Kdump
    if let start = try? content.start(Flattened.signature.count), Flattened.isFlattened(start) {
      return try openContent(try FlattenedContent(content))
    }
  #endif
  return try openContent(content)
}

/// A file that is not compressed as a whole.
private func openContent(_ content: any Content) throws(DumpError) -> any DumpSource {
  #if Kdump
    // A start that can't be read may stand in the file a second time.
    if let start = try? content.start(KdumpHeader.signature.count), KdumpHeader.isKdump(start) {
      return try KdumpSource(content)
    }
    if let start = try? content.start(LKCDHeader.signature.count), LKCDHeader.isLKCD(start) {
      return try LKCDSource(content)
    }
  #endif
  return try ELFSource(content)
}

/// What a compressed dump ends with, since its first bytes may be damaged.
private struct Ending {
  let isBGZF: Bool
  let isSeekableZstd: Bool

  init(_ file: borrowing File) throws(DumpError) {
    let mark = UInt64(BGZF.endOfFile.count)
    // A stream has no end that could be looked at.
    let size = (try? file.size()) ?? 0
    guard size > mark, !file.isInProc else {
      (isBGZF, isSeekableZstd) = (false, false)
      return
    }
    let tail = try file.bytes(at: size - mark, count: Int(mark))
    isBGZF = tail == BGZF.endOfFile
    isSeekableZstd = ZstdSeekTable.frameSize(Array(tail.suffix(ZstdSeekTable.footerSize))).map { $0 <= size } ?? false
  }
}

/// The dump file that a path means: itself, or the dump in a directory.
///
/// In a directory of ours that is the file that `dump.json` names; else `vmcore.FORMAT`; else what other
/// tools call theirs: `vmcore` (kdump-utils), `dump.DATE` (kdump-tools), `vmcore-incomplete`, `vmcore.flat`.
///
/// - Throws: where there is none.
public func dumpFile(_ path: String) throws(DumpError) -> String {
  guard System.kind(of: path) == .directory else { return path }
  let prefix = path + (path.hasSuffix("/") ? "" : "/")
  let names = try System.names(in: path).filter { System.kind(of: prefix + $0) == .regular }.sorted()
  if let name = namedByManifest(names, prefix) ?? names.first(where: { ownNames.contains($0) }) ?? foreign(names) {
    return prefix + name
  }
  throw DumpError(
    "no dump in this directory: no file named vmcore.… or dump.…", at: path, advice: "give the dump file itself")
}

/// `vmcore.FORMAT`, the formats that mcore writes.
private let ownNames = ["elf.gz", "elf.zst", "elf", "kdump-zlib", "kdump-zstd"].map { "vmcore.\($0)" }

/// The file that `dump.json` lists with a name of ours.
private func namedByManifest(_ names: [String], _ prefix: String) -> String? {
  guard names.contains("dump.json"), let text = try? System.text(of: prefix + "dump.json") else { return nil }
  return names.first { name in
    ownNames.contains(name) && text.split(separator: "\"", omittingEmptySubsequences: false).contains(Substring(name))
  }
}

/// What other tools call a dump; the newest of several by name, and a whole one before one that is not.
private func foreign(_ names: [String]) -> String? {
  func isDated(_ name: String) -> Bool {
    guard let prefix = ["dump.", "vmcore."].first(where: name.hasPrefix) else { return false }
    let date = name.utf8.dropFirst(prefix.utf8.count)
    return !date.isEmpty && date.allSatisfy { (0x30...0x39).contains($0) }
  }
  return ["vmcore", "vmcore.flat"].first(where: names.contains) ?? names.last(where: isDated)
    ?? ["vmcore-incomplete", "vmcore.incomplete", "dump-incomplete"].first(where: names.contains)
    ?? names.last { $0.hasPrefix("dump.") && $0.hasSuffix(".incomplete") }
}
