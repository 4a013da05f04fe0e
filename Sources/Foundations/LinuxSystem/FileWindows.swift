internal import CLinux
internal import DumpBasics
internal import Glibc
internal import Synchronization

/// Reads a file through windows that are mapped into memory. For /proc/vmcore that is what makes it fast:
/// read(2) there maps and unmaps each page of the crashed kernel for itself (fs/proc/vmcore.c,
/// read_from_oldmem), mmap(2) maps a window once.
///
/// A failure here is no error: the caller reads by read(2) instead.
public final class FileWindows: Sendable {
  /// Page tables for a window are small in a crash kernel too, and mapping one costs little beside reading
  /// it.
  static let windowSize: UInt64 = 4 << 20
  /// Shorter reads are not worth a window.
  private static let shortest = 32 << 10
  /// Whether the process can survive a page that is not there.
  private static let isGuarded = mcore_guard_bus_errors() == 0

  private let descriptor: Int32
  private let path: String
  private let size: UInt64
  private let pool = Mutex(Pool())
  /// Set when the file can't be mapped at all.
  private let isRefused = Atomic<Bool>(false)

  /// `file` has `size` bytes and has to stay open as long as this is used.
  public init(_ file: borrowing File, size: UInt64) {
    descriptor = file.descriptor
    path = file.path
    self.size = size
  }

  /// Fills all of `buffer` with what is at `offset`. False when that did not work: then it may be read.
  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    Activity.step()
    guard buffer.count >= FileWindows.shortest, FileWindows.isGuarded, !isRefused.load(ordering: .relaxed),
      offset <= size, UInt64(buffer.count) <= size - offset, !Faults.isUnreadable(path, offset, buffer.count)
    else { return false }
    var done = 0
    while done < buffer.count {
      let position = offset + UInt64(done)
      guard let window = take(position) else { return false }
      let skip = Int(position - window.start)
      let count = min(buffer.count - done, window.count - skip)
      let isCopied = unsafe window.copy(from: skip, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count]))
      giveBack(window)
      if !isCopied { return false }
      done += count
    }
    return true
  }

  /// A window that holds `position`, for this thread alone.
  private func take(_ position: UInt64) -> Window? {
    let start = position & ~(FileWindows.windowSize - 1)
    let ready = pool.withLock { pool in
      pool.inUse += 1
      pool.mostInUse = max(pool.mostInUse, pool.inUse)
      return pool.idle.firstIndex { $0.start == start }.map { Handed(window: pool.idle.remove(at: $0)) }
    }
    if let ready { return ready.window }
    let made = Window(descriptor, start, Int(min(FileWindows.windowSize, size - start)))
    // A file system that can't map says so for the first window as well as for the last; /proc/vmcore may
    // refuse one for what is in it.
    if made == nil {
      if start == 0 || errno == ENODEV { isRefused.store(true, ordering: .relaxed) }
      pool.withLock { $0.inUse -= 1 }
    }
    return made
  }

  private func giveBack(_ window: Window) {
    let handed = Handed(window: window)
    pool.withLock { pool in
      pool.inUse -= 1
      if pool.idle.count >= 2 * pool.mostInUse { pool.idle.removeFirst() }
      pool.idle.append(handed.window)
    }
  }

  /// Twice as many windows are kept as threads ever had at the same time: memory is compared with other
  /// memory, in turn. A window that is not used costs its page tables.
  private struct Pool {
    var idle: [Window] = []
    var inUse = 0
    var mostInUse = 0
  }

  private struct Handed: @unchecked Sendable {
    // SAFETY: a window is either in the list, which the lock guards, or with the one thread that took it out.
    let window: Window
  }
}

/// A part of a file in memory.
@safe private final class Window {
  let start: UInt64
  let count: Int
  private let memory: UnsafeMutableRawPointer

  init?(_ descriptor: Int32, _ start: UInt64, _ count: Int) {
    guard count > 0, let offset = Int(exactly: start),
      let memory = unsafe mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, offset), unsafe memory != MAP_FAILED
    else { return nil }
    unsafe self.memory = memory
    self.start = start
    self.count = count
    // All of it will be read: fetched at once, not page by page. Where the kernel does not know how, faults
    // do it.
    unsafe _ = madvise(memory, count, MADV_WILLNEED)
  }

  deinit { unsafe _ = munmap(memory, count) }

  /// False when a page of it can't be had.
  func copy(from skip: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
    unsafe mcore_guarded_copy(buffer.baseAddress, memory + skip, buffer.count) == 0
  }
}
