// Child programs: mount, a shell, this program itself. One place for spawning, time limits and reaping.
public import DumpBasics
internal import CLinux
internal import Glibc
internal import Synchronization

/// A program to run as a child, with this process's environment. It is looked up in PATH unless its name has
/// a slash.
public struct Command: Sendable {
  /// Where its standard output and standard error go.
  public enum Output: Sendable {
    case inherit
    /// Both into `ProcessResult.output`, at most `Command.outputLimit` bytes of it; the rest is read and
    /// dropped.
    case collect
  }

  /// Bytes of output that are kept: a program's complaint, not its data.
  public static let outputLimit = 4096

  public var program: String
  public var arguments: [String]
  public var output: Output
  /// A terminal (such as `/dev/ttyS0`) to run on: it becomes standard input, output and error, and the
  /// controlling terminal of a session of its own, so that Ctrl-C and job control work.
  public var terminal: String?
  /// It says by `System.tellStatus` how it ends, before it does: a thread of it that hangs in the kernel
  /// keeps it from ending.
  public var tellsStatus: Bool
  /// In a process group of its own, so that what it started ends with it when its time is up.
  public var isApart: Bool

  public init(
    _ program: String, _ arguments: [String] = [], output: Output = .inherit, terminal: String? = nil, tellsStatus: Bool = false,
    isApart: Bool = false
  ) {
    self.tellsStatus = tellsStatus
    self.isApart = isApart
    self.program = program
    self.arguments = arguments
    self.output = output
    self.terminal = terminal
  }
}

/// How a child ended.
public enum ProcessEnd: Sendable, Equatable {
  case exited(Int32)
  /// Ended by this signal.
  case killed(signal: Int32)
  /// Its time was up, so it was killed. It may still be there: what hangs in the kernel can't be killed.
  case timedOut
}

public struct ProcessResult: Sendable, Equatable {
  public var end: ProcessEnd
  /// What it said, if that was collected, without blanks at the ends.
  public var output: String
}

extension System {
  /// Runs a program to its end, or for at most `limitSeconds`. Throws when it can't be started, with ENOENT
  /// where there is no such program. As PID 1 it reaps orphans meanwhile.
  public static func run(_ command: Command, limitSeconds: UInt64? = nil) throws(DumpError) -> ProcessResult {
    var reading: Int32 = -1
    var writing: Int32 = -1
    if command.output == .collect {
      var ends: [Int32] = [-1, -1]
      _ = try retrying(.spawn, command.program) { unsafe Int(pipe(&ends)) }
      (reading, writing) = (ends[0], ends[1])
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      // This side must not block: the pipe is looked at beside the child's end.
      _ = fcntl(reading, F_SETFL, O_NONBLOCK)
    }
    defer { if reading >= 0 { close(reading) } }
    defer { if writing >= 0 { close(writing) } }
    var told: [Int32] = [-1, -1]
    if command.tellsStatus { _ = try retrying(.spawn, command.program) { unsafe Int(mcore_pipe(&told)) } }
    defer { if told[0] >= 0 { close(told[0]) } }
    let pid: Int32
    do {
      defer { if told[1] >= 0 { close(told[1]) } }
      pid = try spawn(command, output: writing, status: told[1], apart: command.isApart)
    }
    var collected = CollectedOutput(reading)
    let end = try wait(for: pid, command.program, limitSeconds, &collected, status: told[0], apart: command.isApart)
    collected.drain()
    return ProcessResult(end: end, output: collected.text)
  }

  /// Where a child says how it ends.
  private static let statusDescriptor: Int32 = 3

  /// In a child that was started with `tellsStatus`: how it ends, right before it does.
  public static func tellStatus(_ status: Int32) {
    var byte = UInt8(truncatingIfNeeded: status)
    unsafe _ = Glibc.write(statusDescriptor, &byte, 1)
  }

  /// Lets go of processes that have ended and that nobody waits for. PID 1 inherits every orphan of the
  /// system.
  public static func reapOrphans() {
    while true {
      var status: Int32 = 0
      let pid = unsafe waitpid(-1, &status, WNOHANG)
      guard pid > 0 else { return }
      Children.ended(pid, status)
    }
  }

