internal import CrashedKernel
internal import DumpBasics

/// Walks free lists node by node, from both ends, to find out which blocks are really on them: when
/// `FreeLedger` says that something is wrong.
///
/// A list is a ring from its head through `next`, and back through `prev` (include/linux/list.h). A walk ends
/// at the head, at an address that is no struct page's, at a link that its neighbour does not return, and
/// after `limit` blocks. It can't run in a circle: a block is entered only from the one that its link back
/// names, so that the first block to be entered twice would have to name two.
struct FreeListWalk {
  /// What the walk of the lists of one zone and order found.
  struct Outcome {
    /// Blocks that are on a list and marked as they should be.
    var listed: UInt64 = 0
    /// Blocks on a list that the page map does not mark as free, or of another order.
    var unmarked: UInt64 = 0
    /// Lists whose ring is broken.
    var broken: UInt64 = 0
    /// Where the first broken link is.
    var place: String?
  }

  let memory: KernelMemory
  let layout: PageLayout
  let sections: SectionTable
  /// Blocks that a walk looks at, over all lists of a zone and order.
  let limit: UInt64

  /// Walks `heads`, whose blocks should have 2^`order` pages and lie in `frames`. What it confirms goes to
  /// `listed`.
  func walk(_ heads: [ListHead], order: UInt64, in frames: Range<UInt64>, _ listed: inout FrameSet) -> Outcome {
    var outcome = Outcome()
    var left = limit
    for head in heads {
      if head.next == head.address && head.previous == head.address { continue }
      if !follow(head, forward: true, order, frames, &left, &listed, &outcome) {
        outcome.broken += 1
        _ = follow(head, forward: false, order, frames, &left, &listed, &outcome)
      }
    }
    return outcome
  }

  /// Whether the ring closed.
  private func follow(
    _ head: ListHead, forward: Bool, _ order: UInt64, _ frames: Range<UInt64>, _ left: inout UInt64,
    _ listed: inout FrameSet, _ outcome: inout Outcome
  ) -> Bool {
    var previous = head.address
    var here = forward ? head.next : head.previous
    func stop(_ why: String) -> Bool {
      if outcome.place == nil { outcome.place = "\(why) at \(hex(here)), after \(hex(previous))" }
      return false
    }
    while here != head.address {
      let address = here &- UInt64(layout.lru)  // an absurd address is no struct page's
      guard let frame = sections.frame(ofStruct: address, layout.size) else { return stop("no struct page") }
      if left == 0 { return stop("too many blocks") }
      left -= 1
      guard let bytes = try? memory.read(VirtualAddress(address), count: layout.size) else { return stop("unreadable") }
      let page = ByteReader(bytes, memory.byteOrder)
      let next = page.u64(layout.lru) ?? 0
      let back = page.u64(layout.lru + 8) ?? 0
      // The block that is reached has to lead back to where the walk came from.
      guard (forward ? back : next) == previous else { return stop("a link that leads elsewhere") }
      let marked = layout.types.buddy.matches(page.load(layout.type, 4).map { UInt32(truncatingIfNeeded: $0) } ?? 0)
      if marked, page.u64(layout.privateData) == order, frame & ((1 << order) - 1) == 0, frames.contains(frame) {
        // A broken list is walked from both ends, and a block can be met twice.
        if listed.insert(frame) { outcome.listed += 1 }
      } else {
        outcome.unmarked += 1
      }
      previous = here
      here = forward ? next : back
    }
    return true
  }
}
