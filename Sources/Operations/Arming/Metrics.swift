internal import Capture
internal import DumpBasics

extension ArmStatus {
  /// The text format of Prometheus (exposition formats, version 0.0.4).
  public var metrics: String {
    var text = ""
    func add(_ name: String, _ help: String, _ samples: [(labels: String, value: UInt64)]) {
      if samples.isEmpty { return }
      text += "# HELP mcore_\(name) \(help)\n# TYPE mcore_\(name) gauge\n"
      for sample in samples { text += "mcore_\(name)\(sample.labels) \(sample.value)\n" }
    }
    add("captured", "Whether a crash now would be captured.", [("", isCaptured ? 1 : 0)])
    add("problems", "Why not: how many reasons.", [("", UInt64(problems.count))])
    add("crash_kernel_loaded", "Whether a crash kernel is loaded.", [("", isLoaded ? 1 : 0)])
    add("crash_memory_bytes", "Memory that is set aside for the crash kernel.", [("", crashMemory)])
    if let neededMemory { add("crash_memory_needed_bytes", "What the crash kernel is known to need.", [("", neededMemory)]) }
    if let armed, armed.time > 0 { add("armed_timestamp_seconds", "When this machine was armed.", [("", UInt64(armed.time))]) }
    if let lastDump, let time = lastDump.time, time > 0 {
      add("last_dump_timestamp_seconds", "When the kernel of the newest dump crashed.", [("", UInt64(time))])
      add("last_dump_whole", "Whether the newest dump is whole.", [("", lastDump.isWhole ? 1 : 0)])
    }
    add("target_usable", "Whether a target can take a dump.", targets.map { (labels($0), $0.isUsable ? 1 : 0) })
    add("target_free_bytes", "Room in a target.", targets.compactMap { target in target.free.map { (labels(target), $0) } })
    add(
      "target_estimate_bytes", "What a dump now takes at most.", targets.filter { !$0.isMemory }.map { (labels($0), $0.estimate) }
    )
    return text
  }

  private func labels(_ target: TargetStatus) -> String {
    var value = ""
    for scalar in shownTarget(target.word).unicodeScalars {
      switch scalar {
      case "\\": value += "\\\\"
      case "\"": value += "\\\""
      case "\n": value += "\\n"
      default: value.unicodeScalars.append(scalar)
      }
    }
    return "{target=\"\(value)\"}"
  }
}
