internal import CLinux
public import DumpBasics
internal import Glibc

/// A device, or a file that stands for one, that is read and written through a mapped window: /dev/mem and
/// /dev/pmemN. read(2) and write(2) do not reach all memory through /dev/mem (drivers/char/mem.c,
/// valid_phys_addr_range: what lies above the running kernel's own memory is refused); mmap(2) does.
///
/// For one thread at a time.
@safe public final class MappedDevice {
  private static let windowSize: UInt64 = 2 << 20
  private static let isGuarded = mcore_guard_bus_errors() == 0

  private let file: File
  private var window: UnsafeMutableRawPointer?
  /// Where in the file the window begins.
  private var start: UInt64 = 0

  /// Not writable, it can still be read.
  public init(_ path: String, writable: Bool) throws(DumpError) {
    file = try File(path, writable ? .readWrite : .read)
    isWritable = writable
  }

  deinit { unmap() }

  private let isWritable: Bool
  public var path: String { file.path }

  public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    try unsafe forEachPiece(offset, buffer.count) { done, count, place in
      unsafe mcore_guarded_copy(buffer.baseAddress.map { unsafe $0 + done }, place, count) == 0
    }
  }

  /// What was written is in memory, not in a cache, when this returns.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DumpError) {
    try unsafe forEachPiece(offset, bytes.count) { done, count, place in
      unsafe mcore_guarded_store(place, bytes.baseAddress.map { unsafe $0 + done }, count) == 0
    }
  }

  /// For a device with a cache in the kernel: what was written is on the device after this.
  public func synchronize() throws(DumpError) {
    // /dev/mem has none, and says so.
    do throws(DumpError) { try file.synchronize() } catch { if error.kind != .system(EINVAL) { throw error } }
  }

  /// `body` gets the bytes done, the bytes of the piece, and its place; false from it is a page that can't be
  /// had.
  private func forEachPiece(
    _ offset: UInt64, _ count: Int, _ body: (Int, Int, UnsafeMutableRawPointer) -> Bool
  ) throws(DumpError) {
    var done = 0
    while done < count {
      let position = offset + UInt64(done)
      let place = unsafe try mapped(position)
      let piece = Int(min(UInt64(count - done), start + MappedDevice.windowSize - position))
      guard unsafe body(done, piece, place) else {
        throw DumpError(.system(EIO), "this memory can't be had", at: "\(path), \(hex(position))")
      }
      done += piece
    }
  }

  private func mapped(_ position: UInt64) throws(DumpError) -> UnsafeMutableRawPointer {
    if let window = unsafe window, position >= start, position - start < MappedDevice.windowSize {
      return unsafe window + Int(position - start)
    }
    let place = "\(path), \(hex(position))"
    guard MappedDevice.isGuarded, position < 1 << 62 else {
      throw DumpError(.system(EIO), "this memory can't be mapped", at: place)
    }
    unmap()
    let first = position & ~(MappedDevice.windowSize - 1)
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    let address = try System.retrying(.mmap, place) {
      unsafe Int(bitPattern: mmap(nil, Int(MappedDevice.windowSize), protection, MAP_SHARED, file.descriptor, Int(first)))
    }
    guard let made = unsafe UnsafeMutableRawPointer(bitPattern: address) else {
      throw DumpError(.system(EIO), "this memory can't be mapped", at: place)
    }
    unsafe window = made
    start = first
    return unsafe made + Int(position - first)
  }

  private func unmap() {
    if let mapped = unsafe window { unsafe _ = munmap(mapped, Int(MappedDevice.windowSize)) }
    unsafe window = nil
  }
}
