import CrashedKernel
import DumpBasics
import DumpSource
import Glibc
import PageClasses
import Synchronization
import Workers

/// A dump that remembers where the page map was read from: all large reads.
final class MapReads: DumpSource {
  private let base: any DumpSource
  private let large = Mutex<[PhysicalRange]>([])
  var name: String { base.name }
  var identity: MachineIdentity { base.identity }
  var segments: [MemorySegment] { base.segments }
  var notes: [DumpNote] { base.notes }
  var shortfall: Shortfall? { base.shortfall }
  /// No structure but the map is read in pieces of this size.
  private static let least = 128 << 10

  init(_ base: any DumpSource) { self.base = base }
  var ranges: [PhysicalRange] { large.withLock { $0 } }
  func coverage() -> [Coverage] { base.coverage() }
  func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    if buffer.count >= MapReads.least, let range = PhysicalRange(start: address.rawValue, count: UInt64(buffer.count)) {
      large.withLock { $0.append(range) }
    }
    try base.read(at: address, into: buffer)
  }
}

/// What a thread of the bare scan has.
final class ScanBuffer {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
  var sum: UInt64 = 0
  deinit { memory.deallocate() }
}

/// Classification with all checks, beside a bare scan: the same reads of the same map, four words of each 64
/// bytes. Nanoseconds for each page of the map: medians of `rounds`, one after the other in turn.
func classify(_ path: String, threads: Int, rounds: Int) throws -> String {
  let source = try openDump(path)
  let recorder = MapReads(source)
  let work = OrderedWork(threads: threads)
  _ = PageClassification(CrashedKernel(recorder), work: OrderedWork(threads: 1))
  let reads = recorder.ranges
  let pages = reads.reduce(UInt64(0)) { $0 + $1.count } / 64
  var (checked, trusted, bare): ([Double], [Double], [Double]) = ([], [], [])
  for _ in 0..<rounds {
    checked.append(time { _ = PageClassification(CrashedKernel(source), work: work) })
    trusted.append(time { _ = PageClassification(CrashedKernel(source), trust: .metadata, work: work) })
    bare.append(
      try time {
        try work.run(
          count: reads.count, makeWorker: { ScanBuffer() }, makeSlot: { ScanBuffer() },
          work: { unit, worker, _ throws(DumpError) in
            let part = UnsafeMutableRawBufferPointer(rebasing: worker.memory[0..<Int(reads[unit].count)])
            try source.read(at: PhysicalAddress(reads[unit].start), into: part)
            var sum: UInt64 = 0
            for offset in stride(from: 0, to: part.count, by: 64) {
              // flags, compound_head, mapping, _mapcount.
              sum &+= part.load(fromByteOffset: offset, as: UInt64.self) ^ part.load(fromByteOffset: offset + 8, as: UInt64.self)
              sum &+=
                part.load(fromByteOffset: offset + 24, as: UInt64.self) ^ part.load(fromByteOffset: offset + 48, as: UInt64.self)
            }
            worker.sum &+= sum
          }, consume: { _, _ throws(DumpError) in })
      })
  }
  func nanoseconds(_ all: [Double]) -> Double { all.sorted()[all.count / 2] * 1e9 / Double(pages) }
  return "pages=\(pages) checked=\(nanoseconds(checked)) trusted=\(nanoseconds(trusted)) bare=\(nanoseconds(bare)) "
    + "seconds=\(checked.sorted()[rounds / 2])"
}

private func time(_ body: () throws -> Void) rethrows -> Double {
  let start = seconds(CLOCK_MONOTONIC)
  try body()
  return seconds(CLOCK_MONOTONIC) - start
}
