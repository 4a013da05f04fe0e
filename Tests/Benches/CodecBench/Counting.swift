import CoreEncoding
import CoreFormat
import CrashedKernel
import DumpBasics
import DumpSource
import PageClasses
import TestSupport
import Workers

/// The hot paths on a fixed input, so many times each: what Tests/Kernels/real/test_instructions.py counts
/// the instructions of. A run of no rounds costs what a run costs before its first.
enum Counting {
  /// What is worked on: 256 MiB of a synthetic machine, the same bytes in every run and on every machine.
  static func writeInput(to path: String) throws {
    let configuration = SyntheticMachineConfiguration(.v6_12, memory: 256 << 20, seed: 11)
    try SyntheticMachine(configuration).writeCore(to: path)
  }

  /// Returns how many units a round has.
  static func run(_ what: String, rounds: Int, _ path: String) throws -> (units: Int, unit: String)? {
    let source = try openDump(path)
    switch what {
    case "zero-test":
      let pages = [UInt8](repeating: 0, count: 16 << 20)
      var found = 0
      for _ in 0..<rounds { found += pages.withUnsafeBytes { isZero($0) ? 1 : 0 } }
      precondition(found == rounds)
      return (pages.count / 4096, "page")
    case "classify":
      var pages: UInt64 = 0
      for _ in 0..<rounds {
        let classes = PageClassification(CrashedKernel(source), work: OrderedWork(threads: 1))
        precondition(classes.checks.allSatisfy { $0.failed == 0 || $0.check == .offlinePages })
        pages = classes.counts.total
      }
      return (Int(pages), "page")
    case "elf.gz":
      guard let source = source as? ELFSource else { return nil }
      let encoder = try OutputFormat.elfGzip.makeEncoder()
      let groups = try Counting.groups(source, 16)
      let encoded = EncodedGroup()
      for _ in 0..<rounds {
        for group in groups { group.withUnsafeBytes { encoder.encode(group: $0, into: encoded) } }
      }
      return (groups.reduce(0) { $0 + $1.count } / 1024, "KiB")
    default: return nil
    }
  }

  /// The first groups that are not all zeros.
  private static func groups(_ source: ELFSource, _ count: Int) throws -> [[UInt8]] {
    var groups: [[UInt8]] = []
    var offset: UInt64 = 0
    while groups.count < count, offset + UInt64(DumpTrailer.groupSize) <= source.contentSize {
      var group = [UInt8](repeating: 0, count: DumpTrailer.groupSize)
      try group.withUnsafeMutableBytes { try source.readContent(at: offset, into: $0) }
      if !group.withUnsafeBytes({ isZero($0) }) { groups.append(group) }
      offset += UInt64(group.count)
    }
    return groups
  }
}
