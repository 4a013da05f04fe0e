/// What the page map says about the free lists, added up so that it can be compared with the lists without
/// walking them.
///
/// The lists are rings of `list_head`s: each free block is pointed to by exactly one `next` and by exactly
/// one `prev`, of another block or of a list's head. So for each zone and order the multiset of all addresses
/// of list heads (those in marked blocks and those in `free_area`), that of all their `next` and that of all
/// their `prev` are the same. Multisets are compared by the sum of a hash of their members: a mark that is on
/// no list, a list member without mark, a broken link, or a block in another order's list each change one sum
/// and not the other. What this can't see is a ring that hangs together and is no part of any list: of one
/// block it is refused (`MapScan.freeBlock`); of several, all their links would have to be damaged to match,
/// and `nr_free`, which is compared too, with them (docs/verification.md).
///
/// All of it in the order of addresses, at memory speed: walking a list of millions of blocks that lie
/// scattered over a terabyte costs a read for each. Where the sums differ, `FreeListWalk` walks and says
/// which blocks are right.
struct FreeLedger: Sendable {
  struct Entry: Sendable, Equatable {
    var blocks: UInt64 = 0
    /// Sums modulo 2^64.
    var own: UInt64 = 0
    var next: UInt64 = 0
    var previous: UInt64 = 0

    @inline(__always) mutating func add(own address: UInt64, next: UInt64, previous: UInt64) {
      own &+= FreeLedger.hash(address)
      self.next &+= FreeLedger.hash(next)
      self.previous &+= FreeLedger.hash(previous)
    }

    mutating func merge(_ other: Entry) {
      blocks += other.blocks
      own &+= other.own
      next &+= other.next
      previous &+= other.previous
    }

    /// Whether every member is pointed to once from each side.
    var isClosed: Bool { own == next && own == previous }
  }

  private(set) var entries: [Entry]
  let orders: Int

  init(accounts: Int, orders: Int) {
    self.orders = orders
    entries = Array(repeating: Entry(), count: accounts * orders)
  }

  subscript(_ account: Int, _ order: Int) -> Entry { entries[account * orders + order] }

  /// A block that the page map marks as free.
  @inline(__always) mutating func add(_ account: Int, _ order: Int, own: UInt64, next: UInt64, previous: UInt64) {
    let index = account &* orders &+ order
    entries[index].blocks &+= 1
    entries[index].add(own: own, next: next, previous: previous)
  }

  mutating func merge(_ other: FreeLedger) {
    for index in entries.indices { entries[index].merge(other.entries[index]) }
  }

  /// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every bit of the address decides about every bit
  /// of the sum.
  @inline(__always) private static func hash(_ address: UInt64) -> UInt64 {
    var value = address &+ 0x9e37_79b9_7f4a_7c15
    value = (value ^ value &>> 30) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ value &>> 27) &* 0x94d0_49bb_1331_11eb
    return value ^ value &>> 31
  }
}
