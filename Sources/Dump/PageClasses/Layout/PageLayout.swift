internal import CrashedKernel
internal import DumpBasics

/// How the crashed kernel's `struct page` is laid out and what its flags and type words mean: everything that
/// differs between kernels, taken from the keys of VMCOREINFO (kernel/vmcore_info.c; kernel/crash_core.c
/// before 6.9). The versions below are those in which a key or a meaning appeared; the code asks only for the
/// keys.
struct PageLayout: Sendable, Equatable {
  /// Bytes of a `struct page`: 56 or 64 on 64-bit kernels.
  var size: Int
  // Offsets of its members in bytes. Eight bytes from each lie inside the structure (four from those of 32
  // bits).
  var flags: Int
  /// Bit 0 marks a tail: `compound_head`, called `compound_info` since 7.1.
  var compound: Int
  var lru: Int
  var mapping: Int
  var privateData: Int
  /// 32 bits: `_mapcount`, or the page type.
  var type: Int
  /// 32 bits.
  var references: Int
  var compoundForm: CompoundForm
  var types: PageTypes
  var bits: PageBits

  /// No structure of a page has been larger than 64 bytes on a 64-bit kernel without debugging; the limit
  /// leaves room.
  static let sizeLimit = 256

  /// - Throws: naming the key that is missing or absurd.
  init(_ info: VMCoreInfo) throws(DumpError) {
    size = try info.requireSize("page")
    flags = try info.requireOffset("page.flags")
    compound = try info.requireOffset(info.offset("page.compound_info") == nil ? "page.compound_head" : "page.compound_info")
    lru = try info.requireOffset("page.lru")
    mapping = try info.requireOffset("page.mapping")
    privateData = try info.requireOffset("page.private")
    type = try info.requireOffset("page._mapcount")
    references = try info.requireOffset("page._refcount")
    compoundForm = try CompoundForm(info, pageSize: size)
    types = try PageTypes(info)
    bits = try PageBits(info)
    guard size % 8 == 0, (48...PageLayout.sizeLimit).contains(size) else {
      throw DumpError("SIZE(page)=\(size) is no size of a struct page", at: "VMCOREINFO")
    }
    let words = [flags, compound, lru, lru + 8, mapping, privateData]
    guard words.allSatisfy({ $0 <= size - 8 && $0 % 8 == 0 }), [type, references].allSatisfy({ $0 <= size - 4 && $0 % 4 == 0 })
    else { throw DumpError("the offsets of struct page's members do not fit into its \(size) bytes", at: "VMCOREINFO") }
    // Members that have to be told apart may not lie on one another; the mark of a tail lies on lru.next,
    // where list pointers leave its bit 0 clear (include/linux/mm_types.h, since 4.4).
    guard Set([flags, compound, mapping, privateData, type / 8 * 8]).count == 5, type != references, lru == compound else {
      throw DumpError("members of struct page lie on one another", at: "VMCOREINFO")
    }
  }
}

/// Where a compound page has its order, and how a huge page of hugetlbfs is known.
enum CompoundForm: Sendable, Equatable {
  /// A byte each in the first tail: until 6.2 `compound_order` and `compound_dtor` of struct page, 6.3 to 6.5
  /// `_folio_order` and `_folio_dtor` of struct folio, of which the first tail is the second page. `hugetlb`
  /// is the number of hugetlb's destructor; nil in a kernel without hugetlb.
  case bytes(order: Int, destructor: Int, hugetlb: UInt8?)
  /// The order in the low byte of the first tail's flags, since 6.6. `hugetlb` is a bit of the same word
  /// until 6.8 (NUMBER(PG_hugetlb)); since 6.9 it is a page type, and nil here.
  case flags(hugetlb: UInt64?)

  init(_ info: VMCoreInfo, pageSize: Int) throws(DumpError) {
    let hugetlb = info.number("HUGETLB_PAGE_DTOR").flatMap { UInt8(exactly: $0) }
    if let order = info.offset("page.compound_order"), let destructor = info.offset("page.compound_dtor") {
      self = .bytes(order: order, destructor: destructor, hugetlb: hugetlb)
    } else if let order = info.offset("folio._folio_order"), let destructor = info.offset("folio._folio_dtor") {
      self = .bytes(order: order - pageSize, destructor: destructor - pageSize, hugetlb: hugetlb)
    } else {
      self = .flags(hugetlb: try PageBits.mask("PG_hugetlb", info))
    }
    if case .bytes(let order, let destructor, _) = self, !(0..<pageSize).contains(order) || !(0..<pageSize).contains(destructor) {
      throw DumpError("order or destructor of compound pages lies outside the first tail", at: "VMCOREINFO")
    }
  }
}

/// The bits of `page.flags` as masks; 0 for a flag that the kernel does not have.
struct PageBits: Sendable, Equatable {
  var lru: UInt64
  var privateData: UInt64
  /// PG_swapcache and PG_swapbacked together: a page in the swap cache. PG_swapcache alone has other meanings
  /// too.
  var swap: UInt64
  var swapBacked: UInt64
  /// Until 6.9; then slab is a page type.
  var slab: UInt64
  /// In kernels with CONFIG_MEMORY_FAILURE.
  var poison: UInt64
  var head: UInt64

  init(_ info: VMCoreInfo) throws(DumpError) {
    guard let lru = try PageBits.mask("PG_lru", info) else {
      throw DumpError("the kernel does not say NUMBER(PG_lru)", at: "VMCOREINFO")
    }
    self.lru = lru
    privateData = try PageBits.mask("PG_private", info) ?? 0
    swapBacked = try PageBits.mask("PG_swapbacked", info) ?? 0
    let swapCache = try PageBits.mask("PG_swapcache", info) ?? 0
    swap = swapCache != 0 && swapBacked != 0 ? swapCache | swapBacked : 0
    slab = try PageBits.mask("PG_slab", info) ?? 0
    poison = try PageBits.mask("PG_hwpoison", info) ?? 0
    guard let head = info.word("PG_head_mask"), head.nonzeroBitCount == 1 else {
      throw DumpError("NUMBER(PG_head_mask) is not one bit", at: "VMCOREINFO")
    }
    self.head = head
    let single = [lru, privateData, swapBacked, swapCache, slab, poison, head].filter { $0 != 0 }
    guard Set(single).count == single.count else { throw DumpError("two page flags have the same bit", at: "VMCOREINFO") }
  }

  /// The mask of a flag whose key is the number of its bit; nil without the key.
  static func mask(_ name: String, _ info: VMCoreInfo) throws(DumpError) -> UInt64? {
    guard let bit = info.number(name) else { return nil }
    guard (0..<64).contains(bit) else { throw DumpError("NUMBER(\(name))=\(bit) is no bit", at: "VMCOREINFO") }
    return 1 << UInt64(bit)
  }
}
