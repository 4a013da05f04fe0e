internal import DumpBasics
internal import DumpPlan
internal import Pipeline

// What a dump that was just written says of itself.
extension PreparedCapture {
  /// Of a dump that is whole.
  func facts(_ plan: DumpPlan, _ outcome: Pipeline.Outcome) -> DumpFacts {
    var facts = facts(plan)
    facts.unreadable = outcome.unreadable
    facts.take(zeroPages: plan.note.zeroPages + outcome.zeroPages)
    facts.sampledPages = outcome.sampledPages
    facts.changed = outcome.changed
    facts.fileBytes = outcome.bytesWritten
    facts.settle(cut: false)
    return facts
  }

  /// Of a dump that ends after `content` bytes of the uncompressed file, which are `bytes` of the dump file.
  func facts(_ plan: DumpPlan, content: UInt64, bytes: UInt64, changed: [PhysicalRange]) -> DumpFacts {
    var facts = facts(plan)
    let missing = plan.missing(beyond: content)
    facts.take(cutOff: missing, plan.note, present: content)
    facts.fileBytes = bytes
    facts.memoryBytes -= missing.reduce(0) { $0 + $1.count }
    // As a reader of the file counts them: runs that are there as a whole.
    facts.sharedPages = facts.pages(plan.note.shared.lazy.map(\.range).filter { RangeSet.overlapping(missing, $0).isEmpty })
    facts.changed = RangeSet.joined(changed)
    facts.settle(cut: true)
    return facts
  }

  private func facts(_ plan: DumpPlan) -> DumpFacts {
    var facts = DumpFacts(kernel, log: log, machine: source.identity)
    facts.take(plan.note)
    facts.take(explanation)
    facts.otherNotes = OtherNote.of(source)
    facts.format = request.format.rawValue
    facts.findings = plan.note.findings
    facts.memoryBytes = plan.memoryBytes
    facts.sharedPages = facts.pages(plan.note.shared.map(\.range))
    return facts
  }
}
