public import DumpBasics
internal import CLinux
internal import Glibc

/// A program that is fed through its standard input while it runs: ssh, curl, a command of the administrator.
/// What it says, on standard output and standard error, is collected (`Command.outputLimit`).
///
/// Nothing here waits without an end, as a far side may stop listening without closing: `stall` is for how
/// many seconds it may take no byte; 0 is for ever. It runs in a process group of its own, and a child that
/// is still there when its last reference goes is killed with all that it started.
public final class PipedChild {
  public let name: String
  /// F_SETPIPE_SZ (include/uapi/linux/fcntl.h), which Glibc's module lacks; and bytes: 64 KiB is the kernel's
  /// default.
  private static let setPipeSize: Int32 = 1031
  private static let pipeSize: Int32 = 512 << 10
  private let pid: Int32
  private let reading: Int32
  private var input: Int32
  private var output: CollectedOutput
  private var end: ProcessEnd?

  /// Starts it. Throws with ENOENT where there is no such program.
  public init(_ command: Command) throws(DumpError) {
    System.ignoreBrokenPipes()
    name = command.program
    let (childInput, ourInput) = try PipedChild.pipe(command.program)
    defer { close(childInput) }
    let ourOutput: Int32
    let childOutput: Int32
    do throws(DumpError) {
      (ourOutput, childOutput) = try PipedChild.pipe(command.program)
    } catch {
      close(ourInput)
      throw error
    }
    defer { close(childOutput) }
    for descriptor in [ourInput, ourOutput] { _ = fcntl(descriptor, F_SETFL, O_NONBLOCK) }
    // Fewer changes between the two programs. Where a user's pipes have that much already, it stays as it is.
    _ = fcntl(ourInput, PipedChild.setPipeSize, PipedChild.pipeSize)
    do throws(DumpError) {
      pid = try System.spawn(command, input: childInput, output: childOutput, apart: true)
    } catch {
      close(ourInput)
      close(ourOutput)
      throw error
    }
    input = ourInput
    reading = ourOutput
    output = CollectedOutput(ourOutput)
  }

  deinit {
    if end == nil {
      kill(-pid, SIGKILL)
      _ = try? wait(stall: 1)
    }
    closeInput()
    close(reading)
  }

  /// Hands it all of `buffer`. Throws EPIPE when it has closed its input, mostly by ending, and ETIMEDOUT
  /// when it stands still.
  public func write(_ buffer: UnsafeRawBufferPointer, stall: UInt64) throws(DumpError) {
    guard let base = buffer.baseAddress else { return }
    var done = 0
    var lastStep = System.monotonicNanoseconds
    while done < buffer.count {
      if let injected = Faults.next(.write) { throw System.failure(.write, injected, name) }
      let count = unsafe Glibc.write(input, base + done, Faults.clip(.write, buffer.count - done))
      if count > 0 {
        done += count
        lastStep = System.monotonicNanoseconds
        continue
      }
      let code = errno
      if code == EINTR { continue }
      guard code == EAGAIN else { throw System.failure(.write, code, name) }
      let waited = (System.monotonicNanoseconds - lastStep) / 1_000_000
      let limit = clampedProduct(stall, 1000)
      if stall > 0, waited >= limit {
        throw DumpError(.system(ETIMEDOUT), "took no byte for \(stall) s", at: name)
      }
      var waiting = [
        pollfd(fd: input, events: Int16(POLLOUT), revents: 0), pollfd(fd: output.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let left = stall > 0 ? limit - waited : 60_000
      unsafe _ = poll(&waiting, 2, Int32(clamping: min(left, 60_000)))
      // One that waits for its own output to be read would never read on.
      if waiting[1].revents != 0 { output.drain() }
    }
  }

  /// There is nothing more to come.
  public func closeInput() {
    if input >= 0 { close(input) }
    input = -1
  }

  /// Closes its input and waits for its end; kills it when that takes longer than `stall` seconds.
  public func wait(stall: UInt64) throws(DumpError) -> ProcessResult {
    closeInput()
    if let end { return ProcessResult(end: end, output: output.text) }
    let how = try System.wait(for: pid, name, stall > 0 ? stall : nil, &output, apart: true)
    output.drain()
    end = how
    return ProcessResult(end: how, output: output.text)
  }

  /// Ends it, and says what it said until then.
  public func stop() -> String {
    if end == nil { kill(-pid, SIGKILL) }
    return (try? wait(stall: 5).output) ?? ""
  }

  private static func pipe(_ name: String) throws(DumpError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    _ = try System.retrying(.spawn, name) { unsafe Int(mcore_pipe(&ends)) }
    return (ends[0], ends[1])
  }
}

extension System {
  /// What a target that can't be reached now, and may be later, fails with.
  public static let unreachable = EHOSTUNREACH
  /// What a target that stands still fails with.
  public static let timedOut = ETIMEDOUT
  /// What a refused login fails with.
  public static let accessRefused = EACCES
  /// What a child that ended too early makes of a write to it.
  public static let brokenPipe = EPIPE
}
