internal import DumpBasics

// The kernel's lists (struct list_head), as far as they hold together.
extension KernelView {
  /// What a list of the kernel holds: addresses of the structures that have their `list_head` `inside` bytes
  /// from their start. `what` names it for a note.
  ///
  /// A link counts when the entry that it leads to leads back. Where one does not, the rest is taken from the
  /// other end, as far as that goes; and a list that did not come back to its head is always in the notes.
  func list(_ head: UInt64, inside: UInt64, limit: Int, of what: @autoclosure () -> String) -> [UInt64] {
    var found: [UInt64] = []
    var last = head
    while let next = u64(last), isEntry(next), u64(next &+ 8) == last {
      if next == head { return found }
      if isSpent(found.count, limit, what()) { return found }
      found.append(next &- inside)
      last = next
    }
    let known = Set(found.map { $0 &+ inside })
    let (rest, start) = rest(before: head, notIn: known, limit: limit - found.count)
    note(
      "the list of \(what()) is broken at \(hex(last)): \(found.count) entries from its start, \(rest.count) from its end"
        + (start == last ? ", which meet" : ""))
    isPartial = true
    return found + rest.reversed().map { $0 &- inside }
  }

  /// From a list's end towards its start. `start`: the entry of `known`, or the head, that the way led to.
  private func rest(before head: UInt64, notIn known: Set<UInt64>, limit: Int) -> (links: [UInt64], start: UInt64?) {
    var links: [UInt64] = []
    var next = head
    while let previous = u64(next &+ 8) {
      if known.contains(previous) || previous == head { return (links, previous) }
      guard links.count < limit, listSteps > 0, isEntry(previous), u64(previous) == next else { break }
      listSteps -= 1
      links.append(previous)
      next = previous
    }
    return (links, nil)
  }

  private func isEntry(_ link: UInt64) -> Bool { isKernelAddress(link) && link & 7 == 0 }

  private func isSpent(_ count: Int, _ limit: Int, _ what: String) -> Bool {
    listSteps -= 1
    if listSteps < 0 {
      note("the kernel's lists are longer in all than this report looks at: some are cut")
    } else if count >= limit {
      note("the list of \(what) is longer than the \(limit) entries that are looked at")
    } else {
      return false
    }
    isPartial = true
    return true
  }
}
