#if FUSE
  internal import CFuseView
  public import DumpBasics
  internal import LinuxSystem

  /// `mcore mount`: a directory that shows the dump as a plain ELF core, decompressed as it is read, and what
  /// is to be said of it. Returns when it is unmounted.
  public func mount(
    _ dumps: [String], on directory: String, foreground: Bool, isStrict: Bool = false, cacheBytes: UInt64
  ) throws(DumpError) {
    // libfuse goes to the root directory before it unmounts: only an absolute path is good then.
    let directory = try mountPoint(directory)
    let mounted = try MountedDump(dumps, isStrict: isStrict, cacheBytes: cacheBytes)
    try checkFUSE()
    let code = unsafe mcore_view_serve(
      directory, mounted.files, mounted.count, mounted.modified, foreground ? 1 : 0, mounted.callback, mounted.context)
    if code != 0 { throw failure(code, directory) }
  }

  /// The absolute path of a directory that a dump can be mounted on.
  private func mountPoint(_ directory: String) throws(DumpError) -> String {
    do throws(DumpError) { _ = try File(directory, .read) } catch {
      if error.kind == .system(System.notConnected) {
        throw DumpError(
          .usage, "the program behind what is mounted here is gone", at: directory, advice: "fusermount3 -u \(directory)")
      }
    }
    guard System.kind(of: directory) == .directory, let path = System.realPath(directory) else {
      throw DumpError(.usage, "no such directory", at: directory, advice: "make it first")
    }
    if let here = System.fileSystem(of: path), let above = System.fileSystem(of: path + "/.."), here != above {
      throw DumpError(
        .usage, "something is mounted here already", at: directory, advice: "fusermount3 -u \(directory), or name another one")
    }
    return path
  }

  /// Whether a file system can be mounted through FUSE here.
  ///
  /// - Throws: what is missing, and what helps.
  public func checkFUSE() throws(DumpError) {
    let device = "/dev/fuse"
    guard System.kind(of: device) != nil else {
      throw DumpError(
        .unsupported, "FUSE is not there", at: device,
        advice: "load it as root: modprobe fuse. In a container give it the device: --device /dev/fuse --cap-add SYS_ADMIN")
    }
    do throws(DumpError) { _ = try File(device, .readWrite) } catch {
      throw DumpError(
        error.kind, "FUSE is refused: \(error.what)", at: device, advice: "be root, or let this user open the device")
    }
    if !System.isRoot, System.program(named: "fusermount3") == nil {
      throw DumpError(
        .unsupported, "FUSE needs the program fusermount3 for a plain user", advice: "install fuse3, or be root")
    }
  }

  func failure(_ code: Int32, _ directory: String) -> DumpError {
    DumpError(
      .system(-code), "cannot mount: \(System.errorText(-code))", at: directory,
      advice: "/dev/fuse, the right to mount and, for a plain user, fusermount3 are needed")
  }
#endif
