public import CrashedKernel
internal import DumpBasics

/// What the kernel's types (BTF) say of what VMCOREINFO says: where members lie, how large structures are,
/// and the numbers of page flags and counters.
///
/// Page classes rest on these. VMCOREINFO and BTF are two statements of one kernel: where they differ, one of
/// them is damaged.
public struct LayoutWitness: Sendable, Equatable {
  /// A key that both state, differently.
  public struct Disagreement: Sendable, Equatable {
    /// `OFFSET(page.flags)`.
    public var key: String
    public var vmcoreinfo: String
    public var types: String

    public var text: String { "VMCOREINFO says \(key)=\(vmcoreinfo), the kernel's types say \(types)" }
  }

  /// Keys that both state alike.
  public internal(set) var agreed = 0
  /// At most `limit` of them.
  public internal(set) var disagreements: [Disagreement] = []
  /// Keys that page classes rest on, that VMCOREINFO lacks and the types give: lines `KEY=value`.
  public internal(set) var supplements: [String] = []

  /// What `CrashReport` finds too. Nothing where the kernel has no types.
  public init(_ kernel: CrashedKernel, isOver: @escaping () -> Bool = { false }) {
    self.init(KernelView(kernel, isOver: isOver))
  }

  private static let limit = 32
  /// Keys that are compared: a VMCOREINFO of a real kernel has about 100 of these kinds.
  private static let keyLimit = 512

  /// What page classes and free lists are found by (`PageLayout`, `ZoneLayout`).
  private static let needed = [
    "SIZE(page)", "OFFSET(page.flags)", "OFFSET(page._refcount)", "OFFSET(page.mapping)", "OFFSET(page.lru)",
    "OFFSET(page._mapcount)", "OFFSET(page.private)", "OFFSET(page.compound_head)", "OFFSET(page.compound_info)",
    "SIZE(pglist_data)", "OFFSET(pglist_data.node_zones)", "OFFSET(pglist_data.nr_zones)", "OFFSET(pglist_data.node_start_pfn)",
    "OFFSET(pglist_data.node_spanned_pages)", "OFFSET(pglist_data.node_id)", "SIZE(zone)", "OFFSET(zone.free_area)",
    "OFFSET(zone.vm_stat)", "OFFSET(zone.spanned_pages)", "LENGTH(zone.free_area)", "SIZE(free_area)",
    "OFFSET(free_area.free_list)", "LENGTH(free_area.free_list)", "SIZE(list_head)", "OFFSET(list_head.next)",
    "OFFSET(list_head.prev)", "NUMBER(NR_FREE_PAGES)",
  ]

  init(_ view: KernelView?) {
    guard let view, let types = view.types else { return }
    let keys = view.info.keys.lazy.compactMap(LayoutKey.init).prefix(LayoutWitness.keyLimit)
    let numbers = LayoutWitness.numbers(view)
    for key in keys {
      if view.isTimeUp { return }
      guard let stated = view.info.value(key.text), let value = key.value(types, numbers) else { continue }
      // The same number, however it is written.
      if Int64(stated) == value {
        agreed += 1
      } else if disagreements.count < LayoutWitness.limit {
        disagreements.append(Disagreement(key: key.text, vmcoreinfo: cleanText(stated.utf8.prefix(40)), types: String(value)))
      }
    }
    for text in LayoutWitness.needed where view.info.value(text) == nil {
      guard let key = LayoutKey(text), let value = key.value(types, numbers) else { continue }
      supplements.append("\(text)=\(value)")
    }
  }

  /// Page flags and counters of zones by name.
  private static func numbers(_ view: KernelView) -> [String: Int64] {
    Dictionary(
      (view.enumerators("pageflags") + view.enumerators("zone_stat_item")).map { ($0.name, $0.value) },
      uniquingKeysWith: { first, _ in first })
  }

  /// Names of structures and members that a VMCOREINFO speaks of: looked up all at once.
  static func names(_ info: VMCoreInfo) -> [String] {
    (info.keys + needed).lazy.compactMap(LayoutKey.init).prefix(keyLimit).flatMap(\.names) + ["pageflags", "zone_stat_item"]
  }
}

/// A key of VMCOREINFO that types can speak to: `OFFSET(page.flags)`, `SIZE(page)`, `LENGTH(zone.free_area)`,
/// `NUMBER(PG_lru)`.
private struct LayoutKey {
  enum Kind: String { case offset = "OFFSET", size = "SIZE", length = "LENGTH", number = "NUMBER" }

  let kind: Kind
  let structure: String
  /// Empty for the structure itself.
  let member: String
  let text: String

  init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), bytes.last == UInt8(ascii: ")"), bytes.count <= 120,
      let kind = Kind(rawValue: String(decoding: bytes[..<open], as: UTF8.self))
    else { return nil }
    let inner = bytes[(open + 1)..<(bytes.count - 1)]
    let isName = inner.allSatisfy {
      (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x5f || $0 == 0x2e
    }
    let dot = inner.firstIndex(of: UInt8(ascii: ".")) ?? inner.endIndex
    guard isName, dot > inner.startIndex else { return nil }
    structure = String(decoding: inner[..<dot], as: UTF8.self)
    member = dot == inner.endIndex ? "" : String(decoding: inner[(dot + 1)...], as: UTF8.self)
    switch kind {
    case .offset, .length: if member.isEmpty { return nil }
    case .size, .number: if !member.isEmpty { return nil }
    }
    self.kind = kind
    self.text = text
  }

  var names: [String] {
    kind == .number ? [] : [structure] + member.utf8.split(separator: UInt8(ascii: ".")).map { String(Substring($0)) }
  }

  /// What the types say. Nil where they say nothing.
  func value(_ types: TypeTable, _ numbers: [String: Int64]) -> Int64? {
    switch kind {
    case .offset: types.member(structure, member).flatMap { $0.bits == 0 ? Int64($0.offset) : nil }
    case .size: types.type(named: structure).flatMap { types.size($0) }.map { Int64($0) }
    case .length: types.member(structure, member).flatMap { types.array(types.bare($0.type)) }.map { Int64($0.count) }
    case .number: numbers[structure]
    }
  }
}
