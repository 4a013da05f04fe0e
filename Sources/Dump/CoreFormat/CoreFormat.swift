public import CoreEncoding
public import DumpBasics

/// A format that a dump can be written in. A new one is a file with a `GroupEncoder` and a case here.
public enum OutputFormat: String, Sendable, CaseIterable {
  /// ELF compressed as BGZF: the default.
  case elfGzip = "elf.gz"
  #if Zstd
    /// ELF in the zstd seekable format.
    case elfZstd = "elf.zst"
  #endif
  /// Plain ELF, sparse.
  case elf
  #if Kdump
    /// makedumpfile's format, each page by zlib.
    case kdumpZlib = "kdump-zlib"
    #if Zstd
      /// The same, each page by zstd.
      case kdumpZstd = "kdump-zstd"
    #endif
  #endif

  /// The dump's file name in a dump directory.
  public var fileName: String { "vmcore.\(rawValue)" }

  /// Whether its codec can be told how hard to try.
  public var hasSpeed: Bool { self != .elf && !isPaged }

  /// `effort` says how hard the codec tries; `changes`: whether it may be set to another one.
  public func makeEncoder(_ effort: Effort = .balanced, changes: Bool = false) throws(DumpError) -> any GroupEncoder {
    switch self {
    case .elfGzip: try ElfGzipEncoder(effort)
    #if Zstd
      case .elfZstd: try ElfZstdEncoder(effort, changes: changes)
    #endif
    case .elf: ElfEncoder()
    #if Kdump
      case .kdumpZlib: throw DumpError(.unsupported, "\(rawValue) is written page by page")
      #if Zstd
        case .kdumpZstd: throw DumpError(.unsupported, "\(rawValue) is written page by page")
      #endif
    #endif
    }
  }

  /// Whether the file holds pages in the order of their addresses and is not written as a stream, as the
  /// kdump formats are.
  public var isPaged: Bool {
    switch self {
    case .elf, .elfGzip: false
    #if Zstd
      case .elfZstd: false
    #endif
    #if Kdump
      case .kdumpZlib: true
      #if Zstd
        case .kdumpZstd: true
      #endif
    #endif
    }
  }
}

/// Turns groups of the uncompressed file into what is written. One object belongs to one thread at a time.
///
/// A group is at most `DumpTrailer.blocksPerGroup` blocks of `BGZF.blockSize` bytes, and begins at a block
/// border. It comes in units, which are as small as the format allows: what was just read is still in the
/// processor's cache.
public protocol GroupEncoder: AnyObject {
  /// Bytes of a unit: one block, or a whole group. The last unit of a group may be smaller.
  var unitSize: Int { get }
  /// For the units that come, where the codec can change it.
  func set(_ effort: Effort)
  /// Puts the next unit of a group behind what is in `output`.
  func encode(_ unit: UnsafeRawBufferPointer, into output: EncodedGroup)
  /// Hears of every group that was written, in order, those of the trailer too: for a format that ends with
  /// an index of its own. Called only on the one encoder that then makes the footer.
  func wrote(_ group: EncodedGroup)
  /// The footer, in a form whose size is fixed; and what ends the file after it.
  func encodeFooter(_ footer: [UInt8]) -> [UInt8]
  /// Whether members of the output can be pointed at: then the trailer holds an index of them.
  var hasMembers: Bool { get }
}

extension GroupEncoder {
  public var unitSize: Int { BGZF.blockSize }
  public func set(_ effort: Effort) {}
  public func wrote(_ group: EncodedGroup) {}

  /// Encodes a whole group that is in memory.
  public func encode(group: UnsafeRawBufferPointer, into output: EncodedGroup) {
    output.begin()
    var offset = 0
    while offset < group.count {
      let end = min(group.count, offset + unitSize)
      unsafe encode(UnsafeRawBufferPointer(rebasing: group[offset..<end]), into: output)
      offset = end
    }
  }
}

/// One group as it is written: bytes, and stretches of zeros that may become holes in the file.
@safe public final class EncodedGroup {
  public enum Part: Sendable {
    /// The next `count` bytes of `bytes`.
    case bytes(Int)
    case zeros(Int)
  }

  private let memory: UnsafeMutableRawBufferPointer
  public private(set) var parts: [Part] = []
  public private(set) var count = 0
  /// Bytes of all parts: how much longer the file gets.
  public var size: UInt64 {
    parts.reduce(0) { sum, part in
      switch part {
      case .bytes(let count), .zeros(let count): sum + UInt64(count)
      }
    }
  }
  /// Uncompressed bytes of the group.
  private(set) var contentCount = 0
  /// CRC-32 of the group's uncompressed bytes.
  public private(set) var checksum: UInt32 = 0

  /// Room for a group in any format: BGZF members are at most 64 KiB; a zstd frame grows by less than 1 %.
  public init() {
    unsafe memory = .allocate(byteCount: DumpTrailer.blocksPerGroup * BGZF.maximumMember, alignment: 4096)
  }

  deinit { unsafe memory.deallocate() }

  /// Has to be called before the first unit of a group.
  public func begin() {
    parts.removeAll(keepingCapacity: true)
    count = 0
    contentCount = 0
    checksum = 0
  }

  /// Tells of a unit with `count` uncompressed bytes, whose CRC-32 is `checksum`.
  func addContent(_ count: Int, _ checksum: UInt32) {
    self.checksum = contentCount == 0 ? checksum : CRC32.combined(self.checksum, checksum, count: count)
    contentCount += count
  }

  /// Lets `fill` write behind what is there; it returns how many bytes it wrote.
  func append(_ fill: (UnsafeMutableRawBufferPointer) -> Int) {
    let added = unsafe fill(UnsafeMutableRawBufferPointer(rebasing: memory[count...]))
    count += added
    if case .bytes(let before)? = parts.last {
      parts[parts.count - 1] = .bytes(before + added)
    } else {
      parts.append(.bytes(added))
    }
  }

  func appendZeros(_ added: Int) {
    if case .zeros(let before)? = parts.last {
      parts[parts.count - 1] = .zeros(before + added)
    } else {
      parts.append(.zeros(added))
    }
  }

  /// Hands out the parts, in order.
  public func forEachPart(
    bytes: (UnsafeRawBufferPointer) throws(DumpError) -> Void, zeros: (Int) throws(DumpError) -> Void
  ) throws(DumpError) {
    var offset = 0
    for part in parts {
      switch part {
      case .bytes(let length):
        unsafe try bytes(UnsafeRawBufferPointer(rebasing: memory[offset..<offset + length]))
        offset += length
      case .zeros(let length): try zeros(length)
      }
    }
  }
}
