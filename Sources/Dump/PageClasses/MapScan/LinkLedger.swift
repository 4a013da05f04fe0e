internal import CrashedKernel
internal import DumpBasics

/// Checks the LRU lists by sums, without reading neighbours: hashes of all pairs by `next`, less those of all
/// pairs by `prev`.
///
/// A page that is on a list says which page follows it; that one says which precedes it. So every pair of
/// neighbours is said twice, and the sum of a hash of all pairs that `next` says less those that `prev` says
/// is 0: for all lists together, wherever their heads are. Pairs are counted by the section of their first
/// page (modulo `buckets`), so that a sum that is not 0 names the sections whose pages have to be looked at
/// one by one (`LinkReader`).
struct LinkLedger: Sendable, Equatable {
  static let buckets = 4096
  private var sums = [UInt64](repeating: 0, count: buckets)

  @inline(__always) static func bucket(_ section: UInt64) -> Int { Int(truncatingIfNeeded: section) & (buckets - 1) }

  mutating func add(_ sum: UInt64, _ bucket: Int) { sums[bucket] &+= sum }

  mutating func merge(_ other: LinkLedger) {
    for index in sums.indices { sums[index] &+= other.sums[index] }
  }

  /// By bucket; nil when all lists hang together.
  var broken: [Bool]? { sums.allSatisfy { $0 == 0 } ? nil : sums.map { $0 != 0 } }

  /// A product of two odd numbers, since list_heads are at even addresses: no other address in place of one
  /// gives the same. Exchanged links don't either, nor does a pair the other way round. Wraps on purpose.
  @inline(__always) static func hash(_ first: UInt64, _ second: UInt64) -> UInt64 {
    (first ^ 0x9e37_79b9_7f4a_7c15) &* (second ^ 0xc2b2_ae3d_27d4_eb4f)
  }
}

/// Reads what the neighbours of a page on a list say. One for each thread.
final class LinkReader {
  private let memory: KernelMemory
  init(_ memory: KernelMemory) { self.memory = memory }

  /// Whether the `prev` of what follows the list_head at `own` or the `next` of what precedes it leads back.
  /// One is enough: a page beside a damaged one is on its list all the same. What can't be read contradicts
  /// nobody.
  func isLinked(_ own: UInt64, next: UInt64, previous: UInt64) -> Bool {
    leads(next &+ 8, to: own) || leads(previous, to: own)  // wraps only for addresses that can't be read
  }

  private func leads(_ address: UInt64, to own: UInt64) -> Bool {
    guard let found = try? memory.u64(VirtualAddress(address)) else { return true }
    return found == own
  }
}
