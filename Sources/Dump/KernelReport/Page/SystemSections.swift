internal import DumpBasics

// What ran, memory and what stood around the crash, for the page.
extension ReportContent {
  func running(_ page: inout Markup) {
    page.within("dl") { page in
      page.element("dt", "tasks")
      page.element("dd", "\(taskCount): " + states.map { "\($0.count) \($0.state)" }.joined(separator: ", "))
      if load.count == 3 {
        page.element("dt", "load")
        page.element("dd", load.joined(separator: " ") + " (1, 5, 15 minutes)")
      }
    }
    page.table(
      ["CPU", "task", "runnable", "others that could run"],
      running.map {
        [
          String($0.cpu), $0.task.map { "\($0.name) (PID \($0.pid))" } ?? "?", $0.runnable.map { String($0) } ?? "?",
          runnableNames($0) ?? "",
        ]
      })
  }

  func memory(_ page: inout Markup, _ map: MemoryMap?) {
    if let map { page.chart(map) }
    guard let memory, !memory.zones.isEmpty || !memory.processes.isEmpty else {
      if map == nil { page.element("p", "Not known.") }
      return
    }
    page.element("h3", "Zones")
    if let total = memory.totalPages { page.element("p", "\(pages(total)) in all") }
    page.table(
      ["zone", "free", "of", "watermarks: min", "low", "high", ""],
      memory.zones.map { zone in
        let marks = zone.watermarks.count == 3 ? zone.watermarks.map(pages) : ["?", "?", "?"]
        let isLow = zone.free.map { free in zone.watermarks.first.map { free < $0 } ?? false } ?? false
        return ["\(zone.name), node \(zone.node)", zone.free.map(pages) ?? "?", pages(zone.managed)] + marks
          + [isLow ? "BELOW the lowest" : ""]
      })
    if !memory.counts.isEmpty {
      page.element("h3", "Used by")
      page.table(["what", "memory"], memory.counts.map { [$0.name, pages($0.pages)] })
    }
    if !memory.hugePages.isEmpty {
      page.element("h3", "Huge pages")
      page.table(
        ["of", "there are", "free"],
        memory.hugePages.map { [humanBytes($0.pageBytes), String($0.total), String($0.free)] })
    }
    if !memory.slabs.isEmpty {
      page.element("h3", "Largest slab caches")
      page.table(
        ["cache", "memory", "objects", "bytes each"],
        memory.slabs.map { [$0.name, humanBytes($0.bytes), String($0.objects), String($0.objectSize)] })
    }
    if !memory.processes.isEmpty {
      page.element("h3", "Largest processes")
      page.table(
        ["process", "resident", "swap", "page tables", "oom_score_adj"],
        memory.processes.map {
          [
            "\($0.task.name) (PID \($0.task.pid))", humanBytes($0.bytes), $0.swapped.map(humanBytes) ?? "?",
            $0.tables.map(humanBytes) ?? "?", $0.adjustment.map { String($0) } ?? "?",
          ]
        })
    }
  }

  /// Sections that are there only where there is something to say.
  func system(_ body: inout Markup) {
    if let pools = workqueues?.pools, !pools.isEmpty {
      body.section("workqueues", "Workqueues with work that nobody has begun") { page in
        page.within("dl") { page in
          for pool in pools {
            page.element("dt", pool.name)
            page.element("dd", pool.text)
          }
        }
      }
    }
    if let timers, !timers.wheels.shown.isEmpty {
      body.section("timers", timers.title) { page in
        page.within("dl") { page in
          for wheel in timers.wheels.shown {
            page.element("dt", wheel.name)
            page.element("dd", wheel.text)
          }
        }
        if let more = timers.wheels.more { page.element("p", more) }
      }
    }
    if let requests, requests.count > 0 {
      body.section("requests", "Requests on their way to block devices: \(requests.count)") { page in
        page.table(
          ["disk", "operation", "size", "sector", "for", ""],
          requests.shown.map {
            [
              $0.disk, $0.operation, humanBytes($0.bytes), String($0.sector), $0.age.map { seconds($0) + " s" } ?? "?",
              $0.isOverdue ? "OVERDUE" : "",
            ]
          })
        if requests.count > requests.shown.count { page.element("p", "… and \(requests.count - requests.shown.count) more") }
      }
    }
    if let devices = network?.devices, !devices.isEmpty {
      body.section("network", "Network devices") { page in
        page.table(
          ["device", "state", "MTU", "hardware", "addresses"],
          devices.map { [$0.fullName, $0.state, String($0.mtu), $0.hardware ?? "", $0.addresses.joined(separator: ", ")] })
      }
    }
    if let system {
      if !system.fileSystems.isEmpty {
        body.section("file-systems", "File systems") { page in
          page.table(
            ["on", "type", ""],
            system.fileSystems.map { [$0.name, $0.type, $0.isFrozen ? "FROZEN: its writers wait" : ""] })
        }
      }
      if !system.mounts.isEmpty {
        body.section("mounts", "Mounts: \(system.mountCount)") { page in
          page.table(
            ["on", "device", "type", ""],
            system.mounts.map { [$0.path, $0.device ?? "", $0.type, $0.isReadOnly ? "read-only" : ""] })
          if system.mountCount > system.mounts.count {
            page.element("p", "… and \(system.mountCount - system.mounts.count) more")
          }
        }
      }
      if !system.hardwareErrors.isEmpty {
        body.section("hardware", "Hardware errors that the kernel recovered from") { page in
          page.table(
            ["kind", "count", "the last at"],
            system.hardwareErrors.map { [$0.kind, String($0.count), UTCTime(secondsSince1970: $0.last).text] })
        }
      }
    }
    if !modules.isEmpty {
      body.section("modules", "Modules") { $0.element("code", modules.joined(separator: " ")) }
    }
    if !notes.isEmpty {
      body.section("lacks", "What this report lacks") { page in
        page.within("ul") { page in for note in notes { page.element("li", note) } }
      }
    }
  }
}
