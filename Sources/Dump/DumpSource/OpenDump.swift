internal import CoreEncoding
public import DumpBasics
internal import LinuxSystem

/// Opens a dump of any format that this build reads. `path` is the file, or a dump directory holding it.
public func openDump(_ path: String) throws(DumpError) -> any DumpSource {
  let file = try dumpInput(try dumpFile(path))
  let start = try file.bytes(at: 0, count: BGZF.headerSize)
  if BGZF.isGzip(start) {
    guard BGZF.memberSize(start) != nil else {
      throw DumpError(
        "gzip, but not BGZF: it can't be read at an offset", at: file.path,
        advice: "decompress it with gzip -d, or compress it with bgzip")
    }
    return try ELFSource(try BGZFContent(file))
  }
  if ZstdFrame.isZstd(start) {
    #if Zstd
      return try ELFSource(try ZstdContent(file))
    #else
      throw DumpError(
        .unsupported, "this build of mcore does not read zstd", at: file.path, advice: "decompress it with zstd -d")
    #endif
  }
  let content = try PlainContent(file)
  #if Kdump
    if Flattened.isFlattened(try content.start(Flattened.signature.count)) {
      return try openContent(try FlattenedContent(content))
    }
  #endif
  return try openContent(content)
}

/// A file that is not compressed as a whole.
private func openContent(_ content: any Content) throws(DumpError) -> any DumpSource {
  #if Kdump
    if KdumpHeader.isKdump(try content.start(KdumpHeader.signature.count)) { return try KdumpSource(content) }
  #endif
  return try ELFSource(content)
}

/// The file, or standard input where it is called `-`; what can't be read at an offset is copied first.
private func dumpInput(_ path: String) throws(DumpError) -> File {
  path == "-" ? try File.seekableStandardInput() : try File(path, .read)
}

/// The dump file that a path means: itself, or `vmcore.FORMAT` in a dump directory.
public func dumpFile(_ path: String) throws(DumpError) -> String {
  guard System.kind(of: path) == .directory else { return path }
  let names = try System.names(in: path).filter { $0.hasPrefix("vmcore.") }
  guard let name = names.first else {
    throw DumpError("no dump in this directory: no file named vmcore.…", at: path, advice: "give the dump file itself")
  }
  return path + (path.hasSuffix("/") ? "" : "/") + name
}
