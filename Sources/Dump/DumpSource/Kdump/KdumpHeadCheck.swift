#if Kdump
  internal import CoreEncoding
  public import DumpBasics

  extension KdumpSource {
    /// Whether headers, notes and bitmaps are what their writer left.
    public enum HeadCheck: Sendable, Equatable {
      case right
      case wrong(DumpError)
      /// The file has no checksum of them: it is another tool's, or cut.
      case unknown
    }

    /// Reads all that stands before the descriptors, and compares it with the checksum at the file's end
    /// (`KdumpEnding`).
    public func checkHead() -> HeadCheck {
      let content = pages.content
      let size = UInt64(KdumpEnding.size)
      guard content.size > size, let last = try? content.bytes(at: content.size - size, count: Int(size)),
        let ending = KdumpEnding(last)
      else { return .unknown }
      do throws(DumpError) {
        guard ending.covered <= content.size - size else { throw DumpError("the checksum is of more than the file has") }
        guard try headChecksum(of: ending.covered) == ending.checksum else {
          throw DumpError("headers, notes or bitmaps are not what their checksum says", advice: "the file is damaged")
        }
        return .right
      } catch { return .wrong(error.inside("\(name), offset 0x0 to \(hex(ending.covered))")) }
    }

    private func headChecksum(of end: UInt64) throws(DumpError) -> UInt32 {
      let content = pages.content
      var checksum = KdumpHeadChecksum()
      var offset: UInt64 = 0
      while offset < end {
        let next = min(end, max(offset, content.nextData(from: offset) ?? end))
        checksum.skip(next - offset)
        let count = min(end - next, 256 << 10)
        checksum.add(try content.bytes(at: next, count: Int(count))[...])
        offset = next + count
      }
      return checksum.finished()
    }
  }
#endif
