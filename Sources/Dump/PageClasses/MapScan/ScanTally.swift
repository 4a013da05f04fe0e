/// What a scan counts, over the sections of one thread.
struct ScanTally: Sendable {
  /// Pages that claimed to be something that can be left out.
  var candidates: UInt64 = 0
  /// Of those, pages that said that they are on the LRU.
  var listed: UInt64 = 0
  var offline: UInt64 = 0
  var heads: UInt64 = 0
  var tails: UInt64 = 0
  var blocks: UInt64 = 0
  /// By check.
  var failed = [UInt64](repeating: 0, count: Check.allCases.count)
  /// By account.
  var freePages: [UInt64]
  var unacceptedPages: [UInt64]

  init(accounts: Int) {
    freePages = Array(repeating: 0, count: accounts)
    unacceptedPages = Array(repeating: 0, count: accounts)
  }

  mutating func merge(_ other: ScanTally) {
    candidates += other.candidates
    listed += other.listed
    offline += other.offline
    heads += other.heads
    tails += other.tails
    blocks += other.blocks
    for index in failed.indices { failed[index] += other.failed[index] }
    for index in freePages.indices {
      freePages[index] += other.freePages[index]
      unacceptedPages[index] += other.unacceptedPages[index]
    }
  }
}
