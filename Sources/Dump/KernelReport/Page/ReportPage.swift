public import CrashedKernel
internal import DumpBasics

/// The report as one page of HTML: nothing is loaded from elsewhere, and what comes from the dump is text.
///
/// `memory`: what the machine's memory was used for, by address, where that is known. `tool`: who made it.
public func reportPage(
  _ kernel: CrashedKernel, memory: MemoryMap?, tool: String, isOver: @escaping () -> Bool = { false }
) -> String {
  let content = ReportContent(kernel, isOver: isOver)
  return content.page(PageLog(try? kernel.log()), memory, tool: tool)
}

/// The log for the page: with the levels of its lines, and no more of it than a browser likes.
struct PageLog {
  struct Line {
    var level: UInt8?
    /// Up to the text, with the bracket; empty where the line has none.
    var time = ""
    var text: String
  }

  private static let lineLimit = 8000
  private static let byteLimit = 2 << 20

  private(set) var lines: [Line] = []
  /// Lines before those.
  private(set) var leftOut = 0

  mutating func add(_ line: Line) { lines.append(line) }

  init(_ log: KernelLog?) {
    guard let log else { return }
    var bytes = 0
    if log.entries.isEmpty {
      let all = log.lines
      for line in all.reversed() {
        bytes += line.utf8.count
        if lines.count == PageLog.lineLimit || bytes > PageLog.byteLimit { break }
        lines.append(Line(text: line))
      }
      leftOut = all.count - lines.count
    } else {
      for record in log.entries.reversed() {
        bytes += record.text.count
        if lines.count == PageLog.lineLimit || bytes > PageLog.byteLimit || record.text.upperBound > log.bytes.count { break }
        let microseconds = record.nanoseconds / 1000
        let time = "[\(right(String(microseconds / 1_000_000), 5)).\(padded(microseconds % 1_000_000, 6))] "
        lines.append(Line(level: record.level, time: time, text: String(decoding: log.bytes[record.text], as: UTF8.self)))
      }
      leftOut = log.entries.count - lines.count
    }
    lines.reverse()
  }
}

extension ReportContent {
  func page(_ log: PageLog, _ map: MemoryMap?, tool: String) -> String {
    var body = Markup()
    body.section("crash", "What crashed", crash)
    body.section("stacks", "Stacks", stacks)
    if waitingCount > 0 { body.section("waits", "Tasks that wait (D): \(waitingCount)", waits) }
    body.section("log", "The log") { pageLog(&$0, log) }
    if taskCount > 0 { body.section("ran", "What ran", running) }
    body.section("memory", "Memory") { memory(&$0, map) }
    system(&body)
    var page = Markup()
    head(&page)
    page.raw("<body><header>")
    page.element("h1", reason ?? "No panic message found in the log")
    if let cut { page.element("p", style: "wrong", "INCOMPLETE: " + cut) }
    page.within("nav") { page in
      for (id, title) in body.sections {
        page.raw("<a href=\"#")
        page.raw(id)
        page.raw("\">")
        page.text(title)
        page.raw("</a>")
      }
    }
    page.raw("</header>\n<main>")
    page.add(body)
    page.raw("</main>\n<footer>")
    page.text("Written by \(tool) from the dump alone: no debug symbols, no other file.")
    page.raw("</footer>\n<script>")
    page.raw(PageStyle.script)
    page.raw("</script></body></html>\n")
    return page.html
  }

