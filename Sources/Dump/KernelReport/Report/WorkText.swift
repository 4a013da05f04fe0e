internal import CoreEncoding
internal import DumpBasics

// What workqueues, requests and network devices say, in words and as JSON.

extension Workqueues.Pool {
  var name: String { "pool \(number)" }

  var text: String {
    var parts = [cpu.map { "CPU \($0)" } ?? "any CPU"]
    if let idleFor { parts.append("no progress for \(seconds(idleFor)) s" + (standsStill ? ": STANDS STILL" : "")) }
    parts.append("\(pending) pending (\(functions.joined(separator: ", "))\(pending > functions.count ? ", …" : ""))")
    parts.append("\(workers) workers, \(idle) idle")
    parts += running.map { "\($0.task.map { "\($0.name) (PID \($0.pid))" } ?? "?") in \($0.function)" }
    return parts.joined(separator: ", ")
  }

  var json: JSON {
    .object([
      ("pool", .number(number)), ("cpu", cpu.map(JSON.number) ?? .null), ("workers", .unsigned(workers)),
      ("idle", .unsigned(idle)),
      ("pending", .number(Int64(pending))), ("functions", .array(functions.map(JSON.string))),
      (
        "running",
        .array(running.map { .object([("task", $0.task.map(\.json) ?? .null), ("function", .string($0.function))]) })
      ), ("no_progress_ns", idleFor.map(JSON.unsigned) ?? .null), ("stands_still", .bool(standsStill)),
    ])
  }
}

extension Timers.Timer {
  var text: String {
    let who = function + (task.map { " of \($0.name) (PID \($0.pid))" } ?? "")
    return left < 0 ? "\(who), for \(seconds(left.magnitude)) s" : "\(who) in \(seconds(UInt64(left))) s"
  }

  var json: JSON {
    .object([
      ("function", .string(function)), ("task", task.map(\.json) ?? .null), ("left_ns", .number(left)),
    ])
  }
}

extension Timers.Wheel {
  var name: String { "CPU \(cpu)" }

  var text: String {
    var parts = ["\(count) pending"]
    if let overdue { parts.append("overdue by \(seconds(overdue)) s: NONE RUNS") }
    return parts.joined(separator: ", ") + (first.isEmpty ? "" : ": " + first.map(\.text).joined(separator: ", "))
      + (count > first.count ? ", …" : "")
  }

  var json: JSON {
    .object([
      ("cpu", .number(Int64(cpu))), ("count", .number(Int64(count))), ("first", .array(first.map(\.json))),
      ("overdue_ns", overdue.map(JSON.unsigned) ?? .null),
    ])
  }
}

extension [Timers.Wheel] {
  /// CPUs that have timers, the late ones first.
  private var busy: [Timers.Wheel] { filter { $0.overdue != nil } + filter { $0.overdue == nil && $0.count > 0 } }

  private static var shownLimit: Int { 16 }
  /// Of a machine with many CPUs those that say most.
  var shown: [Timers.Wheel] { Array(busy.prefix(Self.shownLimit)) }
  /// What `shown` leaves out, as a line; nil where that is nothing.
  var more: String? { busy.count > Self.shownLimit ? "… and \(busy.count - Self.shownLimit) more CPUs" : nil }
}

extension Timers {
  var title: String { "Timers: \(wheels.reduce(0) { $0 + $1.count })" }
}

extension BlockRequests.Request {
  var text: String {
    "\(operation) of \(humanBytes(bytes)) at sector \(sector)" + (age.map { ", for \(seconds($0)) s" } ?? "")
      + (isOverdue ? ", OVERDUE" : "")
  }

  var json: JSON {
    .object([
      ("disk", .string(disk)), ("operation", .string(operation)), ("sector", .unsigned(sector)), ("bytes", .unsigned(bytes)),
      ("age_ns", age.map(JSON.unsigned) ?? .null), ("overdue", .bool(isOverdue)),
    ])
  }
}

extension BlockRequests {
  var json: JSON { .object([("count", .number(Int64(count))), ("requests", .array(shown.map(\.json)))]) }
}

extension SystemPicture.Mount {
  var text: String { (device.map { "\($0), " } ?? "") + type + (isReadOnly ? ", read-only" : "") }
}

extension NetworkPicture.Device {
  var fullName: String { name + (namespace.map { ", namespace \($0)" } ?? "") }

  var text: String {
    ([state, "MTU \(mtu)"] + [hardware].compactMap { $0 } + addresses).joined(separator: ", ")
  }

  var json: JSON {
    .object([
      ("name", .string(name)), ("namespace", namespace.map(JSON.unsigned) ?? .null), ("up", .bool(isUp)),
      ("carrier", .bool(hasCarrier)), ("mtu", .unsigned(mtu)), ("hardware", .optional(hardware)),
      ("addresses", .array(addresses.map(JSON.string))),
    ])
  }
}
