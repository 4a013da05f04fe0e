#if Kdump
  public import DumpBasics

  /// How the compressed pages of a dump of LKCD are packed: the same way in all of the file.
  public enum LKCDCodec: Sendable, Equatable, CaseIterable {
    /// No page is.
    case plain
    /// By zlib, with its header and checksum (DUMP_COMPRESS_GZIP).
    case zlib
    /// By LKCD's run length encoding (DUMP_COMPRESS_RLE): a byte that is not 0 stands for itself, 0 0 for one
    /// zero, and 0 N B for N + 1 times the byte B. So LKCD's drivers/dump/dump_rle.c writes, so crash reads.
    case rle
    /// The same, where 0 N B stands for N times the byte B: so libkdumpfile reads, and its tests write.
    case shortRLE

    /// What follows the `lkcd-` in the name of the format.
    public var name: String {
      switch self {
      case .plain: "plain"
      case .zlib: "zlib"
      case .rle, .shortRLE: "rle"
      }
    }

    /// `dh_dump_compress` says this.
    public var stated: UInt32 {
      switch self {
      case .plain: 0
      case .rle, .shortRLE: 1
      case .zlib: 2
      }
    }
  }

  /// Inflates pages. One object belongs to one thread at a time.
  public final class LKCDPageInflater {
    private let zlib: KdumpPageInflater

    public init() throws(DumpError) { zlib = try KdumpPageInflater() }

    /// Gives exactly one page, or throws. `place` is for errors.
    public func inflate(
      _ input: UnsafeRawBufferPointer, _ codec: LKCDCodec, into page: UnsafeMutableRawBufferPointer,
      at place: @autoclosure () -> String
    ) throws(DumpError) {
      let isWhole: Bool
      switch codec {
      case .plain:
        throw DumpError("a compressed page, and nothing says how", at: place(), advice: "the file is damaged")
      case .zlib: return unsafe try zlib.inflate(input, flags: KdumpCodec.zlib.rawValue, into: page, at: place())
      case .rle: isWhole = unsafe LKCDPageInflater.expand(input, into: page, extra: 1)
      case .shortRLE: isWhole = unsafe LKCDPageInflater.expand(input, into: page, extra: 0)
      }
      guard isWhole else {
        throw DumpError(
          "damaged page: it does not expand to \(page.count) bytes", at: place(), advice: "other pages can be read")
      }
    }

    /// Whether `input` gives exactly one page. A run is `extra` bytes longer than its count says.
    private static func expand(
      _ input: UnsafeRawBufferPointer, into page: UnsafeMutableRawBufferPointer, extra: Int
    ) -> Bool {
      var (read, written) = (0, 0)
      while read < input.count {
        var value = unsafe input[read]
        var count = 1
        read += 1
        if value == 0 {
          guard read < input.count else { return false }
          let run = unsafe Int(input[read])
          read += 1
          if run > 0 {
            guard read < input.count else { return false }
            value = unsafe input[read]
            count = run + extra
            read += 1
          }
        }
        guard count <= page.count - written else { return false }
        unsafe UnsafeMutableRawBufferPointer(rebasing: page[written..<written + count])
          .initializeMemory(as: UInt8.self, repeating: value)
        written += count
      }
      return written == page.count
    }
  }
#endif
