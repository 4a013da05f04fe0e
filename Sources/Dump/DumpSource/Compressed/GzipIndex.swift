#if Streams
  internal import CoreEncoding
  internal import DumpBasics
  internal import LinuxSystem

  /// Places in a gzip file from which it can be inflated, made by going through all of it once.
  ///
  /// Memory is bounded: where there are too many places, every second one is forgotten, and those that come
  /// are twice as far apart.
  struct GzipIndex {
    private(set) var places = [GzipStream.Place(compressed: 0, bits: 0, content: 0, window: nil)]
    /// Content that is there.
    private(set) var size: UInt64 = 0
    private(set) var damage: DumpError?
    /// Whether bytes that are there are wrong.
    private(set) var isCorrupt = false
    /// Content between two places.
    private var spacing: UInt64

    /// Places that are kept: each has a window of 32 KiB.
    static let placeLimit = 1024
    private static let pieceSize = 1 << 18
    /// Steps without any progress, after which there will be none.
    static let idleLimit = 8

    init(_ file: borrowing File, spacing: UInt64 = 1 << 20, limit: Int = GzipIndex.placeLimit) throws(DumpError) {
      self.spacing = spacing
      let fileSize = try file.size()
      let stream = try GzipStream()
      let path = file.path
      var output = [UInt8](repeating: 0, count: GzipIndex.pieceSize)
      var position: UInt64 = 0
      var isInMember = true
      var idleSteps = 0
      reading: while position < fileSize {
        Activity.step()
        let input = try file.bytes(at: position, count: GzipIndex.pieceSize)
        if input.isEmpty { break }
        var done = 0
        while done < input.count {
          if !isInMember {
            // What follows the last member is no part of it: gzip says so too, and goes on.
            guard input[done] == 0x1f else {
              damage = DumpError(
                "\(fileSize - position - UInt64(done)) bytes behind the end of the dump are no part of it",
                at: "\(path), offset \(hex(position + UInt64(done)))")
              break reading
            }
            isInMember = true
            note(.init(compressed: position + UInt64(done), bits: 0, content: size, window: nil), limit)
          }
          let step: GzipStream.Step
          do throws(DumpError) {
            step = try GzipIndex.step(stream, input[done...], &output)
            idleSteps = step.consumed + step.produced > 0 ? 0 : idleSteps + 1
            guard idleSteps < GzipIndex.idleLimit else { throw DumpError("damaged gzip: it leads nowhere") }
          } catch {
            isCorrupt = true
            damage = error.inside("\(path), offset \(hex(position + UInt64(done)))")
            break reading
          }
          done += step.consumed
          size = clampedSum(size, UInt64(step.produced))
          switch step.event {
          case .more: break
          case .member: isInMember = false
          case .block(let bits):
            if size - (places.last?.content ?? 0) >= self.spacing {
              note(
                .init(compressed: position + UInt64(done), bits: bits, content: size, window: stream.window), limit)
            }
          }
        }
        position += UInt64(input.count)
      }
      if damage == nil, isInMember { damage = DumpError("the file is cut in a gzip member", at: path) }
    }

    private static func step(
      _ stream: GzipStream, _ input: ArraySlice<UInt8>, _ output: inout [UInt8]
    ) throws(DumpError) -> GzipStream.Step {
      var step = GzipStream.Step()
      unsafe try input.lent { (input) throws(DumpError) in
        var failure: DumpError?
        unsafe output.withUnsafeMutableBytes { output in
          do throws(DumpError) {
            step = unsafe try stream.step(input, into: output, stopsAtBlocks: true)
          } catch {
            failure = error
          }
        }
        if let failure { throw failure }
      }
      return step
    }

    private mutating func note(_ place: GzipStream.Place, _ limit: Int) {
      guard let last = places.last, place.content > last.content else {
        // An empty member: the place behind it is as good.
        if place.window == nil { places[places.count - 1] = place }
        return
      }
      // Members may be small.
      guard place.content - last.content >= spacing || places.count < limit / 2 else { return }
      places.append(place)
      if places.count >= limit {
        spacing *= 2
        places = places.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
      }
    }
  }
#endif
