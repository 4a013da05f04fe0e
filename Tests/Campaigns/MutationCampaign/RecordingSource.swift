import DumpBasics
import DumpSource
import Synchronization

/// A dump that remembers which of its bytes were read.
final class RecordingSource: DumpSource {
  private let base: any DumpSource
  private let reads = Mutex<[PhysicalRange]>([])

  var name: String { base.name }
  var identity: MachineIdentity { base.identity }
  var segments: [MemorySegment] { base.segments }
  var notes: [DumpNote] { base.notes }
  var shortfall: Shortfall? { base.shortfall }
  var findings: [DumpError] { base.findings }
  var metadata: MCoreMetadata? { base.metadata }

  init(_ base: any DumpSource) { self.base = base }

  /// What was read so far: sorted, disjoint.
  var read: [PhysicalRange] { reads.withLock { RangeSet.joined($0) } }

  func coverage() -> [Coverage] { base.coverage() }

  func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    if let range = PhysicalRange(start: address.rawValue, count: UInt64(buffer.count)) { reads.withLock { $0.append(range) } }
    try base.read(at: address, into: buffer)
  }
}
