#if FUSE
  internal import CFuseView
  public import DumpBasics
  public import DumpSource
  internal import LinuxSystem

  /// A dump that is mounted while this process does something else: `vmcore` alone is in it.
  @safe public final class BackgroundMount {
    private let dump: MountedDump
    private var mount: UnsafeMutableRawPointer?

    public init(_ source: any DumpSource, on directory: String, cacheBytes: UInt64) throws(DumpError) {
      dump = try MountedDump(source, cacheBytes: cacheBytes)
      var mount: UnsafeMutableRawPointer?
      // Root's mounts are this process's own, and vanish with it.
      let code = unsafe mcore_view_begin(
        directory, dump.files, dump.count, dump.modified, System.isRoot ? 0 : 1, dump.callback, dump.context, &mount)
      if code != 0 { throw failure(code, directory) }
      unsafe self.mount = mount
    }

    /// Unmounts. Threads that serve it end with this process.
    public func end() {
      if let mount = unsafe mount { unsafe mcore_view_end(mount) }
      unsafe mount = nil
    }
  }
#endif
