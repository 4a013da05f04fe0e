public import DumpBasics
internal import CLinux
internal import Glibc
internal import Synchronization

/// An open file: the descriptor has one owner and is closed with it. Positions are explicit where it is read
/// (`pread`), so any number of threads may read one file at the same time.
public struct File: ~Copyable, Sendable {
  public enum Mode: Sendable {
    case read
    /// Reading and writing of what exists, for devices.
    case readWrite
    /// Writing of what exists: files of /sys that can't be read.
    case write
    /// The same, and of a block device nobody else may have it: mounted, in a RAID, under the device mapper
    /// (open(2), O_EXCL).
    case exclusive
    /// Made anew, mode 0600; an existing file is an error.
    case create
    /// Made anew, mode 0600; an existing file is emptied first.
    case replace
    /// Made anew in the directory that the path names, without a name (open(2), O_TMPFILE).
    case nameless
  }

  public let descriptor: Int32
  public let path: String
  private let owned: Bool

  public init(_ path: String, _ mode: Mode) throws(DumpError) {
    let flags =
      switch mode {
      case .read: O_RDONLY
      case .readWrite: O_RDWR
      case .write: O_WRONLY
      case .exclusive: O_RDWR | O_EXCL
      case .create: O_RDWR | O_CREAT | O_EXCL
      case .replace: O_RDWR | O_CREAT | O_TRUNC
      case .nameless: O_RDWR | MCORE_OPEN_NAMELESS
      }
    descriptor = Int32(
      try System.retrying(.open, path) { unsafe Int(Glibc.open(path, flags | O_CLOEXEC, 0o600)) })
    self.path = path
    owned = true
  }

  /// A descriptor that somebody else closes, like standard output.
  public init(borrowing descriptor: Int32, name: String) {
    self.descriptor = descriptor
    path = name
    owned = false
  }

  private init(owning descriptor: Int32, name: String) {
    self.descriptor = descriptor
    path = name
    owned = true
  }

  deinit { if owned { close(descriptor) } }

  /// The same open file by another descriptor, for another owner. Both share one current position.
  public func duplicate() throws(DumpError) -> File {
    let copy = try System.retrying(.open, path) { Int(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)) }
    return File(owning: Int32(copy), name: path)
  }

  /// Bytes of a regular file or block device; 0 for what has no size (a pipe).
  public func size() throws(DumpError) -> UInt64 {
    var info = Glibc.stat()
    _ = try System.retrying(.stat, path) { unsafe Int(fstat(descriptor, &info)) }
    if info.st_mode & S_IFMT == S_IFBLK {
      var bytes: UInt64 = 0
      let code = unsafe mcore_block_device_size(descriptor, &bytes)
      if code != 0 { throw System.failure(.stat, -code, path) }
      return bytes
    }
    return UInt64(max(0, info.st_size))
  }

  /// Reads at `offset` until `buffer` is full or the file ends; returns the bytes read.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    if Faults.isUnreadable(path, offset, buffer.count) {
      throw System.failure(.pread, EIO, "\(path), offset \(hex(offset))")
    }
    var done = 0
    while done < buffer.count {
      let position = Int(clamping: offset.addingReportingOverflow(UInt64(done)).partialValue)
      let wanted = Faults.clip(.pread, buffer.count - done)
      let count = try System.retrying(.pread, "\(path), offset \(hex(UInt64(position)))") {
        unsafe pread(descriptor, base + done, wanted, position)
      }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// `count` bytes at `offset`, fewer where the file ends.
  public func bytes(at offset: UInt64, count: Int) throws(DumpError) -> [UInt8] {
    var done = 0
    var result = unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in
      done = unsafe try read(at: offset, into: buffer)
    }
    result.removeSubrange(done...)
    return result
  }

  /// The whole of a small file, which may have no size of its own (as under /proc). At most `limit` bytes are
  /// taken.
  public func contents(limit: Int = 1 << 20) throws(DumpError) -> [UInt8] {
    var all: [UInt8] = []
    while all.count < limit {
      let piece = try bytes(at: UInt64(all.count), count: min(64 * 1024, limit - all.count))
      if piece.isEmpty { break }
      all += piece
    }
    return all
  }

  /// Writes all of `buffer` at the current position.
  public func write(_ buffer: UnsafeRawBufferPointer) throws(DumpError) {
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let wanted = Faults.clip(.write, buffer.count - done)
      done += try System.retrying(.write, path) { unsafe Glibc.write(descriptor, base + done, wanted) }
    }
  }

  /// Writes all of `buffer` at `offset`; the current position stays as it is.
  public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(DumpError) {
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let position = Int(clamping: offset.addingReportingOverflow(UInt64(done)).partialValue)
      let wanted = Faults.clip(.write, buffer.count - done)
      done += try System.retrying(.write, "\(path), offset \(hex(UInt64(position)))") {
        unsafe pwrite(descriptor, base + done, wanted, position)
      }
    }
  }

  public func write(_ bytes: [UInt8], at offset: UInt64) throws(DumpError) {
    unsafe try bytes.lent { (buffer) throws(DumpError) in unsafe try write(buffer, at: offset) }
  }

  public func write(_ bytes: [UInt8]) throws(DumpError) {
    unsafe try bytes.lent { (buffer) throws(DumpError) in unsafe try write(buffer) }
  }

  public func write(_ text: String) throws(DumpError) { try write(Array(text.utf8)) }

  /// Moves the current position forward without writing: on a regular file the bytes between read as zeros.
  public func skip(_ count: UInt64) throws(DumpError) {
    _ = try System.retrying(.lseek, path) { Int(lseek(descriptor, Int(clamping: count), SEEK_CUR)) }
  }

  public func truncate(to size: UInt64) throws(DumpError) {
    _ = try System.retrying(.ftruncate, path) { Int(ftruncate(descriptor, Int(clamping: size))) }
  }

  /// Everything written is on the device after this.
  public func synchronize() throws(DumpError) {
    _ = try System.retrying(.fsync, path) { Int(fsync(descriptor)) }
  }

  /// Takes the lock of this file or directory (flock(2)), which goes when it is closed; false where somebody
  /// else has it for all of that time.
  public func lock(milliseconds: UInt64) -> Bool {
    let end = System.monotonicNanoseconds.addingReportingOverflow(milliseconds * 1_000_000).partialValue
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      if System.monotonicNanoseconds >= end { return false }
      System.pause(milliseconds: 50)
    }
    return true
  }

  /// Begins to put a range of the file on the device; `waits` until it is there. For speed alone: what goes
  /// wrong here, `synchronize` tells.
  public func startWriting(_ range: Range<UInt64>, waits: Bool = false) {
    mcore_start_writing(descriptor, Int64(clamping: range.lowerBound), Int64(clamping: range.count), waits ? 1 : 0)
  }

  /// Whether it is a file of /proc, which the kernel makes up.
  public var isInProc: Bool { mcore_is_in_proc(descriptor) != 0 }

  /// Whether writing can leave holes: only a regular file.
  public var isRegular: Bool {
    var info = Glibc.stat()
    return unsafe fstat(descriptor, &info) == 0 && info.st_mode & S_IFMT == S_IFREG
  }
}

