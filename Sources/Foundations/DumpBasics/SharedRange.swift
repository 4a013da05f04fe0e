/// Memory whose content stands in the dump once, at the place of other memory that has the same: whole pages,
/// none of them zero.
public struct SharedRange: Sendable, Equatable {
  public var range: PhysicalRange
  /// Where the memory with the same content begins. All of it has a place of its own in the file.
  public var original: PhysicalAddress

  public init(_ range: PhysicalRange, original: PhysicalAddress) {
    self.range = range
    self.original = original
  }

  /// The memory that it shares the place of. Nil where that would run past the end of the address space,
  /// which only a damaged dump says.
  public var originalRange: PhysicalRange? { PhysicalRange(start: original.rawValue, count: range.count) }
}
