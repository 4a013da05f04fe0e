import CoreEncoding
import DumpBasics
import Foundation
import TestSupport

@testable import SoftBoot

/// A range that can't be empty.
func span(_ start: UInt64, _ count: UInt64) -> PhysicalRange {
  guard let range = PhysicalRange(start: start, count: count) else { preconditionFailure("an empty range") }
  return range
}

/// Memory that is a buffer: every write is noted, any can be made the last one, any address can be missing.
final class BufferMemory: RegionMemory {
  static let base: UInt64 = 0x1000_0000
  let name = "buffer"
  var bytes: [UInt8]
  /// What nobody can read or write.
  var missing: PhysicalRange?
  /// Writes that still succeed; the next one is torn in the middle and throws.
  var writesLeft = Int.max
  private(set) var writes = 0
  /// In bytes.
  private(set) var written: [PhysicalRange] = []

  init(units: Int, fill: UInt64 = 7) { bytes = noise(units << 21, seed: fill) }

  var window: PhysicalRange { span(BufferMemory.base, UInt64(bytes.count)) }

  /// Units `range` of it.
  func extent(_ range: Range<UInt64>) -> PhysicalRange {
    span(BufferMemory.base + range.lowerBound << 21, UInt64(range.count) << 21)
  }

  private func place(_ address: UInt64, _ count: Int) throws(DumpError) -> Range<Int> {
    guard address >= window.start, address + UInt64(count) <= window.end,
      missing.map({ $0.end <= address || $0.start >= address + UInt64(count) }) ?? true
    else { throw DumpError(.system(5), "no memory here", at: hex(address)) }
    let start = Int(address - window.start)
    return start..<start + count
  }

  func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    let range = try place(address, buffer.count)
    bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[range])) }
  }

  func write(_ source: UnsafeRawBufferPointer, at address: UInt64) throws(DumpError) {
    let range = try place(address, source.count)
    writes += 1
    if writesLeft == 0 {
      // What changes from one head to the next stands in the first 112 bytes: torn behind them, it would be
      // whole.
      put(UnsafeRawBufferPointer(rebasing: source[..<min(source.count / 2, 100)]), range.lowerBound)
      throw DumpError(.system(5), "the machine stopped")
    }
    writesLeft -= 1
    put(source, range.lowerBound)
    written.append(span(address, UInt64(source.count)))
  }

  private func put(_ source: UnsafeRawBufferPointer, _ start: Int) {
    bytes.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[start...]).copyMemory(from: source) }
  }

  func flip(_ address: UInt64, _ bit: UInt8 = 0) { bytes[Int(address - BufferMemory.base)] ^= 1 << bit }
  func zero(_ address: UInt64, _ count: Int) {
    let start = Int(address - BufferMemory.base)
    bytes.replaceSubrange(start..<start + count, with: [UInt8](repeating: 0, count: count))
  }
}

/// A file as mcore writes it, as far as the region cares: BGZF blocks, the first with an ELF's start.
func blockFile(_ count: Int, seed: UInt64 = 3) throws -> [UInt8] {
  let compressor = try BGZFCompressor()
  var file: [UInt8] = []
  var block = 0
  while file.count < count {
    var input = noise(20_000, seed: seed &+ UInt64(block) &* 1000) + [UInt8](repeating: 0, count: 41_440)
    if block == 0 { input.replaceSubrange(0..<4, with: [0x7f, 0x45, 0x4c, 0x46]) }
    var output = [UInt8](repeating: 0, count: BGZF.maximumMember)
    let size = input.withUnsafeBytes { input in
      output.withUnsafeMutableBytes { compressor.member(input, into: $0).count }
    }
    file += output[..<size]
    block += 1
  }
  return file + BGZF.endOfFile
}

func testIdentity() -> RegionIdentity {
  var identity = RegionIdentity()
  identity.bootID = RegionID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0") ?? .none
  identity.nonce = RegionID(noise(16, seed: 99)) ?? .none
  identity.geometry = 0x1234_5678_9abc
  identity.crashTime = 1_763_866_267
  identity.release = "6.1.0-47-cloud-amd64"
  return identity
}

func testExpectation() -> RegionExpectation {
  var expectation = RegionExpectation()
  expectation.bootID = testIdentity().bootID
  expectation.nonce = testIdentity().nonce
  expectation.geometry = testIdentity().geometry
  return expectation
}

/// Writes `file` in pieces of `step` bytes.
@discardableResult
func writeRegion(
  _ file: [UInt8], _ memory: BufferMemory, _ ranges: [PhysicalRange], _ identity: RegionIdentity = testIdentity(),
  step: Int = 30_011, fitted: Bool = false
) throws -> RegionExtents {
  let writer = try RegionWriter(memory, RegionExtents(ranges), identity, fitted: fitted)
  do {
    for start in stride(from: 0, to: file.count, by: step) {
      try file[start..<min(file.count, start + step)].lent { (piece) throws(DumpError) in try writer.write(piece) }
    }
    return try writer.complete()
  } catch {
    writer.abandon()
    throw error
  }
}

/// What a region hands out, with zeros in place of what it does not; and how it ended.
func contents(_ region: Region) throws -> (bytes: [UInt8], outcome: Region.Outcome) {
  var bytes = [UInt8](repeating: 0, count: Int(region.length))
  var position = 0
  let outcome = try region.copy(
    write: { (piece) throws(DumpError) in
      bytes.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[position...]).copyMemory(from: piece) }
      position += piece.count
    },
    skip: { (count) throws(DumpError) in position += Int(count) })
  if position != bytes.count { throw DumpError("\(position) bytes of \(bytes.count) were handed out") }
  return (bytes, outcome)
}

/// Whether all that was handed out as good stands in `file` at the same place.
func isTrue(_ bytes: [UInt8], _ outcome: Region.Outcome, of file: [UInt8]) -> Bool {
  var position = 0
  let count = UInt64(bytes.count)
  for bad in outcome.damaged + [count..<count] {
    let end = Int(bad.lowerBound)
    if end > position {
      guard end <= file.count, areEqual(bytes, file, position..<end) else { return false }
    }
    position = Int(bad.upperBound)
  }
  return !outcome.isWhole || bytes.count == file.count
}

/// Bytes of two files at the same place; without generics, which are slow in a debug build.
func areEqual(_ a: [UInt8], _ b: [UInt8], _ range: Range<Int>) -> Bool {
  guard range.upperBound <= min(a.count, b.count) else { return false }
  return a.withUnsafeBytes { a in
    b.withUnsafeBytes { b in
      guard let a = a.baseAddress, let b = b.baseAddress else { return range.isEmpty }
      return memcmp(a + range.lowerBound, b + range.lowerBound, range.count) == 0
    }
  }
}
