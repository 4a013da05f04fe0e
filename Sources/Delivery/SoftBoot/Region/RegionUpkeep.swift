public import DumpBasics

// What happens to a region that was found by its head: the second stage counts its attempts, and ends it.

extension Region {
  /// Writes that somebody begins to save it. Returns how many times that was, this one included.
  public func countAttempt() throws(DumpError) -> UInt32 {
    try update { $0.attempts = min($0.attempts, .max - 1) + 1 }
    return head.attempts
  }

  /// An attempt that failed came to its end all the same, and ends no boot: it counts no more.
  public func takeBackAttempt() throws(DumpError) { try update { $0.attempts -= min($0.attempts, 1) } }

  /// The dump is on its target. Only then, and never without a head, may it go.
  public func markSaved() throws(DumpError) { try update { $0.state = .saved } }

  /// Overwrites dump and tables with zeros; the heads stay and say `saved`.
  public func wipe() throws(DumpError) {
    guard evidence == .head, head.state == .saved else {
      throw DumpError("a region that was not saved is not wiped", at: memory.name)
    }
    let zeros = [UInt8](repeating: 0, count: 1 << 16)
    for case let start? in units {
      var offset = RegionLayout.tableOffset
      while offset < RegionLayout.secondHeadOffset {
        let count = Int(min(UInt64(zeros.count), RegionLayout.secondHeadOffset - offset))
        unsafe try zeros[..<count].lent { (piece) throws(DumpError) in unsafe try memory.write(piece, at: start + offset) }
        offset += UInt64(count)
      }
    }
    try memory.settle()
  }

  /// A change goes to both copies, one after the other: at any moment one of them is whole.
  private func update(_ change: (inout RegionHead) -> Void) throws(DumpError) {
    guard evidence == .head else { throw DumpError("a region without a head can't be marked", at: memory.name) }
    var changed = head
    change(&changed)
    var written = 0
    var failure: DumpError?
    for _ in 0..<2 {
      changed.generation += 1
      do throws(DumpError) {
        try memory.write(changed.encoded(), at: changed.extents.headAddress(changed.generation))
        written += 1
      } catch { failure = error }
    }
    try memory.settle()
    // Where an extent is missing, one copy may be all there is.
    if written == 0, let failure { throw failure }
    head = changed
  }
}
