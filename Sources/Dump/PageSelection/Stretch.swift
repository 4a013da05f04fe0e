internal import DumpBasics

/// Memory on its way into a selection: one piece, all of it kept in one pass or left out as one class.
struct Stretch {
  enum Fate: Equatable {
    case kept(Place)
    /// Left out, as the class with this number (0: none was looked for).
    case leftOut(UInt32)
  }
  /// Where in the order of the dump.
  struct Place: Comparable {
    var pass: Pass
    var rank: UInt32 = 0
    static func < (a: Place, b: Place) -> Bool { (a.pass, a.rank) < (b.pass, b.rank) }
  }
  var range: PhysicalRange
  var fate: Fate
}

/// Makes one stretch of several where the dump would otherwise get too many program headers, which readers go
/// through one by one. Memory that is kept moves into the pass of a neighbour that is needed earlier; a gap
/// between two kept stretches is kept as well. Only short ones: `Limits` says what that is.
///
/// Works on a stream, since a large and fragmented machine has more stretches than a crash kernel has room
/// for.
struct StretchMerger {
  /// Bytes; stretches that are shorter are short.
  struct Limits {
    var kept: UInt64 = 0
    var gap: UInt64 = 0

    /// The finest that `fits`; the coarsest if none does. Passes go first, since moving memory between them
    /// costs nothing.
    static func first(of pageSize: PageSize, _ fits: (Limits) -> Bool) -> Limits {
      var limits = Limits()
      for step in 0..<26 {
        if fits(limits) { break }
        limits.kept = pageSize.bytes << UInt64(step + 2)
        if step > 2 { limits.gap = pageSize.bytes << UInt64(step - 2) }
      }
      return limits
    }
  }

  private let limits: Limits
  /// The kept stretch before `gap`, both not yet emitted.
  private var last: (range: PhysicalRange, place: Stretch.Place)?
  /// What is left out right behind `last`, in classes.
  private var gap: [Stretch] = []
  private var gapBytes: UInt64 = 0
  /// Gaps that are kept, and their bytes.
  private(set) var closedGaps: UInt64 = 0
  private(set) var closedBytes: UInt64 = 0

  init(_ limits: Limits) { self.limits = limits }

  /// Stretches come by ascending address and do not overlap. `emit` gets what is settled, in the same order.
  mutating func add(_ stretch: Stretch, _ emit: (Stretch) -> Void) {
    switch stretch.fate {
    case .kept(let place): addKept(stretch.range, place, emit)
    case .leftOut: addGap(stretch, emit)
    }
  }

  /// Has to be called after the last one.
  mutating func finish(_ emit: (Stretch) -> Void) {
    if let last { emit(Stretch(range: last.range, fate: .kept(last.place))) }
    last = nil
    for stretch in gap { emit(stretch) }
    gap = []
    gapBytes = 0
  }

  private mutating func addKept(_ range: PhysicalRange, _ place: Stretch.Place, _ emit: (Stretch) -> Void) {
    if !gap.isEmpty {
      // What waits in `gap` is short.
      if gap.last?.range.end == range.start, var closed = last {
        closed.range.end = range.start
        last = closed
        closedGaps += 1
        closedBytes += gapBytes
        gap = []
        gapBytes = 0
      } else {
        finish(emit)
      }
    }
    guard var before = last else {
      last = (range, place)
      return
    }
    // Pass 1 stays what it is: the pages of the log.
    let shorter = before.place < place ? range : before.range
    if before.range.end == range.start,
      before.place == place || (min(before.place.pass, place.pass) > .witness && shorter.count < limits.kept)
    {
      before.range.end = range.end
      before.place = min(before.place, place)
      last = before
    } else {
      emit(Stretch(range: before.range, fate: .kept(before.place)))
      last = (range, place)
    }
  }

  private mutating func addGap(_ stretch: Stretch, _ emit: (Stretch) -> Void) {
    let end = gap.last?.range.end ?? last?.range.end
    if end != stretch.range.start { finish(emit) }
    guard last != nil else { return emit(stretch) }
    gap.append(stretch)
    gapBytes += stretch.range.count
    // Too long to be closed, whatever follows.
    if gapBytes >= limits.gap { finish(emit) }
  }
}