  private func head(_ page: inout Markup) {
    page.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
    page.raw(
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    page.raw(PageStyle.scriptDigest)
    page.raw("'; base-uri 'none'; form-action 'none'\"><meta name=\"referrer\" content=\"no-referrer\">")
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>")
    page.text("\(isNamed ? node ?? "" : "kernel crash"): \(reason ?? "no panic message")")
    page.raw("</title><style>")
    page.raw(PageStyle.css)
    page.raw("</style></head>\n")
  }

  /// `(none)` is what a kernel calls itself that nobody gave a name.
  private var isNamed: Bool { node.map { !$0.isEmpty && $0 != "(none)" } ?? false }

  private func crash(_ page: inout Markup) {
    page.within("dl") { page in
      func item(_ name: String, _ value: String?) {
        guard let value else { return }
        page.element("dt", name)
        page.element("dd", value)
      }
      if let crashed {
        let task = crashed.task.map { ", \($0.name) (PID \($0.pid))" } ?? ""
        item("where", "CPU \(crashed.processor.number)" + task + (cgroup.map { ", cgroup \($0)" } ?? ""))
      }
      item("kernel", release + (version.map { " " + $0 } ?? ""))
      item("host", isNamed ? node : nil)
      item("machine", machine)
      item("time", crashTime.map { UTCTime(secondsSince1970: $0).text })
      item("uptime", uptime.map { exactSeconds($0) + " s (the log's last line)" })
      item("tainted", taint.map { $0.isEmpty ? "no" : $0.joined(separator: "; ") })
      item("booted with", commandLine)
      item("signature", signature.map { "\($0.hash) (\(([$0.kind] + $0.frames).joined(separator: " ")))" })
    }
  }

  // MARK: stacks

  private func stacks(_ page: inout Markup) {
    page.raw("<div class=\"tools\"><button type=\"button\" data-open=\"1\">Open all</button>")
    page.raw("<button type=\"button\" data-open=\"0\">Close all</button></div>")
    if let crashed {
      page.folded(isOpen: true) { page in
        page.element("b", "The stack of the panic")
        page.element("span", "CPU \(crashed.processor.number), " + heading(crashed))
      } _: { page in
        page.stack(crashed.trace)
      }
      if let telling, let registers = telling.registers {
        page.folded(isOpen: true) { page in
          page.element("b", "Registers")
          page.element("span", "in \(telling.place.text)")
        } _: { page in
          page.raw("<div class=\"registers\" style=\"padding:.2rem .75rem\">")
          for (name, value) in zip(registers.names, registers.values) {
            page.within("span") { page in
              page.element("i", name)
              page.text(padded(value, 16, radix: 16))
            }
          }
          page.raw("</div>")
        }
      }
      if let code {
        page.element("h3", "Code at \(hex(code.start))")
        page.within("pre") { page in
          for (index, byte) in code.bytes.enumerated() {
            if index > 0 { page.raw(" ") }
            let digits = padded(byte, 2, radix: 16)
            if code.start &+ UInt64(index) == code.at { page.element("mark", digits) } else { page.text(digits) }
          }
        }
      }
    }
    if !others.isEmpty { page.element("h3", othersHeading) }
    for other in others {
      page.folded { page in
        page.element("b", "CPU \(other.processor.number)")
        page.element("span", heading(other))
      } _: { page in
        page.stack(other.trace)
      }
    }
  }

  private func heading(_ stack: ProcessorStack) -> String {
    let task = stack.task.map { "\($0.name) (PID \($0.pid))" } ?? "?"
    return task + (stack.trace.frames.first?.place.function.map { ", in \($0)" } ?? "")
  }

  // MARK: waits

  private func waits(_ page: inout Markup) {
    if !chains.isEmpty {
      page.within("ul") { page in
        for (tasks, isCycle) in chains {
          let names = tasks.map { "\($0.name) (PID \($0.pid))" }
          page.within("li") { page in
            if isCycle { page.element("b", style: "wrong", "DEADLOCK: ") }
            page.text((isCycle ? names + names.prefix(1) : names).joined(separator: " waits for "))
          }
        }
      }
    }
    for entry in holders {
      page.waiter(entry, holderText(entry))
    }
    for entry in waiting { page.waiter(entry, waitText(entry)) }
    if waitingCount > waiting.count { page.element("p", "… and \(waitingCount - waiting.count) more") }
  }

  // MARK: log

  private func pageLog(_ page: inout Markup, _ log: PageLog) {
    if log.lines.isEmpty {
      page.element("p", "It can't be read from the dump.")
      return
    }
    page.raw(
      "<div class=\"tools\"><input id=\"words\" type=\"search\" placeholder=\"Search the log\" aria-label=\"Search the log\">")
    page.raw("<select id=\"level\" aria-label=\"Level\"><option value=\"8\">all levels")
    for (value, name) in ["emergencies", "alerts", "critical", "errors", "warnings", "notices", "informational"].enumerated()
      .reversed()
    {
      page.raw("<option value=\"")
      page.number(value)
      page.raw("\">")
      page.text(value == 0 ? name : "\(name) and worse")
    }
    page.raw("</select><span id=\"count\" role=\"status\"></span></div>")
    if log.leftOut > 0 { page.element("p", "\(log.leftOut) lines before these are left out: mcore dmesg prints them.") }
    page.raw("<ol id=\"lines\">")
    for (index, line) in log.lines.enumerated() {
      let isOld = log.lines.count - index > 200
      page.raw("<li")
      if let level = line.level {
        page.raw(" data-l=\"")
        page.number(level & 7)
        page.raw("\" class=\"l")
        page.number(level & 7)
        page.raw(isOld ? " old\"" : "\"")
      } else if isOld {
        page.raw(" class=\"old\"")
      }
      page.raw(">")
      if !line.time.isEmpty { page.element("time", line.time) }
      page.text(line.text)
      page.raw("</li>")
    }
    page.raw("</ol>")
  }
}

extension Markup {
  fileprivate mutating func waiter(_ entry: ReportContent.TaskStack, _ what: String) {
    folded { page in
      page.element("b", "\(entry.task.name) (PID \(entry.task.pid))")
      page.element("span", what)
    } _: { page in
      page.stack(entry.trace)
    }
  }

  /// One line a function; what merely looks like a return address is marked.
  mutating func stack(_ trace: StackTrace) {
    within("ol", style: "stack") { page in
      for (index, frame) in trace.frames.enumerated() {
        if frame.registers != nil, index > 0 { page.element("li", style: "mark", "interrupted") }
        page.raw(frame.isReliable ? "<li>" : "<li class=\"doubt\">")
        let place = frame.place
        if let function = place.function {
          page.text(function)
          page.element("span", "+\(hex(place.offset))/\(hex(place.size))" + (place.module.map { " [\($0)]" } ?? ""))
        } else {
          page.text(hex(place.address))
        }
        page.raw("</li>")
        if frame.repeats > 0 { page.element("li", style: "mark", "the same \(frame.repeats) more times") }
      }
      if trace.reachedUser { page.element("li", style: "mark", "user space") }
      if let problem = trace.problem { page.element("li", style: "mark", problem) }
    }
  }
}
