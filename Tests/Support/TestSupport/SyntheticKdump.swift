#if Kdump
  import CoreEncoding
  public import DumpBasics
  import Foundation

  /// A kdump-compressed file made in a test: any version, any codec, any lie.
  public struct SyntheticKdump {
    /// How a page is in the file.
    public enum Page {
      case plain([UInt8])
      case zlib([UInt8])
      case zstd([UInt8])
      /// Bytes and flags as they are.
      case raw([UInt8], flags: UInt32)
      /// A descriptor without offset.
      case lost
      /// In the first bitmap alone.
      case leftOut
    }

    public var identity = MachineIdentity(.x86_64, .little)
    public var version: UInt32 = 6
    public var pageSize = 4096
    public var notes: [DumpNote] = SyntheticCore([]).notes
    /// By page frame.
    public var pages: [UInt64: Page]
    public var status: UInt32 = 0
    public var dumpLevel: Int32 = 31
    public var part: Range<UInt64>?
    /// Lets a test change the file before it is written.
    public var tamper: (inout [UInt8]) -> Void = { _ in }

    public init(_ pages: [UInt64: Page]) { self.pages = pages }

    /// Where the descriptors begin.
    public var descriptorOffset: Int { (1 + subHeaderBlocks + 2 * bitmapBlocks) * pageSize }
    private var frames: UInt64 { (pages.keys.max() ?? 0) + 1 }
    private var bitmapBlocks: Int { (Int(frames + 7) / 8 + pageSize - 1) / pageSize }
    private var noteBytes: [UInt8] { version >= 4 ? ELF64.encodeNotes(notes, identity.byteOrder) : [] }
    private var vmcoreinfo: [UInt8] { notes.first { $0.name == "VMCOREINFO" }?.descriptor ?? [] }
    private var subHeaderBlocks: Int {
      (KdumpSubHeader.size + noteBytes.count + vmcoreinfo.count + pageSize - 1) / pageSize
    }

    public func bytes() throws -> [UInt8] {
      guard let page = PageSize(bytes: UInt64(pageSize)) else { throw DumpError("a page of \(pageSize) bytes") }
      var header = KdumpHeader(
        identity, page,
        names: ["Linux", "host", "6.1.0-test", "#1", identity.architecture == .x86_64 ? "x86_64" : "aarch64", "(none)"])
      header.version = version
      header.status = status
      header.subHeaderBlocks = UInt32(subHeaderBlocks)
      header.bitmapBlocks = UInt32(2 * bitmapBlocks)
      header.frames = UInt32(clamping: frames)
      var second = KdumpSubHeader()
      second.dumpLevel = dumpLevel
      second.part = part
      let noteOffset = UInt64(pageSize + KdumpSubHeader.size)
      if version >= 4 { second.notes = .init(offset: noteOffset, count: UInt64(noteBytes.count)) }
      if version >= 3 {
        second.vmcoreinfo = .init(offset: noteOffset + UInt64(noteBytes.count), count: UInt64(vmcoreinfo.count))
      }
      second.frames = version >= 6 ? frames : 0
      var file = header.encoded()
      pad(&file, to: pageSize)
      file += second.encoded(identity.byteOrder) + noteBytes + vmcoreinfo
      pad(&file, to: (1 + subHeaderBlocks) * pageSize)
      file += bitmap { _ in true }
      file += bitmap { if case .leftOut = $0 { false } else { true } }

      let written = try pages.sorted { $0.key < $1.key }.compactMap { frame, page -> ([UInt8], UInt32)? in
        if let part, !part.contains(frame) { return nil }
        switch page {
        case .plain(let bytes): return (bytes, 0)
        case .zlib(let bytes): return try compressed(bytes, .zlib)
        case .zstd(let bytes): return try compressed(bytes, .zstd)
        case .raw(let bytes, let flags): return (bytes, flags)
        case .lost: return ([], 0)
        case .leftOut: return nil
        }
      }
      var descriptors = ByteWriter(identity.byteOrder)
      var data: [UInt8] = []
      let start = descriptorOffset + written.count * KdumpPageDescriptor.size
      for (bytes, flags) in written {
        let offset = bytes.isEmpty ? 0 : UInt64(start + data.count)
        KdumpPageDescriptor(offset: offset, count: UInt32(bytes.count), flags: flags).append(to: &descriptors)
        data += bytes
      }
      file += descriptors.bytes + data
      tamper(&file)
      return file
    }

    public func write(to path: String) throws { try Data(try bytes()).write(to: URL(fileURLWithPath: path)) }

    /// The same as makedumpfile -F writes it: in pieces of `size` bytes.
    public static func flattened(_ bytes: [UInt8], pieces size: Int) -> [UInt8] {
      var file = Array("makedumpfile".utf8)
      file += [UInt8](repeating: 0, count: 4096 - file.count)
      var offset = 0
      while offset < bytes.count {
        let piece = bytes[offset..<min(bytes.count, offset + size)]
        file += record(UInt64(offset), UInt64(piece.count)) + piece
        offset += size
      }
      return file + record(.max, .max)
    }

    public static func record(_ offset: UInt64, _ count: UInt64) -> [UInt8] {
      var writer = ByteWriter(.big)
      writer.u64(offset)
      writer.u64(count)
      return writer.bytes
    }

    private func bitmap(_ isSet: (Page) -> Bool) -> [UInt8] {
      var bits = [UInt8](repeating: 0, count: bitmapBlocks * pageSize)
      for (frame, page) in pages where isSet(page) { bits[Int(frame / 8)] |= 1 << UInt8(frame % 8) }
      return bits
    }

    private func compressed(_ page: [UInt8], _ codec: KdumpCodec) throws -> ([UInt8], UInt32) {
      let compressor = try KdumpPageCompressor(codec)
      var output = [UInt8](repeating: 0, count: KdumpPageCompressor.bound(page.count))
      let result = page.withUnsafeBytes { page in output.withUnsafeMutableBytes { compressor.compress(page, into: $0) } }
      return (Array(output[0..<result.count]), result.flags)
    }

    private func pad(_ file: inout [UInt8], to count: Int) {
      file += [UInt8](repeating: 0, count: count - file.count)
    }
  }
#endif
