public import DumpBasics
public import DumpSource
internal import Synchronization

/// The crashed kernel's memory by its own addresses.
///
/// Translation goes through the kernel's page tables. Where VMCOREINFO does not lead to them (keys missing,
/// or the tables don't agree with themselves), the virtual addresses of the program headers are used instead,
/// and `findings` says so.
///
/// Safe from any thread; threads wait for one another, so give each its own with `separate(recording:)`.
public final class KernelMemory: Sendable {
  public let pageSize: PageSize
  /// What is wrong with the way to the memory and did not make it impossible.
  public let findings: [DumpError]
  private let source: any DumpSource
  private let translation: any AddressTranslation
  private let records: Bool
  private let state = Mutex(State())

  /// No single read is larger (bytes): counts come from the dump.
  public static let readLimit = 64 << 20

  private struct State: Sendable {
    /// Pages, by frame: at most 64 × 64 KiB.
    var cache = RecentPieces(limit: 64)
    var touched = TouchedPages()
    /// First address of a page → where it is mapped. Cleared when it has `translationLimit` entries.
    var translations: [UInt64: UInt64] = [:]
  }
  private static let translationLimit = 1024

  /// - Throws: when there is neither a way to the page tables nor a virtual address in any program header.
  public init(_ source: any DumpSource, _ info: VMCoreInfo, pageSize: PageSize) throws(DumpError) {
    self.source = source
    self.pageSize = pageSize
    records = true
    do throws(DumpError) {
      let tables = try pageTables(source.identity, info, pageSize)
      try KernelMemory.probe(tables, source, info)
      translation = tables
      findings = []
    } catch {
      guard let segments = SegmentTranslation(source.segments) else { throw error }
      translation = segments
      var finding = error
      finding.advice = "addresses are translated by the program headers instead, which may be wrong"
      findings = [finding]
    }
  }

  private init(_ other: KernelMemory, records: Bool) {
    source = other.source
    pageSize = other.pageSize
    translation = other.translation
    findings = other.findings
    self.records = records
  }

  /// The same memory with a cache and a record of touched pages of its own. For threads, and for bulk readers
  /// (`recording: false`), whose pages are not to be taken for witnesses of the log.
  public func separate(recording: Bool) -> KernelMemory { KernelMemory(self, records: recording) }

  /// Page tables that do not even map the kernel's own text are not the page tables.
  private static func probe(_ tables: any AddressTranslation, _ source: any DumpSource, _ info: VMCoreInfo)
    throws(DumpError)
  {
    let names = ["_stext", "init_uts_ns", "prb", "log_buf"]
    guard let known = names.lazy.compactMap({ info.symbol($0) }).first else { return }
    do throws(DumpError) {
      _ = try tables.translate(known) { (address) throws(DumpError) in
        let bytes = try source.bytes(at: address, count: 8)
        return ByteReader(bytes, source.identity.byteOrder).u64(0) ?? 0
      }
    } catch {
      throw error.inside("the kernel's page tables do not map its own symbols")
    }
  }

  public var architecture: Architecture { source.identity.architecture }
  public var byteOrder: ByteOrder { source.identity.byteOrder }

  // MARK: Addresses

  /// Where `address` lies in physical memory.
  ///
  /// - Throws: when nothing is mapped there or a page table can't be read.
  public func translate(_ address: VirtualAddress) throws(DumpError) -> PhysicalAddress {
    try mapping(address).physical
  }

  /// The same, and how many bytes from there on are mapped without a break.
  public func mapping(_ address: VirtualAddress) throws(DumpError) -> MappedMemory {
    try state.withLock { (state) throws(DumpError) in try map(address, &state) }
  }

  /// The frames of all pages that were read so far, page tables on the way included; ascending. Pages that
  /// could not be read are not among them.
  public var touchedPages: [PageFrame] { state.withLock { $0.touched.frames } }

  /// A walk through all of the kernel's page tables; nil when they were not found.
  public var pageTableWalk: PageTableWalk? { translation.shape.map { PageTableWalk(source, translation, $0) } }

  // MARK: Bytes

  /// `count` bytes from `address` on, from 0 to `readLimit`.
  ///
  /// - Throws: when any of it is not mapped, not in the dump, or `count` is out of range.
  public func read(_ address: VirtualAddress, count: Int) throws(DumpError) -> [UInt8] {
    guard (0...KernelMemory.readLimit).contains(count) else {
      throw DumpError("\(count) bytes are more than any structure has", at: "kernel address \(address)")
    }
    return try state.withLock { (state) throws(DumpError) in
      var result: [UInt8] = []
      result.reserveCapacity(count)
      while result.count < count {
        guard let next = address.advanced(by: UInt64(result.count)) else {
          throw DumpError("runs past the end of the address space", at: "kernel address \(address)")
        }
        let place = try map(next, &state)
        try append(&result, place.physical, Int(min(UInt64(count - result.count), place.count)), &state)
      }
      return result
    }
  }

  /// `count` bytes of physical memory, from 0 to `readLimit`.
  public func read(physical address: PhysicalAddress, count: Int) throws(DumpError) -> [UInt8] {
    guard (0...KernelMemory.readLimit).contains(count) else {
      throw DumpError("\(count) bytes are more than any structure has", at: "physical address \(address)")
    }
    return try state.withLock { (state) throws(DumpError) in
      var result: [UInt8] = []
      try append(&result, address, count, &state)
      return result
    }
  }

  // MARK: Integers, in the dump's byte order

