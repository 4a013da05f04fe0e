#if Kdump
  import Capture
  import CoreFormat
  import DumpBasics
  import DumpSource
  import Foundation
  import TestSupport
  import Testing

  /// What the commands say of a dump of LKCD, which has no VMCOREINFO.
  @Suite struct LKCDFactsTests {
    private static func dump(_ scratch: Scratch, _ change: (inout SyntheticLKCD) -> Void = { _ in }) throws -> String {
      var items: [SyntheticLKCD.Item] = []
      for number in 0..<40 as Range<UInt64> {
        let run = [UInt8](repeating: UInt8(number), count: 3000)
        items.append(.packed(number * 3 / 2 + 16, run + noise(1096, seed: number)))
      }
      items.append(.end(flags: 4))
      var lkcd = SyntheticLKCD(items)
      change(&lkcd)
      try lkcd.write(to: scratch.file("dump"))
      return scratch.file("dump")
    }

    @Test func infoSaysWhatTheHeaderSays() throws {
      let scratch = try Scratch()
      let path = try Self.dump(scratch)
      let text = try info(path, json: false)
      for line in [
        "kernel:  2.6.9-test, x86_64, 2 CPUs with registers", "crashed: 2005-03-05T05:20:00Z (UTC)",
        "reason:  Oops: 0002 [1] SMP\n",
        "dump:    lkcd-zlib, ", "pages:   40 kept, 0 left out", "log and page classes are unknown",
      ] { #expect(text.contains(line), "\(line) in \(text)") }
      #expect(!text.contains("kernel, log"))
      #expect(try info(path, json: true).contains("\"reason\": \"Oops: 0002 [1] SMP\""))
    }

    @Test func dmesgSaysWhyThereIsNone() throws {
      let scratch = try Scratch()
      let path = try Self.dump(scratch)
      let error = #expect(throws: DumpError.self) { try dmesg(path) }
      #expect(error?.description.contains("no log: the dump has no VMCOREINFO note") == true)
      #expect(error?.advice.contains("crash finds it") == true)
    }

    @Test func verifyReadsEveryPageAndNamesADamagedOne() throws {
      let scratch = try Scratch()
      let sound = try verify(Self.dump(scratch), threads: 2, QuietReporter())
      #expect(sound.lines.first == "read 40 pages, 160.0 KiB")
      // No VMCOREINFO is a finding.
      #expect(sound.verdict == .incomplete)
      let damaged = try Self.dump(scratch) { lkcd in lkcd.tamper = { $0[65536 + 16 + 600] ^= 0x10 } }
      let result = try verify(damaged, threads: 2, QuietReporter())
      #expect(result.verdict == .corrupt)
      #expect(result.lines.contains { $0.contains("damaged page") && $0.contains("pfn 0x10") })
    }

    @Test func whatIsMadeOfItHasItsMemoryAndItsRegisters() throws {
      let scratch = try Scratch()
      let path = try Self.dump(scratch)
      let source = try openDump(path)
      for (index, format) in [OutputFormat.elf, .elfGzip, .kdumpZlib].enumerated() {
        let out = scratch.file("out-\(index)")
        _ = try convert(path, to: out, format: format, threads: 2, QuietReporter())
        let made = try openDump(out)
        #expect(made.coverage().map(\.range) == source.coverage().map(\.range))
        for piece in source.coverage() {
          let count = Int(piece.range.count)
          let wanted = try source.bytes(at: PhysicalAddress(piece.range.start), count: count)
          #expect(try made.bytes(at: PhysicalAddress(piece.range.start), count: count) == wanted)
        }
        #expect(made.notes.filter(\.isProcessorStatus) == source.notes)
      }
    }

    @Test func aCutOneSaysWhatIsMissing() throws {
      let scratch = try Scratch()
      let path = try Self.dump(scratch) { lkcd in lkcd.tamper = { $0.removeLast(20_000) } }
      let text = try info(path, json: false)
      #expect(text.contains(" cut: it ends too early"))
      #expect(text.contains("the file is cut in the data of pfn 0x"))
      #expect(text.contains("pages are missing"))
    }
  }
#endif