extension System {
  /// Bytes that an ordinary user may still write to the file system of `path`; nil where that can't be told.
  public static func freeBytes(_ path: String) -> UInt64? {
    var info = statvfs()
    guard Faults.next(.stat) == nil, unsafe statvfs(path, &info) == 0 else { return nil }
    let (bytes, overflow) = UInt64(info.f_bavail).multipliedReportingOverflow(by: UInt64(info.f_frsize))
    return overflow ? UInt64.max : bytes
  }

  /// When the content of a file last changed, in seconds since 1970; nil where there is none.
  public static func modificationTime(_ path: String) -> Int64? {
    var info = Glibc.stat()
    guard Faults.next(.stat) == nil, unsafe stat(path, &info) == 0 else { return nil }
    return Int64(info.st_mtim.tv_sec)
  }

  /// The directory's entries are on the device after this.
  public static func synchronizeDirectory(_ path: String) throws(DumpError) {
    let directory = try File(path, .read)
    // Some file systems can't sync a directory, and say so (fsync(2)): what they hold is as safe as they make
    // it.
    do throws(DumpError) { try directory.synchronize() } catch {
      if error.kind != .system(EINVAL), error.kind != .system(EOPNOTSUPP) { throw error }
      canNotSynchronizeDirectories.store(true, ordering: .relaxed)
    }
  }

  private static let canNotSynchronizeDirectories = Atomic(false)

  /// Whether a directory was met, since this was last asked, that can't be synced.
  public static func takeUnsyncedDirectories() -> Bool {
    canNotSynchronizeDirectories.exchange(false, ordering: .relaxed)
  }

  /// Puts a small file in place of one that may be there, which stays whole when this fails. It is on the
  /// device after this.
  public static func replaceFile(_ path: String, with bytes: [UInt8]) throws(DumpError) {
    let temporary = path + ".new"
    do throws(DumpError) {
      let file = try File(temporary, .replace)
      try file.write(bytes)
      try file.synchronize()
      try rename(temporary, path)
      try synchronizeDirectory(parentDirectory(of: path))
    } catch {
      try? unlink(temporary)
      throw error
    }
  }

  /// The text of a small file, as under /proc or /etc.
  public static func text(of path: String, limit: Int = 1 << 20) throws(DumpError) -> String {
    let file = try File(path, .read)
    return String(decoding: try file.contents(limit: limit), as: UTF8.self)
  }
}
