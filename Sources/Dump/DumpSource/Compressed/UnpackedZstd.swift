#if Streams && Zstd
  internal import CoreEncoding
  internal import DumpBasics
  internal import LinuxSystem

  /// A file that zstd compressed as a whole. Nothing leads into the middle of a frame, so it is unpacked
  /// once, to a file without a name in $TMPDIR (or /var/tmp), which is gone with this process. Zeros are
  /// holes there.
  final class UnpackedZstd: Content {
    private let file: File
    private let path: String
    let size: UInt64
    let damage: DumpError?
    let isCorrupt: Bool
    let isEnded: Bool
    var ending: DumpEnding? { plainEnding() }
    let format = "zstd"
    var name: String { path }

    /// Whether a file that begins so has frames that can't be read at an offset.
    static func isNeeded(_ file: borrowing File) throws(DumpError) -> Bool {
      var position: UInt64 = 0
      // What decoders skip may stand before the first frame.
      for _ in 0..<8 {
        guard let frame = ZstdFrame(try file.bytes(at: position, count: ZstdFrame.longestHeader)), !frame.needsDictionary else {
          return false
        }
        guard let skipped = frame.skippedSize else { return (frame.contentSize ?? .max) > ZstdContent.largestFrame }
        position += UInt64(frame.headerSize) + skipped
      }
      return false
    }

    /// `room`: bytes that may be written; nil: what the directory has but for an eighth.
    init(_ packed: consuming File, room given: UInt64? = nil) throws(DumpError) {
      path = packed.path
      let directory = System.environment("TMPDIR") ?? "/var/tmp"
      let free = given ?? System.freeBytes(directory).map { $0 - $0 / 8 } ?? .max
      let start = try packed.bytes(at: 0, count: ZstdFrame.longestHeader)
      var unpacking = Unpacking(room: free, place: "\(path), to \(directory)")
      if let content = ZstdFrame(start)?.contentSize, content > free { throw unpacking.lackOfRoom(content) }
      file = try File(directory, .nameless)
      try unpacking.run(packed, into: file)
      size = unpacking.size
      damage = unpacking.damage
      isCorrupt = unpacking.isCorrupt
      isEnded = unpacking.damage == nil
    }

    func nextData(from offset: UInt64) -> UInt64? { file.nextData(from: offset) }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
      let (end, overflow) = offset.addingReportingOverflow(UInt64(buffer.count))
      guard !overflow, end <= size else { throw damage ?? DumpError("reading past the end, at \(hex(offset))", at: name) }
      guard unsafe try file.read(at: offset, into: buffer) == buffer.count else {
        throw DumpError("the unpacked file ends early, at \(hex(offset))", at: name)
      }
    }
  }

  /// Takes a file apart into another one.
  private struct Unpacking {
    private(set) var size: UInt64 = 0
    private(set) var damage: DumpError?
    /// Whether bytes that are there are wrong.
    private(set) var isCorrupt = false
    private let room: UInt64
    private let place: String
    private var written: UInt64 = 0
    private var output = [UInt8](repeating: 0, count: Unpacking.pieceSize)
    private var filled = 0

    private static let pieceSize = 1 << 20

    init(room: UInt64, place: String) {
      self.room = room
      self.place = place
    }

    func lackOfRoom(_ needed: UInt64) -> DumpError {
      DumpError(
        .full, "zstd in one frame has to be unpacked to be read: \(humanBytes(needed)), and \(humanBytes(room)) are free",
        at: place, advice: "unpack it with zstd -d where there is room, or set TMPDIR to such a place")
    }

    mutating func run(_ packed: borrowing File, into unpacked: borrowing File) throws(DumpError) {
      let stream = try ZstdStream()
      let path = packed.path
      var position: UInt64 = 0
      var isInFrame = true
      while damage == nil {
        Activity.step()
        let input = try packed.bytes(at: position, count: Unpacking.pieceSize)
        if input.isEmpty { break }
        var done = 0
        var isIdle = false
        // What is decompressed and has no room yet comes out with more room, without more input.
        while !isIdle, done < input.count || filled == output.count {
          if filled == output.count { try flush(unpacked) }
          do throws(DumpError) {
            let step = try step(stream, input[done...])
            done += step.consumed
            filled += step.produced
            isIdle = step.consumed + step.produced == 0
            if !isIdle { isInFrame = !step.endsFrame }
          } catch {
            isCorrupt = true
            damage = error.inside("\(path), offset \(hex(position + UInt64(done)))")
            break
          }
        }
        position += UInt64(input.count)
      }
      try flush(unpacked)
      if damage == nil, isInFrame { damage = DumpError("the file is cut in a zstd frame", at: path) }
      guard size > 0 else { throw damage ?? DumpError("a zstd file without content", at: path) }
      try unpacked.truncate(to: size)
    }

    /// Writes what is in `output`; zeros are left out.
    private mutating func flush(_ unpacked: borrowing File) throws(DumpError) {
      let isEmpty = unsafe output.withUnsafeBytes { unsafe isZero(UnsafeRawBufferPointer(rebasing: $0[..<filled])) }
      if !isEmpty {
        written += UInt64(filled)
        if written > room { throw lackOfRoom(clampedSum(size, UInt64(filled))) }
        unsafe try output[..<filled].lent { (bytes) throws(DumpError) in unsafe try unpacked.write(bytes, at: size) }
      }
      size += UInt64(filled)
      filled = 0
    }

    private mutating func step(_ stream: ZstdStream, _ input: ArraySlice<UInt8>) throws(DumpError) -> ZstdStream.Step {
      var step = ZstdStream.Step()
      let start = filled
      unsafe try input.lent { (input) throws(DumpError) in
        var failure: DumpError?
        unsafe output.withUnsafeMutableBytes { output in
          do throws(DumpError) {
            step = unsafe try stream.step(input, into: UnsafeMutableRawBufferPointer(rebasing: output[start...]))
          } catch {
            failure = error
          }
        }
        if let failure { throw failure }
      }
      return step
    }
  }
#endif
