internal import DumpBasics
internal import DumpSource

/// A piece of page map in memory: the one place where this module touches raw bytes.
///
/// `page` must be below `capacity`, and `offset` an offset that `PageLayout` has checked: then every load
/// lies inside. That is what makes the scan fast, and why nobody but `MapScan` and `MapReader` uses it.
@safe final class MapBuffer {
  // SAFETY: allocated with `bytes` = `capacity` × `structSize`, and freed only with the object.
  private let memory: UnsafeMutableRawPointer
  private let bytes: Int
  let capacity: Int
  let structSize: Int

  init(pages: Int, structSize: Int) {
    capacity = pages
    self.structSize = structSize
    bytes = pages * structSize
    unsafe memory = .allocate(byteCount: bytes, alignment: 4096)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
  }

  deinit { unsafe memory.deallocate() }

  /// Fills bytes `range` of the buffer with memory from `address` on. The range must lie inside.
  func fill(_ range: Range<Int>, from source: any DumpSource, at address: PhysicalAddress) throws(DumpError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes)
    unsafe try source.read(
      at: address, into: UnsafeMutableRawBufferPointer(start: memory + range.lowerBound, count: range.count))
  }

  /// Fills the buffer's beginning with `content`, as far as it holds it.
  func fill(with content: [UInt8]) {
    unsafe UnsafeMutableRawBufferPointer(start: memory, count: bytes).copyBytes(from: content.prefix(bytes))
  }

  func zero(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes)
    unsafe (memory + range.lowerBound).initializeMemory(as: UInt8.self, repeating: 0, count: range.count)
  }

  /// The loads, for as long as `body` runs: a pointer in a register instead of an object.
  @inline(__always) func withView<R>(_ body: (MapView) -> R) -> R {
    defer { withExtendedLifetime(self) {} }
    return body(unsafe MapView(base: UnsafeRawPointer(memory), structSize: structSize, count: capacity))
  }
}

/// See `MapBuffer`. Little-endian, as every machine that mcore knows the page map of.
@safe struct MapView {
  // SAFETY: valid while `MapBuffer.withView` runs.
  private let base: UnsafeRawPointer
  let structSize: Int
  private let count: Int

  @inline(__always) fileprivate init(base: UnsafeRawPointer, structSize: Int, count: Int) {
    unsafe self.base = unsafe base
    self.structSize = structSize
    self.count = count
  }

  var pages: Int { count }

  @inline(__always) func u64(_ page: Int, _ offset: Int) -> UInt64 {
    assert(page >= 0 && page < count && offset >= 0 && offset + 8 <= structSize)
    return unsafe base.loadUnaligned(fromByteOffset: page &* structSize &+ offset, as: UInt64.self)
  }

  @inline(__always) func u32(_ page: Int, _ offset: Int) -> UInt32 {
    assert(page >= 0 && page < count && offset >= 0 && offset + 4 <= structSize)
    return unsafe base.loadUnaligned(fromByteOffset: page &* structSize &+ offset, as: UInt32.self)
  }

  /// The same by the offset of a member of a page from the first one.
  @inline(__always) func u64(at offset: Int) -> UInt64 {
    assert(offset >= 0 && offset + 8 <= count * structSize)
    return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }

  @inline(__always) func u32(at offset: Int) -> UInt32 {
    assert(offset >= 0 && offset + 4 <= count * structSize)
    return unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
  }

  @inline(__always) func u8(_ page: Int, _ offset: Int) -> UInt8 {
    assert(page >= 0 && page < count && offset >= 0 && offset < structSize)
    return unsafe base.load(fromByteOffset: page &* structSize &+ offset, as: UInt8.self)
  }
}
