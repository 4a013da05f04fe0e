public import DumpBasics

/// One damage to a dump: what was hit, which bytes, and what they are now.
public struct Mutation: Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable, CaseIterable {
    /// An entry of mem_section, or a root pointer.
    case sectionTable
    /// Fields of struct pages that a classifier reads: anything from one bit to a page of the map.
    case structPage
    /// A struct page that says something plausible and wrong: another page's content, a free mark, an
    /// anonymous mapping.
    case plausiblePage
    /// `lru` of a free chunk.
    case freeListLink
    /// `free_area.free_list` of a zone.
    case freeListHead
    /// `next` of a free chunk leads back to an earlier one.
    case freeListLoop
    /// vm_stat, nr_free, spanned_pages.
    case zoneField
    /// Of pglist_data; also the pointers in node_data.
    case nodeField
    /// An entry on the way to one of these structures.
    case pageTable
    case vmcoreinfo
    /// The map of a section can't be reached: entry cleared, mapping gone, or memory unreadable.
    case unmappedSection
    /// A page of metadata is noise: of mem_section, of a node, of a page table.
    case metadataPage
    /// 4096 struct pages are noise.
    case manyStructPages
    /// All of it together.
    case everything
  }

  /// Where it hit, as far as that can be said.
  public struct Place: Sendable, Equatable {
    public var section: UInt64?
    /// The section whose map this one has now.
    public var otherSection: UInt64?
    public var frame: UInt64?
    public var node: Int?
    public var zone: Int?
    public var key: String?
    public init(section: UInt64? = nil, frame: UInt64? = nil, node: Int? = nil, zone: Int? = nil, key: String? = nil) {
      self.section = section
      self.frame = frame
      self.node = node
      self.zone = zone
      self.key = key
    }
  }

  public struct Patch: Sendable, Equatable {
    public var address: PhysicalAddress
    public var bytes: [UInt8]
    var end: UInt64 { address.rawValue + UInt64(bytes.count) }
  }

  public let number: Int
  public let kind: Kind
  public internal(set) var place = Place()
  /// What was done, for a person.
  public internal(set) var text = ""
  public internal(set) var patches: [Patch] = []
  public internal(set) var unreadable: [PhysicalRange] = []
  /// The new text of VMCOREINFO, where that is what changed.
  public internal(set) var vmcoreinfo: [UInt8]?

  init(_ number: Int, _ kind: Kind) {
    self.number = number
    self.kind = kind
  }

  /// Another text of VMCOREINFO, and nothing else.
  public init(vmcoreinfo: [UInt8]) {
    number = 0
    kind = .vmcoreinfo
    self.vmcoreinfo = vmcoreinfo
  }

  /// One word of memory, and nothing else.
  public init(word: UInt64, at address: PhysicalAddress) {
    self.init(0, .sectionTable)
    patches = [Patch(address: address, bytes: (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) })]
  }

  /// Whether it changes anything at all.
  public var isEmpty: Bool { patches.isEmpty && unreadable.isEmpty && vmcoreinfo == nil }

  public var description: String {
    var parts = ["#\(number) \(kind.rawValue)"]
    if let node = place.node { parts.append("node \(node)") }
    if let zone = place.zone { parts.append("zone \(zone)") }
    if let section = place.section { parts.append("section \(section)") }
    if let frame = place.frame { parts.append("pfn \(hex(frame))") }
    if let key = place.key { parts.append(key) }
    return parts.joined(separator: ", ") + ": " + text
  }

  /// Whether no more than one word of memory changed.
  public var isOneWord: Bool { patches.count == 1 && patches[0].bytes.count <= 8 && unreadable.isEmpty && vmcoreinfo == nil }

  /// `value` in `size` bytes, little endian.
  static func bytes(_ value: UInt64, _ size: Int) -> [UInt8] {
    (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }
}
