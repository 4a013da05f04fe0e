internal import CoreEncoding
internal import DumpBasics

/// Which segments of a core have a place in the file to themselves.
///
/// Where a core's segments fill the file, a wrong `p_offset` lies in what belongs to another one, or behind
/// the end. One that lies in nobody's bytes is not contradicted.
struct PlacesInFile {
  private let entries: [ELFProgramHeader]
  /// By their number in the table.
  private var shared: Set<Int> = []

  /// `loads` are the numbers of what counts as a PT_LOAD.
  init(_ entries: [ELFProgramHeader], _ loads: [Int], _ claims: HeaderClaims) {
    self.entries = entries
    let table = UInt64(entries.count * ELF64.programHeaderSize)
    let headers = (start: 0 as UInt64, end: clampedSum(claims.offset, table), index: -1)
    let notes = entries.indices.filter { entries[$0].type == ELFProgramHeader.note }
    let places = ([headers] + (loads + notes).filter { entries[$0].fileSize > 0 }.map(place)).sorted { $0.start < $1.start }
    // Of all that begin before, the one that reaches furthest: whoever shares bytes with any shares them with
    // it, or was found when it came.
    guard var furthest = places.first else { return }
    for place in places.dropFirst() {
      if place.start < furthest.end, !isSameMemory(place.index, furthest.index) {
        shared.insert(place.index)
        shared.insert(furthest.index)
      }
      if place.end > furthest.end { furthest = place }
    }
  }

  /// Whether segment `index` lies before `fileEnd`, and no other segment, note or header where it lies.
  func isAlone(_ index: Int, _ fileEnd: UInt64) -> Bool {
    !shared.contains(index) && place(index).end <= fileEnd
  }

  private func place(_ index: Int) -> (start: UInt64, end: UInt64, index: Int) {
    (entries[index].offset, clampedSum(entries[index].offset, entries[index].fileSize), index)
  }

  /// Two mappings of the same memory share its bytes.
  private func isSameMemory(_ one: Int, _ other: Int) -> Bool {
    guard one >= 0, other >= 0 else { return false }
    return entries[one].offset &- entries[one].physicalAddress == entries[other].offset &- entries[other].physicalAddress
  }
}
