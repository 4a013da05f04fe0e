import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import CoreEncoding

private func member(_ input: [UInt8]) throws -> (bytes: [UInt8], crc: UInt32) {
  let compressor = try BGZFCompressor()
  var output = [UInt8](repeating: 0, count: BGZF.maximumMember)
  let result = input.withUnsafeBytes { input in
    output.withUnsafeMutableBytes { compressor.member(input, into: $0) }
  }
  return (Array(output[0..<result.count]), result.crc)
}

private func inflate(_ member: [UInt8], _ count: Int) throws -> [UInt8] {
  let inflater = try BGZFInflater()
  var output = [UInt8](repeating: 0, count: count)
  var failure: DumpError?
  member.withUnsafeBytes { member in
    output.withUnsafeMutableBytes { output in
      do throws(DumpError) { try inflater.inflate(member, into: output, at: "t") } catch { failure = error }
    }
  }
  if let failure { throw failure }
  return output
}

@Test(arguments: [0, 1, 4096, BGZF.blockSize - 1, BGZF.blockSize])
func aBlockOfNoiseFitsAMemberAndComesBack(count: Int) throws {
  let input = noise(count, seed: 7)
  let (bytes, crc) = try member(input)
  #expect(bytes.count <= BGZF.maximumMember)
  #expect(BGZF.memberSize(bytes) == bytes.count)
  #expect(crc == CRC32.of(input))
  #expect(try inflate(bytes, count) == input)
}

@Test func theReadyMadeZeroBlockIsTheBlockThatCompressingGives() throws {
  let zeros = [UInt8](repeating: 0, count: BGZF.blockSize)
  var ready = [UInt8](repeating: 1, count: BGZF.maximumMember)
  let compressor = try BGZFCompressor()
  let result = ready.withUnsafeMutableBytes { compressor.zeroMember(into: $0) }
  let (bytes, crc) = try member(zeros)
  #expect(Array(ready[0..<result.count]) == bytes)
  #expect(result.crc == crc)
}

@Test func aFlippedBitAnywhereInAMemberIsFound() throws {
  let input = Array("kernel panic ".utf8) + noise(500, seed: 3) + [UInt8](repeating: 0, count: 500)
  let (bytes, _) = try member(input)
  for bit in 0..<bytes.count * 8 {
    var damaged = bytes
    damaged[bit / 8] ^= 1 << (bit % 8)
    // The time field and such change nothing; whatever is returned must be the input.
    if let output = try? inflate(damaged, input.count) { #expect(output == input, "bit \(bit)") }
  }
}

@Test func checksumsOfPiecesCombineToTheChecksumOfAll() {
  let bytes = noise(100_000, seed: 5)
  let (first, second) = (Array(bytes[0..<61_440]), Array(bytes[61_440...]))
  #expect(CRC32.combined(CRC32.of(first), CRC32.of(second), count: second.count) == CRC32.of(bytes))
  // RFC 1952's CRC of "123456789", as every implementation gives it.
  #expect(CRC32.of(Array("123456789".utf8)) == 0xcbf4_3926)
}

@Test func aStoredMemberHasTheSizeThatIsPromised() throws {
  let content = noise(64, seed: 9)
  let bytes = BGZF.storedMember(content)
  #expect(bytes.count == BGZF.storedMemberSize(64))
  #expect(bytes.count == 95)
  #expect(try inflate(bytes, 64) == content)
}

@Test func theEndOfFileMemberIsTheOneOfTheSpecification() throws {
  // SAM specification 4.1.2, "End-of-file marker".
  let hex = "1f8b08040000000000ff0600424302001b0003000000000000000000"
  #expect(BGZF.endOfFile.map { String(format: "%02x", $0) }.joined() == hex)
  #expect(try inflate(BGZF.endOfFile, 0) == [])
}
