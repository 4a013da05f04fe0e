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
