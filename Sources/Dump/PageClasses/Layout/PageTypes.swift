internal import CrashedKernel
internal import DumpBasics

/// The page types: what `_mapcount` holds when a page is not mapped by processes. Below -1 it is a type (or
/// damage).
struct PageTypes: Sendable, Equatable {
  /// A type matches when (word ^ value) & mask is 0.
  struct Pattern: Sendable, Equatable {
    var value: UInt32
    var mask: UInt32
    @inline(__always) func matches(_ word: UInt32) -> Bool { (word ^ value) & mask == 0 }
    /// For a type that the kernel does not have: no typed word is 0.
    static let never = Pattern(value: 0, mask: .max)
  }

  var buddy: Pattern
  /// Since 5.1.
  var offline: Pattern
  /// Since 6.9.
  var hugetlb: Pattern
  /// Since 6.10; before it is a flag.
  var slab: Pattern
  /// Since 6.16.
  var unaccepted: Pattern
  /// Types whose key contradicts the others, and which are taken for unknown: their pages are kept.
  var refused: [DumpError] = []

  /// The numbers that kernels have used together (include/linux/page-flags.h), to see when one key alone is
  /// damaged. A kernel whose BUDDY is in none of them is newer than this table: then its keys stand for
  /// themselves.
  private struct Generation {
    var buddy: UInt32
    var offline: UInt32
    var hugetlb: UInt32
    var slab: UInt32
    var unaccepted: UInt32
  }
  private static let generations = [
    // Ones with a bit cleared: 4.18 (hugetlb 6.9, slab 6.10) to 6.10.
    Generation(buddy: ~0x80, offline: ~0x100, hugetlb: ~0x800, slab: ~0x1000, unaccepted: ~0x4000),
    // The same further up: 6.11.
    Generation(
      buddy: ~0x4000_0000, offline: ~0x2000_0000, hugetlb: ~0x0400_0000, slab: ~0x0200_0000, unaccepted: ~0x0080_0000),
    // A number in the top byte: since 6.12.
    Generation(
      buddy: 0xf000_0000, offline: 0xf100_0000, hugetlb: 0xf400_0000, slab: 0xf500_0000, unaccepted: 0xf700_0000),
  ]

  /// - Throws: when there is no usable number for free pages.
  init(_ info: VMCoreInfo) throws(DumpError) {
    _ = try info.requireNumber("PAGE_BUDDY_MAPCOUNT_VALUE")
    let buddy = try PageTypes.word("PAGE_BUDDY_MAPCOUNT_VALUE", info) ?? 0
    self.buddy = PageTypes.pattern(buddy)
    let generation = PageTypes.generations.first { $0.buddy == buddy }
    let slab = try? PageTypes.word("PAGE_SLAB_MAPCOUNT_VALUE", info)
    self.slab = slab.map(PageTypes.pattern) ?? .never
    var refused: [DumpError] = []
    func optional(_ name: String, _ expected: UInt32?) -> Pattern {
      do throws(DumpError) {
        guard let word = try PageTypes.word(name, info) else { return .never }
        guard word != buddy, word != slab, expected == nil || word == expected else {
          throw DumpError("NUMBER(\(name)) does not fit to the numbers of other page types", at: "VMCOREINFO")
        }
        return PageTypes.pattern(word)
      } catch {
        var finding = error
        finding.advice = "pages of this type are kept"
        refused.append(finding)
        return .never
      }
    }
    offline = optional("PAGE_OFFLINE_MAPCOUNT_VALUE", generation?.offline)
    hugetlb = optional("PAGE_HUGETLB_MAPCOUNT_VALUE", generation?.hugetlb)
    unaccepted = optional("PAGE_UNACCEPTED_MAPCOUNT_VALUE", generation?.unaccepted)
    self.refused = refused
  }

  private static func pattern(_ word: UInt32) -> Pattern {
    // Since 6.12 the type is in the top byte alone, and there may be anything below.
    Pattern(value: word, mask: word & 0x00ff_ffff == 0 ? 0xff00_0000 : .max)
  }

  private static func word(_ name: String, _ info: VMCoreInfo) throws(DumpError) -> UInt32? {
    guard let number = info.number(name) else { return nil }
    // -1 is a page that nobody maps, and mapped ones count up from there.
    guard let value = Int32(exactly: number), value < -1 else {
      throw DumpError("NUMBER(\(name))=\(number) is no page type", at: "VMCOREINFO")
    }
    return UInt32(bitPattern: value)
  }
}
