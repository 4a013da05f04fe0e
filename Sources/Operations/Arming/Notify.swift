internal import CaptureInit
public import DumpBasics
internal import LinuxSystem
internal import Reading

/// What `notify=` did.
public struct Notification: Sendable {
  /// Dumps that the command was run for.
  public var told: [String] = []
  /// Commands that failed, and what they said.
  public var problems: [String] = []
}

/// How long a command may take, in seconds.
private let notifyLimit: UInt64 = 60
/// Commands of one boot: a directory that is new to this machine may hold hundreds of dumps.
private let notifyCount = 20

/// Runs the command of `notify=` once for each new dump, with the facts in its environment. One that fails is
/// a problem that is told, and is not run again. `limitSeconds`: for each.
public func notify(_ request: ArmRequest = ArmRequest(), limitSeconds: UInt64? = nil) throws(DumpError) -> Notification {
  let machine = Machine(root: request.root)
  let settings = CheckedSettings(machine)
  let path = "\(request.directory)/notified"
  let known = KnownDumps(path)
  var present = KnownDumps()
  var notification = Notification()
  for directory in dumpDirectories(settings.targets.map(\.word), machine) {
    do throws(DumpError) {
      for dump in try listDumps(in: directory) {
        // By its last name: the command hears of a dump once, whatever comes of it.
        let key = printable(dump.finalPath)
        present.insert(key)
        guard !known.contains(key), let command = settings.running.notify else { continue }
        guard notification.told.count < notifyCount else {
          notification.problems.append("more than \(notifyCount) new dumps: notify= is not run for \(key)")
          continue
        }
        notification.told.append(dump.path)
        if let problem = run(command, for: dump, limitSeconds ?? notifyLimit) { notification.problems.append(problem) }
      }
    } catch { notification.problems.append(error.description) }
  }
  if present != known || System.kind(of: path) == nil { try present.write(path) }
  return notification
}

/// Nil where all is well.
private func run(_ command: String, for dump: ListedDump, _ limitSeconds: UInt64) -> String? {
  let facts = [
    "PATH=\(dump.path)", "STATUS=\(dump.status)", "RELEASE=\(printable(dump.release ?? ""))",
    "REASON=\(printable(dump.reason ?? ""))", "TIME=\(dump.timeText)", "BYTES=\(dump.bytes)",
  ].map { "MCORE_" + $0 }
  let child = Command("env", facts + ["sh", "-c", command], output: .collect, isApart: true)
  let what: String
  var said = ""
  do throws(DumpError) {
    let result = try System.run(child, limitSeconds: limitSeconds)
    said = result.output.isEmpty ? "" : ": \(printable(result.output))"
    switch result.end {
    case .exited(0): return nil
    case .exited(let status): what = "ended with \(status)"
    case .killed(let signal): what = "was ended by signal \(signal)"
    case .timedOut: what = "took longer than \(limitSeconds) s, and was ended"
    }
  } catch { what = "could not be started: \(error)" }
  return "notify=\(printable(command)) \(what)\(said) (for \(printable(dump.path)))"
}

extension ListedDump {
  /// Its path when it is whole.
  fileprivate var finalPath: String {
    let suffix = ".incomplete".utf8
    guard path.utf8.suffix(suffix.count).elementsEqual(suffix) else { return path }
    return String(Substring(path.utf8.dropLast(suffix.count)))
  }
}
