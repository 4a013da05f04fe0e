// The bare codec, for `make bench`: encodes the groups of an uncompressed dump from memory and throws the
// result away.
//
// usage: mcore-bench FORMAT THREADS PLAIN-ELF
//        mcore-bench digest BYTES                SHA-256 over so many bytes
//        mcore-bench classify THREADS DUMP       page classes with all checks, beside a bare scan of the page map
//        mcore-bench scale GIB                   memory to classify a simulated machine; status 1 when it is too much
//        mcore-bench input PATH                  writes the fixed input of `count`
//        mcore-bench count WHAT ROUNDS PATH      zero-test, classify or elf.gz, to count the instructions of
//
// Groups that are all zeros are left out, as they cost no codec anything. Reading is not timed.
import CoreEncoding
import CoreFormat
import DumpBasics
import DumpSource
import Glibc
import Workers

/// A batch of groups in memory: bounded, however large the dump is.
final class Batch: @unchecked Sendable {
  // SAFETY: filled by one thread, then only read.
  var groups: [[UInt8]] = []
}

final class Encoder {
  let encoder: any GroupEncoder
  init(_ encoder: any GroupEncoder) { self.encoder = encoder }
}

func seconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func run() throws {
  let words = CommandLine.arguments
  if words.count == 4, words[1] == "classify", let threads = Int(words[2]) {
    return print(try classify(words[3], threads: threads, rounds: 9))
  }
  if words.count == 3, words[1] == "digest", let count = Int(words[2]) { return print(try digest(count)) }
  if words.count == 3, words[1] == "scale", let size = UInt64(words[2]) { return try Scale.measure(gibibytes: size) }
  if words.count == 3, words[1] == "input" { return try Counting.writeInput(to: words[2]) }
  if words.count == 5, words[1] == "count", let rounds = Int(words[3]),
    let done = try Counting.run(words[2], rounds: rounds, words[4])
  {
    return print("units=\(done.units) unit=\(done.unit)")
  }
  guard words.count == 4, let format = OutputFormat(rawValue: words[1]), let threads = Int(words[2]),
    let source = try openDump(words[3]) as? ELFSource
  else { throw DumpError(.usage, "usage: mcore-bench FORMAT THREADS PLAIN-ELF") }
  var (content, encoded, wall, cpu) = (0, 0, 0.0, 0.0)
  let work = OrderedWork(threads: threads)
  let batch = Batch()
  var encoders = try (0..<threads).map { _ in Encoder(try format.makeEncoder()) }
  let all = encoders

  func encodeBatch() throws {
    encoders = all
    let (wallStart, cpuStart) = (seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID))
    try work.run(
      count: batch.groups.count, makeWorker: { encoders.removeLast() }, makeSlot: { EncodedGroup() },
      work: { unit, worker, slot throws(DumpError) in
        batch.groups[unit].withUnsafeBytes { worker.encoder.encode(group: $0, into: slot) }
      },
      consume: { _, slot throws(DumpError) in encoded += slot.count })
    wall += seconds(CLOCK_MONOTONIC) - wallStart
    cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - cpuStart
    batch.groups.removeAll(keepingCapacity: true)
  }

  var offset: UInt64 = 0
  while offset < source.contentSize {
    let count = Int(min(UInt64(DumpTrailer.groupSize), source.contentSize - offset))
    var group = [UInt8](repeating: 0, count: count)
    try group.withUnsafeMutableBytes { try source.readContent(at: offset, into: $0) }
    if !group.withUnsafeBytes({ isZero($0) }) {
      content += count
      batch.groups.append(group)
    }
    if batch.groups.count == 512 { try encodeBatch() }
    offset += UInt64(count)
  }
  try encodeBatch()
  print("bytes=\(content) encoded=\(encoded) wall=\(wall) cpu=\(cpu)")
}

/// What the pipeline spends on SHA-256 for a file of `count` bytes.
func digest(_ count: Int) throws -> String {
  guard var digest = Digest() else { throw DumpError(.usage, "this build has no SHA-256") }
  let piece = [UInt8](repeating: 0x5a, count: 1 << 20)
  let start = seconds(CLOCK_PROCESS_CPUTIME_ID)
  var left = count
  while left > 0 {
    let step = min(left, piece.count)
    piece.withUnsafeBytes { digest.update(UnsafeRawBufferPointer(rebasing: $0[..<step])) }
    left -= step
  }
  _ = digest.finish()
  return "cpu=\(seconds(CLOCK_PROCESS_CPUTIME_ID) - start)"
}

do { try run() } catch {
  print("mcore-bench: error: \(error)")
  exit(1)
}
