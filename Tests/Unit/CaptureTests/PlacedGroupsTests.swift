import Capture
import CoreFormat
import DumpBasics
import DumpSource
import Foundation
import Synchronization
import TestSupport
import Testing

/// Sees what a file begins with while it is written.
private final class Onlooker: Reporter {
  private let path: String
  let heads = Mutex<[[UInt8]]>([])

  init(_ path: String) { self.path = path }

  func message(_ text: String) {}
  func warning(_ text: String) {}
  func progress(done: UInt64, total: UInt64) {
    guard let file = FileHandle(forReadingAtPath: path), let head = try? file.read(upToCount: 4) else { return }
    heads.withLock { $0.append(Array(head)) }
  }
}

/// Groups written to their places by the threads that made them.
@Suite struct PlacedGroupsTests {
  private let magic = Array("\u{7f}ELF".utf8)

  private func elf(_ out: String) throws -> SaveRequest {
    var request = SaveRequest(source: "", targets: [out], level: .all)
    request.format = try #require(.init(rawValue: "elf"))
    request.transfer.stallSeconds = 0
    return request
  }

  @Test func theFileIsTheOneThatIsWrittenInOrder() throws {
    let scratch = try Scratch()
    let (_, packed) = try saved(oddMachine(), scratch)
    let files = try [1, 2, 5].map { threads in
      let out = scratch.file("elf-\(threads)")
      _ = try convert(packed, to: out, format: try elf(out).format, threads: threads, QuietReporter())
      return try Data(contentsOf: URL(fileURLWithPath: out))
    }
    #expect(files[0].prefix(4) == Data(magic))
    #expect(files[1] == files[0])
    #expect(files[2] == files[0])
  }

  /// Who is killed in the middle leaves zeros where groups are missing: no reader may take that for a dump.
  @Test func itIsNoDumpBeforeAllOfItIsThere() throws {
    let scratch = try Scratch()
    let (_, packed) = try saved(oddMachine(), scratch)
    let out = scratch.file("elf")
    let onlooker = Onlooker(out + ".incomplete")
    _ = try convert(packed, to: out, format: try elf(out).format, threads: 3, onlooker)
    let heads = onlooker.heads.withLock(\.self)
    #expect(heads.count > 2)
    #expect(heads.allSatisfy { $0 == [0, 0, 0, 0] })
  }

  /// What ends by itself is cut behind a whole group, and is a dump.
  @Test func itIsADumpWhereItWasEnded() throws {
    let scratch = try Scratch()
    let (_, packed) = try saved(oddMachine(), scratch)
    let whole = scratch.file("whole")
    _ = try convert(packed, to: whole, format: try elf(whole).format, threads: 1, QuietReporter())
    let out = scratch.file("elf")
    var request = try elf(out)
    request.inAnyOrder = true
    request.threads = 3
    request.limits.bytes = 4 << 20
    let result = try save(request, from: try openDump(packed), QuietReporter())
    #expect(result.status == .cut)
    let cut = try Data(contentsOf: URL(fileURLWithPath: out + ".incomplete"))
    #expect(cut.count == 4 * 983_040)
    // The head tells by its size alone which file it is of: what follows is the same memory.
    #expect(cut.prefix(4) == Data(magic))
    #expect(try cut.suffix(from: 983_040) == Data(contentsOf: URL(fileURLWithPath: whole))[983_040..<cut.count])
    #expect(try openDump(out + ".incomplete").shortfall?.present == UInt64(cut.count))
  }
}
