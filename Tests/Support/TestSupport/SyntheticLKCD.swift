#if Kdump
  public import CoreEncoding
  import DumpBasics
  import Foundation

  /// A dump of LKCD made in a test: any version, any codec, any order of pages, any lie.
  public struct SyntheticLKCD {
    /// What stands behind the headers, in this order.
    public enum Item {
      case raw(UInt64, [UInt8])
      /// Packed as `codec` says.
      case packed(UInt64, [UInt8])
      /// A header and bytes as they are; `count` is what the header says of them.
      case wild(UInt64, count: UInt32, flags: UInt32, [UInt8])
      /// The end-of-dump page.
      case end(flags: UInt32)
      /// Bytes that are no page.
      case bytes([UInt8])
    }

    public var header = LKCDHeader(names: ["Linux", "host", "2.6.9-test", "#1 SMP", "x86_64", "(none)"])
    public var codec = LKCDCodec.zlib
    /// By CPU: its 21 registers.
    public var processors: [[UInt64]] = [Array(1...21), Array(101...121)]
    /// By page frame.
    public var items: [Item]
    /// Lets a test change the file before it is written.
    public var tamper: (inout [UInt8]) -> Void = { _ in }

    public init(_ items: [Item]) {
      self.items = items
      header.panic = "Oops: 0002 [1] SMP\n"
      header.crashTime = 1_110_000_000
      header.pageCount = UInt32(
        items.count {
          switch $0 {
          case .raw, .packed, .wild: true
          case .end, .bytes: false
          }
        })
    }

    /// Where the first page header is.
    public var start: Int { Int(header.bufferSize ?? 65536) }

    public func bytes() throws -> [UInt8] {
      var header = header
      header.compression = codec.stated
      header.headerSize = UInt32(header.bufferSize == nil ? LKCDHeader.shortSize : LKCDHeader.size)
      var writer = ByteWriter()
      writer.append(header.encoded() + LKCDRegisters.encoded(processors))
      writer.zeros(start - writer.count)
      for item in items {
        switch item {
        case .raw(let frame, let page): put(frame, page, LKCDPageHeader.raw, &writer)
        case .packed(let frame, let page): put(frame, try SyntheticLKCD.pack(page, codec), LKCDPageHeader.compressed, &writer)
        case .wild(let frame, let count, let flags, let bytes):
          LKCDPageHeader(address: frame * 4096, count: count, flags: flags).append(to: &writer)
          writer.append(bytes)
        case .end(let flags): LKCDPageHeader(address: 0x1234_5678, count: 0, flags: flags).append(to: &writer)
        case .bytes(let bytes): writer.append(bytes)
        }
      }
      var file = writer.bytes
      tamper(&file)
      return file
    }

    public func write(to path: String) throws { try Data(try bytes()).write(to: URL(fileURLWithPath: path)) }

    private func put(_ frame: UInt64, _ data: [UInt8], _ flags: UInt32, _ writer: inout ByteWriter) {
      LKCDPageHeader(address: frame * 4096, count: UInt32(data.count), flags: flags).append(to: &writer)
      writer.append(data)
    }

    public static func pack(_ page: [UInt8], _ codec: LKCDCodec) throws -> [UInt8] {
      switch codec {
      case .plain: return page
      case .rle: return runs(page, shorter: 1)
      case .shortRLE: return runs(page, shorter: 0)
      case .zlib:
        let compressor = try KdumpPageCompressor(.zlib)
        var output = [UInt8](repeating: 0, count: KdumpPageCompressor.bound(page.count))
        let result = page.withUnsafeBytes { page in output.withUnsafeMutableBytes { compressor.compress(page, into: $0) } }
        return Array(output[0..<result.count])
      }
    }

    /// 0 N B for a run of N (`shorter` 0) or of N + 1 (1) bytes B; 0 0 for a single zero.
    private static func runs(_ page: [UInt8], shorter: Int) -> [UInt8] {
      var packed: [UInt8] = []
      var index = 0
      while index < page.count {
        var end = index + 1
        while end < page.count, page[end] == page[index], end - index < 255 { end += 1 }
        let count = end - index
        if count > 3 || count > 1 && page[index] == 0 {
          packed += [0, UInt8(count - shorter), page[index]]
        } else if page[index] == 0 {
          packed += [0, 0]
        } else {
          packed += page[index..<end]
        }
        index = end
      }
      return packed
    }
  }
#endif
