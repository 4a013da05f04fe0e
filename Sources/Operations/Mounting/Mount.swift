#if FUSE
  internal import CFuseView
  internal import Capture
  internal import CrashedKernel
  public import DumpBasics
  internal import DumpSource
  internal import LinuxSystem

  /// `mcore mount`: a directory that shows the dump as a plain ELF core, decompressed as it is read, and what
  /// is to be said of it. Returns when it is unmounted.
  public func mount(_ dump: String, on directory: String, foreground: Bool, cacheBytes: UInt64) throws(DumpError) {
    // libfuse goes to the root directory before it unmounts: only an absolute path is good then.
    guard System.kind(of: directory) == .directory, let directory = System.realPath(directory) else {
      throw DumpError(.usage, "no such directory", at: directory, advice: "make it first")
    }
    let source = try openDump(dump)
    let view = try CoreView(source, cacheBytes: cacheBytes)
    var texts = [("dump.json", try info(dump, json: true) + "\n")]
    // A dump whose log can't be read is still a dump.
    if let log = try? CrashedKernel(source).log().text { texts.append(("dmesg.txt", log)) }
    let mounted = MountedDump(view, texts.map { ($0.0, Array($0.1.utf8)) })
    let code = mounted.serve(directory, modified: CrashedKernel(source).crashTime ?? 0, foreground: foreground)
    if code != 0 {
      throw DumpError(
        .system(-code), "cannot mount: \(System.errorText(-code))", at: directory,
        advice: "/dev/fuse and, for a plain user, fusermount3 are needed")
    }
  }

  /// The files of the directory, in the order of their numbers.
  private final class MountedDump {
    private let view: CoreView
    private let texts: [(name: String, bytes: [UInt8])]

    init(_ view: CoreView, _ texts: [(String, [UInt8])]) {
      self.view = view
      self.texts = texts
    }

    func serve(_ directory: String, modified: Int64, foreground: Bool) -> Int32 {
      let names = (["vmcore"] + texts.map(\.name)).map { Array($0.utf8CString) }
      let sizes = [view.size] + texts.map { UInt64($0.bytes.count) }
      // They live as long as the mount, and so as this process.
      let files = UnsafeMutablePointer<mcore_view_file>.allocate(capacity: names.count)
      for (index, name) in names.enumerated() {
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.count)
        unsafe copy.initialize(from: name, count: name.count)
        unsafe files[index] = mcore_view_file(name: copy, size: sizes[index])
      }
      return unsafe mcore_view_serve(
        directory, files, Int32(names.count), modified, foreground ? 1 : 0,
        { context, file, offset, buffer, count in
          guard let context = unsafe context, let buffer = unsafe buffer else { return -Int64(System.inputOutputError) }
          let dump = unsafe Unmanaged<MountedDump>.fromOpaque(context).takeUnretainedValue()
          return unsafe dump.read(Int(file), offset, UnsafeMutableRawBufferPointer(start: buffer, count: count))
        }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Bytes read, or -errno: what the dump does not have, or what is damaged, is an error of input and
    /// output.
    private func read(_ file: Int, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) -> Int64 {
      if file > 0 {
        let bytes = texts[file - 1].bytes
        unsafe buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
        return Int64(buffer.count)
      }
      return unsafe (try? view.read(at: offset, into: buffer)) == nil ? -Int64(System.inputOutputError) : Int64(buffer.count)
    }
  }
#endif