  public func u64(_ address: VirtualAddress) throws(DumpError) -> UInt64 { try integer(address, 8) }
  public func u32(_ address: VirtualAddress) throws(DumpError) -> UInt32 {
    UInt32(truncatingIfNeeded: try integer(address, 4))
  }
  public func u16(_ address: VirtualAddress) throws(DumpError) -> UInt16 {
    UInt16(truncatingIfNeeded: try integer(address, 2))
  }
  /// A pointer (8 bytes: all architectures here are 64-bit). May be 0 or nonsense; reading through it tells.
  public func pointer(_ address: VirtualAddress) throws(DumpError) -> VirtualAddress {
    VirtualAddress(try integer(address, 8))
  }

  /// Where CPU `cpu` has its own copy of what the kernel's image has at `variable`; `offsets` is
  /// `__per_cpu_offset`. The sum wraps: that is how per-CPU addresses are made.
  public func processorCopy(of variable: UInt64, cpu: Int, _ offsets: VirtualAddress) throws(DumpError) -> VirtualAddress {
    VirtualAddress(variable &+ (try u64(VirtualAddress(offsets.rawValue &+ UInt64(cpu) &* 8))))
  }

  private func integer(_ address: VirtualAddress, _ size: Int) throws(DumpError) -> UInt64 {
    let value = try state.withLock { (state) throws(DumpError) -> UInt64? in
      let place = try map(address, &state)
      return place.count >= UInt64(size) ? try load(place.physical, size, &state) : nil
    }
    if let value { return value }
    return try acrossPages(address, size)
  }

  /// An integer on a page border: rare, since kernels align them.
  private func acrossPages(_ address: VirtualAddress, _ size: Int) throws(DumpError) -> UInt64 {
    let bytes = try read(address, count: size)
    guard let value = ByteReader(bytes, source.identity.byteOrder).load(0, size) else {
      throw DumpError("can't be read", at: "kernel address \(address)")
    }
    return value
  }

  // MARK: Under the lock

  private func map(_ address: VirtualAddress, _ state: inout State) throws(DumpError) -> MappedMemory {
    let page = pageSize.floor(address.rawValue)
    let within = address.rawValue - page
    if let start = state.translations[page] {
      return MappedMemory(PhysicalAddress(start + within), count: pageSize.bytes - within)
    }
    let place = try translation.translate(address) { (entry) throws(DumpError) in
      guard let value = try load(entry, 8, &state) else {
        throw DumpError("lies across two pages", at: "page-table entry \(entry)")
      }
      return value
    }
    // Page tables map whole pages. Program headers may begin and end inside one: theirs are not remembered.
    if translation.mapsWholePages {
      if state.translations.count >= KernelMemory.translationLimit { state.translations.removeAll() }
      state.translations[page] = place.physical.rawValue & ~(pageSize.bytes - 1)
    }
    return place
  }

  /// An integer inside one page; nil when it lies across two.
  private func load(_ address: PhysicalAddress, _ size: Int, _ state: inout State) throws(DumpError) -> UInt64? {
    let offset = Int(address.rawValue & (pageSize.bytes - 1))
    guard offset <= Int(pageSize.bytes) - size else { return nil }
    let reader: ByteReader
    if let page = page(address, &state) {
      reader = ByteReader(page, source.identity.byteOrder)
      return reader.load(offset, size)
    }
    reader = ByteReader(try uncached(address, size, &state), source.identity.byteOrder)
    return reader.load(0, size)
  }

  /// Appends `count` bytes of physical memory: small pieces from the cache, large ones straight from the
  /// source.
  private func append(_ result: inout [UInt8], _ address: PhysicalAddress, _ count: Int, _ state: inout State)
    throws(DumpError)
  {
    var cursor = address.rawValue
    var left = count
    while left > 0 {
      let within = Int(cursor & (pageSize.bytes - 1))
      let piece = min(left, Int(pageSize.bytes) - within)
      if left <= Int(pageSize.bytes), let page = page(PhysicalAddress(cursor), &state) {
        result += page[within..<within + piece]
      } else {
        result += try uncached(PhysicalAddress(cursor), left, &state)
        return
      }
      let (next, overflow) = cursor.addingReportingOverflow(UInt64(piece))
      guard !overflow else { throw DumpError("runs past the end of physical memory", at: "address \(address)") }
      cursor = next
      left -= piece
    }
  }

  /// The whole page around `address`; nil when the source does not have all of it (memory can end inside a
  /// page).
  private func page(_ address: PhysicalAddress, _ state: inout State) -> [UInt8]? {
    let frame = pageSize.frame(of: address)
    if let page = state.cache[frame.rawValue] { return page }
    guard let page = try? source.bytes(at: pageSize.address(of: frame), count: Int(pageSize.bytes)) else { return nil }
    state.cache.insert(frame.rawValue, page)
    touch(address, 1, &state)
    return page
  }

  private func uncached(_ address: PhysicalAddress, _ count: Int, _ state: inout State) throws(DumpError) -> [UInt8] {
    let (_, overflow) = address.rawValue.addingReportingOverflow(UInt64(count))
    guard !overflow else { throw DumpError("runs past the end of physical memory", at: "address \(address)") }
    let bytes = try source.bytes(at: address, count: count)
    touch(address, count, &state)
    return bytes
  }

  /// `count` is at least 1, and `address` plus it does not overflow.
  private func touch(_ address: PhysicalAddress, _ count: Int, _ state: inout State) {
    if !records { return }
    let first = pageSize.frame(of: address).rawValue
    let last = pageSize.frame(of: PhysicalAddress(address.rawValue + UInt64(count - 1))).rawValue
    state.touched.insert(first..<last + 1)
  }
}
