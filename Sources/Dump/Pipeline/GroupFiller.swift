internal import CoreEncoding
internal import CoreFormat
internal import DumpBasics
internal import DumpPlan
internal import DumpSource

/// One thread's encoder, and room for what it encodes.
@safe final class Worker {
  let encoder: any GroupEncoder
  private let pace: CodecPace
  /// Bytes that are read at a time: a unit of the encoder, which is then still in the processor's cache; of a
  /// compressed source a whole group, which is inflated in one go.
  let fillSize: Int
  private let input: UnsafeMutableRawBufferPointer
  /// For a second look at memory that shares a place of the file.
  fileprivate let again: UnsafeMutableRawBufferPointer

  /// `looksAgain`: whether there is such memory.
  init(_ encoder: any GroupEncoder, _ pace: CodecPace, looksAgain: Bool, inGroups: Bool) {
    self.encoder = encoder
    self.pace = pace
    fillSize = inGroups ? max(encoder.unitSize, DumpTrailer.groupSize) : encoder.unitSize
    unsafe input = .allocate(byteCount: fillSize, alignment: 4096)
    unsafe again = .allocate(byteCount: looksAgain ? SharedCheck.chunk : 0, alignment: 4096)
  }

  deinit {
    unsafe input.deallocate()
    unsafe again.deallocate()
  }

  /// Fills `count` bytes, then encodes them unit by unit.
  func encode(_ count: Int, into output: EncodedGroup, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
    unsafe fill(UnsafeMutableRawBufferPointer(rebasing: input[0..<count]))
    let (start, effort, before) = (pace.now, pace.effort, output.count)
    if pace.isAdaptive { encoder.set(effort) }
    defer { pace.compressed(count, to: output.count - before, with: effort, since: start) }
    var offset = 0
    while offset < count {
      let end = min(count, offset + encoder.unitSize)
      unsafe encoder.encode(UnsafeRawBufferPointer(rebasing: input[offset..<end]), into: output)
      offset = end
    }
  }
}

/// One finished group, waiting for its turn.
final class Slot {
  let encoded = EncodedGroup()
  var unreadable: [PhysicalRange] = []
  /// Where in the file the poison stands, ascending, what touches joined.
  private(set) var poisoned: [Range<UInt64>] = []
  var firstReadError: DumpError?
  var zeros = ZeroCount(.fourKiB)
  /// Memory that shares a place of the file and was read again, and what of it is not what stands there.
  var comparedBytes: UInt64 = 0
  var changed: [PhysicalRange] = []

  func begin(_ pageSize: PageSize) {
    unreadable.removeAll(keepingCapacity: true)
    changed.removeAll(keepingCapacity: true)
    poisoned.removeAll(keepingCapacity: true)
    firstReadError = nil
    zeros = ZeroCount(pageSize)
    comparedBytes = 0
    encoded.begin()
  }

  func poison(_ place: UInt64, count: UInt64) {
    if let last = poisoned.last, last.upperBound == place {
      poisoned[poisoned.count - 1] = last.lowerBound..<place + count
    } else {
      poisoned.append(place..<place + count)
    }
  }

  func isPoisoned(_ place: UInt64) -> Bool {
    let index = poisoned.partitionPoint { $0.upperBound <= place }
    return index < poisoned.count && poisoned[index].contains(place)
  }
}

/// Fills stretches of the uncompressed file as the plan says.
struct GroupFiller: Sendable {
  private let plan: DumpPlan
  private let source: any DumpSource
  private let sharedCheck: SharedCheck?
  var looksAgain: Bool { sharedCheck != nil }

  init(_ plan: DumpPlan, _ source: any DumpSource) {
    self.plan = plan
    self.source = source
    sharedCheck = SharedCheck(plan, source)
  }

  /// Fills all of `buffer`, which stands at `start` of the file. `worker` is the one that does it.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, from start: UInt64, _ slot: Slot, _ worker: Worker) {
    let end = start + UInt64(buffer.count)
    var cursor = start
    func zeros(to position: UInt64) {
      guard position > cursor else { return }
      unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[Int(cursor - start)..<Int(position - start)])
        .initializeMemory(as: UInt8.self, repeating: 0)
      cursor = position
    }

    if cursor < UInt64(plan.header.count) {
      let stop = min(end, UInt64(plan.header.count))
      unsafe buffer.copyBytes(from: plan.header[Int(cursor)..<Int(stop)])
      cursor = stop
    }
    for note in plan.largeNotes where note.fileOffset < end && note.fileEnd > cursor {
      let stop = min(end, note.fileEnd)
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[Int(cursor - start)..<Int(stop - start)])
      // What can't be read of it is zeros: the note itself stays.
      do throws(DumpError) { unsafe try note.fill(part, at: cursor, source) } catch {
        if slot.firstReadError == nil { slot.firstReadError = error }
      }
      cursor = stop
    }
    var index = plan.pieces.partitionPoint { $0.fileEnd <= cursor }
    while index < plan.pieces.count, plan.pieces[index].fileOffset < end {
      let piece = plan.pieces[index]
      zeros(to: piece.fileOffset)
      let stop = min(end, piece.fileEnd)
      let memory = piece.memory.start + (cursor - piece.fileOffset)
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[Int(cursor - start)..<Int(stop - start)])
      unsafe read(part, at: memory, slot, fileOffset: cursor)
      unsafe slot.zeros.add(UnsafeRawBufferPointer(part), at: memory, isLast: stop == piece.fileEnd)
      cursor = stop
      index += 1
    }
    zeros(to: end)
    unsafe sharedCheck?.compare(UnsafeRawBufferPointer(buffer), at: start, worker.again, slot)
  }

  /// Reads in one go; where that fails, page by page, and what can't be read is poisoned.
  private func read(_ buffer: UnsafeMutableRawBufferPointer, at address: UInt64, _ slot: Slot, fileOffset: UInt64) {
    do throws(DumpError) {
      unsafe try source.read(at: PhysicalAddress(address), into: buffer)
      return
    } catch {
      if slot.firstReadError == nil { slot.firstReadError = error }
    }
    var offset = 0
    while offset < buffer.count {
      let here = address + UInt64(offset)
      let count = min(buffer.count - offset, Int(plan.pageSize.bytes - here % plan.pageSize.bytes))
      let page = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + count])
      if unsafe (try? source.read(at: PhysicalAddress(here), into: page)) == nil {
        for index in 0..<count { unsafe page[index] = Pipeline.poison[index % Pipeline.poison.count] }
        if let range = PhysicalRange(start: here, count: UInt64(count)) { slot.unreadable.append(range) }
        slot.poison(fileOffset + UInt64(offset), count: UInt64(count))
      }
      offset += count
    }
  }
}
