// Every system call of mcore. Nothing else in the project calls the kernel for files, mounts or processes, so
// that a test can make any of them fail (`Faults`) and so that EINTR is handled in one place.
public import DumpBasics
internal import CLinux
internal import Glibc

/// The system calls, by the names of their C functions. Each throws a `DumpError` that names the call's
/// object.
public enum System {
  /// A system call's name, for fault injection and for messages.
  public enum Call: String, Sendable, CaseIterable {
    case open, read, pread, write, fsync, rename, mkdir, unlink, rmdir, stat, mount, umount, finitModule, reboot,
      spawn, wait, ftruncate, lseek, opendir, mmap, kexecFileLoad, ioctl, chmod
  }

  /// Runs `body` until it does not fail with EINTR; throws on -1.
  static func retrying(_ call: Call, _ object: @autoclosure () -> String, _ body: () -> Int) throws(DumpError) -> Int {
    if let injected = Faults.next(call) { throw failure(call, injected, object()) }
    while true {
      let result = body()
      if result != -1 { return result }
      let code = errno
      if code != EINTR { throw failure(call, code, object()) }
    }
  }

  /// An errno as a `DumpError`: "cannot open: No such file or directory (path)".
  static func failure(_ call: Call, _ code: Int32, _ object: String) -> DumpError {
    let kind: DumpError.Kind = code == ENOSPC || code == EDQUOT ? .full : .system(code)
    return DumpError(kind, "cannot \(call.rawValue): \(errorText(code))", at: object)
  }

  public static func errorText(_ code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
  }

  /// Gives memory that was freed back to the system. glibc keeps what lies in pieces between others
  /// (malloc_trim(3)), as thousands of small arrays do; in a crash kernel it is needed for what comes next.
  public static func returnFreedMemory() { mcore_return_freed_memory() }

  /// From now on most buffers of 128 KiB and more are mappings of their own, which go back to the system when
  /// they are freed. That is glibc's way at first, but with each that is freed it keeps larger ones, up to 32
  /// MiB, between others (mallopt(3), M_MMAP_THRESHOLD): then what the same work needs at its peak differs
  /// from run to run.
  public static func returnLargeBuffersWhenFreed() { mcore_map_large_buffers() }

  // MARK: names in the file system

  /// Gives a file a name that nobody has; false where somebody has it.
  public static func renameNew(_ old: String, _ new: String) throws(DumpError) -> Bool {
    if let injected = Faults.next(.rename) { throw failure(.rename, injected, "\(old) to \(new)") }
    let code = unsafe mcore_rename_new(old, new)
    if code == -EEXIST { return false }
    if code != 0 { throw failure(.rename, -code, "\(old) to \(new)") }
    return true
  }

  public static func rename(_ old: String, _ new: String) throws(DumpError) {
    _ = try retrying(.rename, "\(old) to \(new)") { unsafe Int(Glibc.rename(old, new)) }
  }

  /// False when it was there already.
  public static func mkdir(_ path: String, mode: UInt32) throws(DumpError) -> Bool {
    do {
      _ = try retrying(.mkdir, path) { unsafe Int(Glibc.mkdir(path, mode)) }
      return true
    } catch {
      if error.kind == .system(EEXIST) { return false }
      throw error
    }
  }

  /// Of a file or directory that is there.
  public static func setMode(_ path: String, _ mode: UInt32) throws(DumpError) {
    _ = try retrying(.chmod, path) { unsafe Int(Glibc.chmod(path, mode)) }
  }

  /// Whether this process may run the file.
  public static func isExecutable(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 }

  public static func unlink(_ path: String) throws(DumpError) {
    _ = try retrying(.unlink, path) { unsafe Int(Glibc.unlink(path)) }
  }

  /// Removes an empty directory.
  public static func rmdir(_ path: String) throws(DumpError) {
    _ = try retrying(.rmdir, path) { unsafe Int(Glibc.rmdir(path)) }
  }

