internal import CrashedKernel
internal import DumpBasics
internal import DumpSource

/// What goes to the last resort: plain text, so that it can be read without any tool.
struct LastResortText {
  let kernel: CrashedKernel
  let log: KernelLog?
  /// Why each target failed, one line each.
  let failures: [String]

  /// At most `capacity` bytes: what is known of the crash, the registers, and the end of the log as far as
  /// there is room.
  func bytes(capacity: Int) -> [UInt8] {
    let facts = DumpFacts(kernel, log: log, machine: kernel.source.identity)
    var lines = [
      "\(toolVersion): no target took the dump of this crash. This is what could be kept of it.", "",
      "kernel   \(printable(facts.release ?? "unknown")), \(facts.machine)", "crashed  \(facts.crashedText)",
      "reason   \(printable(facts.reasonText))",
    ]
    lines += failures.map { "failed   \($0)" } + [""]
    var text = Array(lines.joined(separator: "\n").utf8)
    // Half of the room is the log's, however many CPUs there are.
    var left = kernel.source.notes.filter(\.isProcessorStatus)[...]
    while let note = left.first {
      let part = Array(registers(note).utf8)
      if text.count + part.count > capacity / 2 { break }
      text += part
      left = left.dropFirst()
    }
    if !left.isEmpty { text += Array("\nand \(left.count) more CPUs\n".utf8) }
    return Array((text + tail(room: capacity - text.count)).prefix(capacity))
  }

  /// The end of the log, from the beginning of a line on.
  private func tail(room: Int) -> [UInt8] {
    guard let log else { return Array("\nThe log could not be read.\n".utf8) }
    let heading = { (count: Int) in Array("\nlog, the last \(count) of \(log.bytes.count) bytes:\n\n".utf8) }
    var bytes = log.bytes[...]
    let limit = max(0, room - heading(log.bytes.count).count)
    if bytes.count > limit {
      bytes = bytes.suffix(limit)
      bytes = bytes.firstIndex(of: 0x0a).map { bytes[bytes.index(after: $0)...] } ?? bytes
    }
    return heading(bytes.count) + bytes
  }

  /// `pr_reg` of an NT_PRSTATUS note, four registers a line.
  private func registers(_ note: DumpNote) -> String {
    let architecture = kernel.source.identity.architecture
    let reader = ByteReader(note.descriptor, kernel.source.identity.byteOrder)
    var text = "\nregisters of a CPU, process \(reader.u32(architecture.prstatusPidOffset).map { String($0) } ?? "unknown"):\n"
    for (index, name) in architecture.registerNames.enumerated() {
      guard let value = reader.u64(Architecture.prstatusRegistersOffset + 8 * index) else { break }
      text += "  \(name) \(padded(value, 16, radix: 16))"
      if index % 4 == 3 { text += "\n" }
    }
    return text + "\n"
  }
}
