import Foundation
import ReaderFuzz
import Testing

/// What libFuzzer begins with, and what it has found: each is read once more, and with each of its bytes changed.
/// `scripts/fuzz.sh` looks for more.
@Suite(.serialized) struct ReaderFuzzTests {
  private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../Campaigns/ReaderFuzz/corpus")
  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: corpus.path)) ?? []).sorted()

  /// Whether this build has what it takes. What it lacks it refuses, and that is tried with the same bytes.
  private static func isReadHere(_ name: String) -> Bool {
    var lacking: [String] = []
    #if !Zstd
      lacking += ["zst"]
    #endif
    #if !Kdump
      lacking += ["kdump", "flattened", "split", "lkcd"]
    #endif
    #if !Streams
      lacking += ["gzip-", "zstd-unsized"]
    #endif
    return !lacking.contains { name.contains($0) }
  }

  @Test func thereIsAFileOfEveryFormat() {
    for name in ["elf", "elf.gz", "elf.zst", "gzip", "zstd", "kdump", "flattened", "split", "lkcd"] {
      #expect(ReaderFuzzTests.names.contains { $0.hasPrefix(name + "-") }, "\(name)")
    }
  }

  @Test(arguments: names) func everyFileOfTheCorpusIsReadOrRefused(name: String) throws {
    let bytes = Array(try Data(contentsOf: ReaderFuzzTests.corpus.appendingPathComponent(name)))
    let fuzz = ReaderFuzz()
    // A file that is a dump says so in its name; what was found by chance is called crash-...
    let isRead = fuzz.read(bytes)
    if !name.hasPrefix("crash-") { #expect(isRead == ReaderFuzzTests.isReadHere(name)) }
    for offset in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 150)) {
      var changed = bytes
      changed[offset] ^= 0xff
      fuzz.read(changed)
      fuzz.read(bytes[..<offset])
    }
  }
}