  /// What a path names, or nil when there is nothing.
  public enum FileKind: Sendable { case directory, regular, blockDevice, other }
  public static func kind(of path: String) -> FileKind? {
    var info = stat()
    guard Faults.next(.stat) == nil, unsafe stat(path, &info) == 0 else { return nil }
    switch info.st_mode & S_IFMT {
    case S_IFDIR: return .directory
    case S_IFREG: return .regular
    case S_IFBLK: return .blockDevice
    default: return .other
    }
  }

  /// The names in a directory, without `.` and `..`, sorted.
  public static func names(in directory: String) throws(DumpError) -> [String] {
    if let injected = Faults.next(.opendir) { throw failure(.opendir, injected, directory) }
    guard let stream = unsafe opendir(directory) else { throw failure(.opendir, errno, directory) }
    defer { unsafe _ = closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// The canonical path, or nil where it does not exist.
  public static func realPath(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// What a symbolic link holds; nil where `path` is none.
  public static func linkTarget(of path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlink(path, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
  }

  // MARK: the machine

  public static func mount(
    _ source: String, on target: String, type: String, flags: UInt = 0, options: String = ""
  ) throws(DumpError) {
    _ = try retrying(.mount, "\(source) on \(target), \(type)") {
      unsafe Int(Glibc.mount(source, target, type, flags, options))
    }
  }

  public static func unmount(_ target: String) throws(DumpError) {
    _ = try retrying(.umount, target) { unsafe Int(Glibc.umount2(target, 0)) }
  }

  /// Loads a kernel module from an open file, by finit_module(2). A module that is there already is no error.
  /// One that is packed the kernel unpacks, if it can (MODULE_INIT_COMPRESSED_FILE, Linux 5.17).
  public static func loadModule(_ path: String, parameters: String = "") throws(DumpError) {
    let file = try File(path, .read)
    if let injected = Faults.next(.finitModule) { throw failure(.finitModule, injected, path) }
    let isPlain = path.utf8.suffix(3).elementsEqual(".ko".utf8)
    let code = unsafe mcore_finit_module(file.descriptor, parameters, isPlain ? 0 : 4)
    if code != 0 && code != -EEXIST { throw failure(.finitModule, -code, path) }
  }

  /// EIO, for what is no error of mcore.
  public static let inputOutputError = EIO
  public static let notConnected = ENOTCONN

  /// EBUSY, for comparing with `DumpError.Kind.system`.
  public static let busy = EBUSY
  public static let notPermitted = EPERM
  public static let accessDenied = EACCES
  public static let notImplemented = ENOSYS

  /// `kexec` starts the kernel that was loaded (`loadKernel`).
  public enum Reboot: String, Sendable { case restart, powerOff, halt, kexec }

  /// Ends this system; what is not written out yet (`sync`) is lost. Returns only by throwing.
  public static func reboot(_ how: Reboot) throws(DumpError) {
    if let injected = Faults.next(.reboot) { throw failure(.reboot, injected, how.rawValue) }
    let command =
      switch how {
      case .restart: MCORE_REBOOT_RESTART
      case .powerOff: MCORE_REBOOT_POWER_OFF
      case .halt: MCORE_REBOOT_HALT
      case .kexec: MCORE_REBOOT_KEXEC
      }
    let code = mcore_reboot(command)
    if code != 0 { throw failure(.reboot, -code, how.rawValue) }
  }

  /// Ends this process.
  public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

  /// Writes out everything the kernel still holds in memory.
  public static func sync() { Glibc.sync() }

  public static var processID: Int32 { getpid() }
  public static var usableCPUs: Int { Int(mcore_usable_cpus()) }

  /// A clock that only goes forward, in nanoseconds: for progress and time limits.
  public static var monotonicNanoseconds: UInt64 {
    var now = timespec()
    unsafe _ = clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
  }

  /// Seconds since 1970, UTC.
  public static var secondsSince1970: Int64 { Int64(time(nil)) }

  public static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  /// The peak resident memory of this process so far, in bytes (getrusage(2), ru_maxrss is in KiB).
  public static var peakMemory: UInt64 {
    var usage = rusage()
    unsafe _ = getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
    return UInt64(max(0, usage.ru_maxrss)) * 1024
  }
}
