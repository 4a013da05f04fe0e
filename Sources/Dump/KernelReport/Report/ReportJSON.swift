internal import CoreEncoding
internal import DumpBasics

extension ReportContent {
  /// The schema stands in docs/report.md.
  var json: JSON {
    .object([
      ("version", .number(1)), ("reason", .optional(reason)),
      (
        "signature",
        signature.map {
          .object([("hash", .string($0.hash)), ("kind", .string($0.kind)), ("frames", .array($0.frames.map(JSON.string)))])
        } ?? .null
      ),
      ("kernel", .object([("release", .string(release)), ("version", .optional(version))])), ("host", .optional(node)),
      ("machine", .optional(machine)), ("command_line", .optional(commandLine)), ("time", crashTime.map(JSON.number) ?? .null),
      ("uptime_seconds", uptime.map(JSON.seconds) ?? .null), ("taint", taint.map { .array($0.map(JSON.string)) } ?? .null),
      ("panic", crashed.map(processor) ?? .null),
      (
        "code",
        code.map {
          .object([
            ("start", .string(hex($0.start))), ("at", .string(hex($0.at))),
            ("bytes", .string($0.bytes.map { padded($0, 2, radix: 16) }.joined())),
          ])
        } ?? .null
      ), ("cpus", .array(others.map(processor))), ("log", .array(log.map(JSON.string))),
      (
        "waiting",
        .object([
          ("count", .number(Int64(waitingCount))), ("tasks", .array(waiting.map(waiter))),
          ("holders", .array(holders.map(waiter))),
          (
            "chains",
            .array(
              chains.map {
                .object([("pids", .array($0.tasks.map { .number(Int64($0.pid)) })), ("cycle", .bool($0.isCycle))])
              })
          ),
        ])
      ),
      (
        "tasks",
        .object([
          ("count", .number(Int64(taskCount))),
          ("states", .object(states.map { (String($0.state), .number(Int64($0.count))) })),
        ])
      ),
      (
        "running",
        .array(
          running.map {
            .object([
              ("cpu", .number(Int64($0.cpu))), ("runnable", $0.runnable.map(JSON.unsigned) ?? .null),
              ("task", $0.task.map(\.json) ?? .null), ("runnable_tasks", .array($0.waiting.map(\.json))),
            ])
          })
      ), ("load", .array(load.map(JSON.string))), ("memory", memory.map(\.json) ?? .null),
      ("cgroup", .optional(cgroup)), ("file_systems", .array((system?.fileSystems ?? []).map(\.json))),
      ("mounts", .array((system?.mounts ?? []).map(\.json))), ("mount_count", .number(Int64(system?.mountCount ?? 0))),
      ("workqueues", .array((workqueues?.pools ?? []).map(\.json))), ("timers", .array((timers?.wheels ?? []).map(\.json))),
      ("block_requests", requests.map(\.json) ?? .null),
      ("network", .array((network?.devices ?? []).map(\.json))),
      ("hardware_errors", .array((system?.hardwareErrors ?? []).map(\.json))),
      ("modules", .array(modules.map(JSON.string))), ("notes", .array(notes.map(JSON.string))),
    ])
  }

  private func processor(_ stack: ProcessorStack) -> JSON {
    .object([
      ("cpu", .number(Int64(stack.processor.number))), ("task", stack.task.map(\.json) ?? .null), ("stack", stack.trace.json),
    ])
  }

  private func waiter(_ stack: TaskStack) -> JSON {
    .object([
      ("task", stack.task.json), ("waited_ns", stack.waited.map(JSON.unsigned) ?? .null),
      ("for", .optional(stack.wait?.kind.rawValue)), ("in", .optional(stack.wait?.function)),
      ("lock", .optional(stack.wait?.lock.map(hex))), ("lock_name", .optional(stack.lockName)),
      ("holder", stack.holder.map(\.json) ?? .null), ("readers", stack.wait?.readers.map(JSON.unsigned) ?? .null),
      ("last_reader", stack.lastReader.map(\.json) ?? .null),
      ("stack", stack.trace.json),
    ])
  }
}

extension TaskInfo {
  var json: JSON {
    .object([
      ("address", .string(hex(address))), ("pid", .number(Int64(pid))), ("process", .number(Int64(process))),
      ("name", .string(name)),
      ("state", .string(String(state))), ("cpu", cpu.map { .number(Int64($0)) } ?? .null), ("on_cpu", .bool(isOnCPU)),
      ("kernel_thread", .bool(isKernelThread)),
    ])
  }
}

extension StackTrace {
  var json: JSON {
    .object([
      (
        "frames",
        .array(
          frames.map { frame in
            .object([
              ("address", .string(hex(frame.place.address))), ("function", .optional(frame.place.function)),
              ("offset", .unsigned(frame.place.offset)), ("size", .unsigned(frame.place.size)),
              ("module", .optional(frame.place.module)), ("reliable", .bool(frame.isReliable)),
              ("repeats", .unsigned(UInt64(frame.repeats))),
              ("registers", frame.registers.map(\.json) ?? .null),
            ])
          })
      ), ("whole", .bool(isWhole)), ("user_space", .bool(reachedUser)), ("problem", .optional(problem)),
    ])
  }
}

extension RegisterSet {
  var json: JSON { .object(names.enumerated().map { ($1, .string(hex(values[$0]))) }) }
}

extension MemoryPicture {
  var json: JSON {
    .object([
      ("page_bytes", .unsigned(pageBytes)), ("total_pages", totalPages.map(JSON.unsigned) ?? .null),
      (
        "zones",
        .array(
          zones.map {
            .object([
              ("name", .string($0.name)), ("node", .number(Int64($0.node))), ("managed_pages", .unsigned($0.managed)),
              ("free_pages", $0.free.map(JSON.unsigned) ?? .null), ("watermark_pages", .array($0.watermarks.map(JSON.unsigned))),
            ])
          })
      ), ("used_pages", .object(counts.map { ($0.name, .unsigned($0.pages)) })),
      (
        "hugetlb",
        .array(
          hugePages.map {
            .object([("page_bytes", .unsigned($0.pageBytes)), ("total", .unsigned($0.total)), ("free", .unsigned($0.free))])
          })
      ),
      (
        "slab_caches",
        .array(
          slabs.map {
            .object([
              ("name", .string($0.name)), ("bytes", .unsigned($0.bytes)), ("objects", .unsigned($0.objects)),
              ("object_bytes", .unsigned($0.objectSize)),
            ])
          })
      ), ("processes", .array(processes.map(\.json))),
    ])
  }
}

extension MemoryPicture.Process {
  var json: JSON {
    .object([
      ("task", task.json), ("resident_bytes", .unsigned(bytes)), ("swap_bytes", swapped.map(JSON.unsigned) ?? .null),
      ("page_table_bytes", tables.map(JSON.unsigned) ?? .null), ("oom_score_adj", adjustment.map(JSON.number) ?? .null),
    ])
  }
}

extension SystemPicture.Mount {
  var json: JSON {
    .object([("on", .string(path)), ("device", .optional(device)), ("type", .string(type)), ("read_only", .bool(isReadOnly))])
  }
}

extension SystemPicture.FileSystem {
  var json: JSON { .object([("name", .string(name)), ("type", .string(type)), ("frozen", .bool(isFrozen))]) }
}

extension SystemPicture.HardwareErrors {
  var json: JSON { .object([("kind", .string(kind)), ("count", .unsigned(count)), ("last", .number(last))]) }
}
