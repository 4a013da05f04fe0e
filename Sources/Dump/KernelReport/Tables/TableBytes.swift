internal import CrashedKernel
internal import DumpBasics

/// The bytes of one table of the crashed kernel, read in pieces as they are asked for: tables have megabytes,
/// a crash kernel has little room. Nil means "not inside", or "not in the dump".
final class TableBytes {
  let count: Int
  private let order: ByteOrder
  private let load: (_ offset: Int, _ count: Int) -> [UInt8]?
  /// At most 512 KiB. An empty piece is one that can't be read.
  private var pieces = RecentPieces(limit: 32)
  private var current = -1
  private var piece: [UInt8] = []

  private static let shift = 14

  init(count: Int, _ order: ByteOrder, load: @escaping (_ offset: Int, _ count: Int) -> [UInt8]?) {
    self.count = max(0, count)
    self.order = order
    self.load = load
  }

  convenience init(_ memory: KernelMemory, _ address: UInt64, count: Int) {
    self.init(count: count, memory.byteOrder) { offset, count in
      // Wraps where the table's place is a lie; nothing is mapped there.
      try? memory.read(VirtualAddress(address &+ UInt64(offset)), count: count)
    }
  }

  convenience init(_ bytes: [UInt8]) {
    self.init(count: bytes.count, .little) { offset, count in Array(bytes[offset..<offset + count]) }
  }

  func u8(_ offset: Int) -> UInt8? {
    guard offset >= 0, offset < count, select(offset >> TableBytes.shift) else { return nil }
    return piece[offset & (1 << TableBytes.shift - 1)]
  }
  func u16(_ offset: Int) -> UInt16? { integer(offset, 2).map { UInt16(truncatingIfNeeded: $0) } }
  func u32(_ offset: Int) -> UInt32? { integer(offset, 4).map { UInt32(truncatingIfNeeded: $0) } }

  /// The piece that `offset` is in, and where it begins: for passes through all of it.
  func piece(at offset: Int) -> (bytes: [UInt8], start: Int)? {
    guard offset >= 0, offset < count, select(offset >> TableBytes.shift) else { return nil }
    return (piece, offset & ~(1 << TableBytes.shift - 1))
  }

  /// At most `count` bytes from `offset` on, up to a NUL or the end.
  func text(_ offset: Int, limit: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < limit, let byte = u8(offset + bytes.count), byte != 0 { bytes.append(byte) }
    return bytes
  }

  private func integer(_ offset: Int, _ size: Int) -> UInt64? {
    guard offset >= 0, offset <= count - size, select(offset >> TableBytes.shift) else { return nil }
    let within = offset & (1 << TableBytes.shift - 1)
    var value: UInt64 = 0
    if within <= piece.count - size {
      for index in 0..<size {
        value |= UInt64(piece[within + index]) << UInt64(8 * (order == .little ? index : size - 1 - index))
      }
      return value
    }
    for index in 0..<size {
      guard let byte = u8(offset + index) else { return nil }
      value |= UInt64(byte) << UInt64(8 * (order == .little ? index : size - 1 - index))
    }
    return value
  }

  /// Makes piece `number` the current one; false when it can't be read.
  @inline(__always) private func select(_ number: Int) -> Bool { number == current || fetch(number) }

  private func fetch(_ number: Int) -> Bool {
    let bytes = pieces[UInt64(number)] ?? loaded(number)
    if bytes.isEmpty { return false }
    piece = bytes
    current = number
    return true
  }

  private func loaded(_ number: Int) -> [UInt8] {
    let start = number << TableBytes.shift
    let wanted = min(count - start, 1 << TableBytes.shift)
    var bytes = load(start, wanted) ?? []
    if bytes.count != wanted { bytes = [] }
    pieces.insert(UInt64(number), bytes)
    return bytes
  }
}
