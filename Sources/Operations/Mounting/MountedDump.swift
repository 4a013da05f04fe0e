#if FUSE
  internal import CFuseView
  internal import Capture
  internal import CrashedKernel
  internal import DumpBasics
  internal import DumpSource
  internal import KernelReport
  internal import LinuxSystem

  /// The files of a mounted dump, in the order of their numbers.
  @safe final class MountedDump: Sendable {
    private enum Content {
      case core(CoreView)
      case text([UInt8])
      /// Its size is known when it was made.
      case made(LazyText)
    }

    private let contents: [Content]
    /// For libfuse. They live as long as the mount, and so as this process.
    nonisolated(unsafe) let files: UnsafeMutablePointer<mcore_view_file>
    let modified: Int64
    var count: Int32 { Int32(contents.count) }

    /// A report of a large and damaged machine ends after this time with what there is.
    private static let reportNanoseconds: UInt64 = 30_000_000_000

    convenience init(_ dumps: [String], isStrict: Bool, cacheBytes: UInt64) throws(DumpError) {
      let source = try openDump(dumps)
      let kernel = CrashedKernel(source)
      var files: [(String, Content)] = [
        ("vmcore", .core(try CoreView(source, isStrict: isStrict, cacheBytes: cacheBytes))),
        ("dump.json", .text(Array((try info(dumps, json: true) + "\n").utf8))),
        (
          "report.txt",
          .made(
            LazyText {
              let deadline = System.monotonicNanoseconds + MountedDump.reportNanoseconds
              return CrashReport(kernel) { System.monotonicNanoseconds > deadline }.text
            })
        ),
      ]
      // A dump whose log can't be read is still a dump.
      if let log = try? kernel.log().text { files.append(("dmesg.txt", .text(Array(log.utf8)))) }
      self.init(files, modified: kernel.crashTime ?? 0)
    }

    /// The core alone, for a program that reads it.
    convenience init(_ source: any DumpSource, cacheBytes: UInt64) throws(DumpError) {
      self.init(
        [("vmcore", .core(try CoreView(source, cacheBytes: cacheBytes)))], modified: CrashedKernel(source).crashTime ?? 0)
    }

    private init(_ named: [(name: String, content: Content)], modified: Int64) {
      contents = named.map(\.content)
      self.modified = modified
      unsafe files = .allocate(capacity: named.count)
      for (index, file) in named.enumerated() {
        let name = Array(file.name.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: name.count)
        unsafe copy.initialize(from: name, count: name.count)
        let size: UInt64? =
          switch file.content {
          case .core(let view): view.size
          case .text(let bytes): UInt64(bytes.count)
          case .made: nil
          }
        unsafe files[index] = mcore_view_file(name: copy, size: size ?? 0, unsized: size == nil ? 1 : 0)
      }
    }

    /// What libfuse calls with `context`.
    var callback: mcore_view_read {
      { context, file, offset, buffer, count in
        guard let context = unsafe context, let buffer = unsafe buffer else { return -Int64(System.inputOutputError) }
        let dump = unsafe Unmanaged<MountedDump>.fromOpaque(context).takeUnretainedValue()
        return unsafe dump.read(Int(file), offset, UnsafeMutableRawBufferPointer(start: buffer, count: count))
      }
    }

    /// Never given back: the mount lives as long as this process.
    var context: UnsafeMutableRawPointer { unsafe Unmanaged.passRetained(self).toOpaque() }

    /// Bytes read, or -errno: what the dump does not have, or what is damaged, is an error of input and
    /// output.
    private func read(_ file: Int, _ offset: UInt64, _ buffer: UnsafeMutableRawBufferPointer) -> Int64 {
      switch contents[file] {
      case .core(let view):
        return unsafe (try? view.read(at: offset, into: buffer)) == nil
          ? -Int64(System.inputOutputError) : Int64(buffer.count)
      case .text(let bytes):
        unsafe buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
        return Int64(buffer.count)
      case .made(let text):
        return unsafe Int64(text.read(at: offset, into: buffer))
      }
    }
  }
#endif