  /// Waits that many milliseconds, or less when a signal arrives.
  public static func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }

  /// For this process and its children. Only before any thread is made: setenv(3) is not safe among threads.
  public static func setEnvironment(_ name: String, _ value: String) { unsafe _ = setenv(name, value, 1) }

  /// A write to a pipe whose reader has gone fails with EPIPE from here on, instead of ending this process.
  public static func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }

  // MARK: spawning

  /// Starts the program: with /dev/null as its input where `output` is taken and `input` is not given.
  /// `apart`: in a process group of its own, so that what it started can be ended with it.
  static func spawn(
    _ command: Command, input: Int32 = -1, output: Int32, status: Int32 = -1, apart: Bool = false
  ) throws(DumpError) -> Int32 {
    if let injected = Faults.next(.spawn) { throw failure(.spawn, injected, command.program) }
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe _ = posix_spawn_file_actions_destroy(&actions)
      unsafe _ = posix_spawnattr_destroy(&attributes)
    }
    if let terminal = command.terminal {
      unsafe posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
      unsafe posix_spawn_file_actions_adddup2(&actions, 0, 1)
      unsafe posix_spawn_file_actions_adddup2(&actions, 0, 2)
    } else if output >= 0 {
      if input >= 0 {
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
      } else {
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
      }
      unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
      unsafe posix_spawn_file_actions_adddup2(&actions, output, 2)
    }
    if status == statusDescriptor {
      // It would be closed at exec, being the same already.
      _ = fcntl(status, F_SETFD, 0)
    } else if status >= 0 {
      unsafe posix_spawn_file_actions_adddup2(&actions, status, statusDescriptor)
    }
    // A child gets the usual SIGPIPE, whatever this process does with it.
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    let session = command.terminal == nil ? 0 : MCORE_SPAWN_SETSID
    let group = apart ? POSIX_SPAWN_SETPGROUP : 0
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | session | group))

    var words = unsafe ([command.program] + command.arguments).map { unsafe strdup($0) }
    unsafe words.append(nil)
    defer { unsafe words.forEach { unsafe free($0) } }
    var pid: Int32 = 0
    let code = unsafe posix_spawnp(&pid, command.program, &actions, &attributes, words, mcore_environment())
    if code == ENOENT {
      throw DumpError(.system(code), "there is no such program", at: command.program, advice: "install it")
    }
    if code != 0 { throw failure(.spawn, code, command.program) }
    Children.started(pid)
    return pid
  }

  // MARK: waiting

  /// What is killed gets this long to be gone, in nanoseconds.
  private static let killGrace: UInt64 = 5_000_000_000

  /// `apart`: what is killed is its process group.
  static func wait(
    for pid: Int32, _ name: String, _ limitSeconds: UInt64?, _ output: inout CollectedOutput, status: Int32 = -1,
    apart: Bool = false
  ) throws(DumpError) -> ProcessEnd {
    if let injected = Faults.next(.wait) { throw failure(.wait, injected, name) }
    // Where there is no pidfd (before Linux 5.3), the descriptor is negative, poll(2) skips it, and the waits
    // are short.
    let handle = mcore_pidfd_open(pid)
    defer { if handle >= 0 { close(handle) } }
    let isInit = processID == 1
    let longest: UInt64 = handle < 0 ? 20 : isInit ? 1000 : 60_000
    let limit = limitSeconds.map { $0.multipliedReportingOverflow(by: 1_000_000_000) }
    var deadline = limit.map {
      $0.overflow ? UInt64.max : monotonicNanoseconds.addingReportingOverflow($0.partialValue).partialValue
    }
    var killed = false
    var statusPipe = status
    var told: Int32?
    while true {
      if isInit { reapOrphans() }
      if let status = try endStatus(of: pid, name) {
        if let told { return .exited(told) }
        return killed ? .timedOut : status
      }
      let now = monotonicNanoseconds
      if let passed = deadline, now >= passed {
        if killed { return told.map { .exited($0) } ?? .timedOut }
        kill(apart ? -pid : pid, SIGKILL)
        killed = true
        deadline = now + killGrace
        continue
      }
      let left = deadline.map { ($0 - now) / 1_000_000 + 1 } ?? longest
      var waiting = [
        pollfd(fd: handle, events: Int16(POLLIN), revents: 0),
        pollfd(fd: output.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: statusPipe, events: Int16(POLLIN), revents: 0),
      ]
      unsafe _ = poll(&waiting, 3, Int32(clamping: min(left, longest)))
      if waiting[1].revents != 0 { output.drain() }
      if waiting[2].revents != 0 {
        var byte: UInt8 = 0
        // At its end it was closed without a word.
        if unsafe Glibc.read(statusPipe, &byte, 1) == 1 {
          told = Int32(byte)
          deadline = monotonicNanoseconds + killGrace
        }
        statusPipe = -1
      }
    }
  }

  /// Nil while it runs.
  private static func endStatus(of pid: Int32, _ name: String) throws(DumpError) -> ProcessEnd? {
    var status: Int32 = 0
    if let reaped = Children.takeStatus(pid) {
      status = reaped
    } else {
      let found = unsafe waitpid(pid, &status, WNOHANG)
      if found == 0 { return nil }
      if found < 0 {
        let code = errno
        if code == EINTR { return nil }
        throw failure(.wait, code, name)
      }
      Children.forget(pid)
    }
    // The encoding of wait(2): a signal in the low seven bits, or the exit status in the next byte.
    let signal = status & 0x7f
    return signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
  }
}

/// The children that somebody waits for, so that reaping orphans does not lose how one of them ended.
private enum Children {
  /// By process id: the status, once it has ended.
  private static let waited = Mutex<[Int32: Int32?]>([:])

  static func started(_ pid: Int32) { waited.withLock { $0[pid] = .some(nil) } }
  static func forget(_ pid: Int32) { waited.withLock { _ = $0.removeValue(forKey: pid) } }

  static func ended(_ pid: Int32, _ status: Int32) {
    waited.withLock { if $0[pid] != nil { $0[pid] = .some(status) } }
  }

  static func takeStatus(_ pid: Int32) -> Int32? {
    waited.withLock { waited in
      guard let entry = waited[pid], let status = entry else { return nil }
      waited.removeValue(forKey: pid)
      return status
    }
  }
}

/// What a child says: the last of it, where it is much. Not waited for to its end: a daemon that the child
/// left behind may hold the pipe.
struct CollectedOutput {
  private(set) var descriptor: Int32
  private var bytes: [UInt8] = []

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// Takes what is there now. The descriptor does not block.
  mutating func drain() {
    guard descriptor >= 0 else { return }
    var piece = [UInt8](repeating: 0, count: 1024)
    while true {
      let count = unsafe Glibc.read(descriptor, &piece, piece.count)
      if count > 0 {
        bytes += piece[0..<count]
        if bytes.count > Command.outputLimit { bytes.removeFirst(bytes.count - Command.outputLimit) }
        continue
      }
      // At its end poll(2) would report it for ever.
      if count == 0 { descriptor = -1 }
      return
    }
  }

  var text: String {
    let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x0a }
    let rest = bytes.drop(while: isBlank)
    guard let last = rest.lastIndex(where: { !isBlank($0) }) else { return "" }
    return String(decoding: rest[...last], as: UTF8.self)
  }
}
