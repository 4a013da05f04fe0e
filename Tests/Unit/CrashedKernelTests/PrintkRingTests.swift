import CrashedKernel
import DumpBasics
import Testing

@Suite struct PrintkRingTests {
  @Test func recordsArePrintedAsMakedumpfileDoes() throws {
    var ring = SyntheticRing()
    ring.add("Linux version 6.1.0-test", at: 0)
    ring.add("two\nlines", at: 1_234_567_890)
    ring.add([0x61, 0x09, 0x0d, 0x00, 0x1b, 0x7f, 0xe2, 0x80, 0x7e], at: 123_456_000_001_999)
    ring.add("", at: 5_000_000_000)
    ring.add("very late", at: .max)
    let log = try ring.log()
    #expect(
      log.lines == [
        "[    0.000000] Linux version 6.1.0-test",
        "[    1.234567] two",
        "               lines",
        "[123456.000001] a\t\\x0d\\x00\\x1b\\x7f\\xe2\\x80~",
        "[    5.000000] ",
        "[18446744073.709551] very late",
      ])
    #expect(log.text.hasSuffix("very late\n"))
    #expect(log.form == .ring)
    #expect(log.records == 5 && log.unfinished == 0 && log.damaged == 0 && log.findings.isEmpty)
  }

  /// What is never seen and makes the text around it look like another; other letters pass.
  @Test func whatTurnsTheDirectionOfTextIsMadeVisible() throws {
    var ring = SyntheticRing()
    ring.add("a\u{202e}b\u{2066}\u{feff}\u{61c}\u{e4}\u{202f}\u{1f600}\u{5d0}", at: 0)
    #expect(
      try ring.log().lines
        == [
          "[    0.000000] a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6\\xef\\xbb\\xbf\\xd8\\x9c\u{e4}\u{202f}\u{1f600}\u{5d0}"
        ])
  }

  @Test func bothGoodStatesArePrintedAndTheOthersAreNot() throws {
    var ring = SyntheticRing()
    ring.add("committed", at: 0, state: 1)
    ring.add("reserved", at: 0, state: 0)
    ring.add("reusable", at: 0, state: 3)
    ring.add("finalized", at: 0, state: 2)
    let log = try ring.log()
    #expect(log.lines == ["[    0.000000] committed", "[    0.000000] finalized"])
    #expect(log.unfinished == 1 && log.damaged == 0)
  }

  @Test func idsThatAWriterHasJustTakenAreNoDamage() throws {
    // Its place has never been used, or still is as the round before left it.
    var ring = SyntheticRing(countBits: 3)
    ring.add("first", at: 0)
    ring.head += 1
    ring.writeStructure()
    #expect(try ring.log().damaged == 0)
    for number in 0..<10 { ring.add("record \(number)", at: 0) }
    ring.machine.write(ring.descriptor(ring.tail), u64: ring.tail | 3 << 62)
    ring.head += 1
    ring.tail += 1
    ring.writeStructure()
    let log = try ring.log()
    #expect(log.damaged == 0 && log.records == 7)
    // Committed under the id of the round before it can't be.
    ring.machine.write(ring.descriptor(ring.head), u64: (ring.head &- 8) & SyntheticRing.idMask | 2 << 62)
    #expect(try ring.log().damaged == 1)
  }

  @Test(arguments: [SyntheticRing.Wrap.upTo617, .since618])
  func aRingThatWentRoundManyTimesKeepsTheNewestInOrder(wrap: SyntheticRing.Wrap) throws {
    // Texts of 56 bytes make blocks of 64: since 6.18 every 16th ends exactly at the ring's end and stays
    // there.
    var ring = SyntheticRing(countBits: 5, sizeBits: 10)
    func text(_ number: UInt64) -> String { "record \(number) " + String(repeating: "x", count: 40) }
    for number in 0..<200 as Range<UInt64> {
      ring.add(String((text(number) + "yyyyyyyyyyyyyy").prefix(56)), at: number * 1_000_000_000, wrap: wrap)
    }
    let log = try ring.log()
    #expect(log.damaged == 0)
    #expect(log.records >= 15 && log.records <= 16)
    let numbers = log.lines.map { $0.split(separator: " ")[3] }
    #expect(numbers.last == "199")
    #expect(numbers.compactMap { Int($0) } == Array((200 - Int(log.records))..<200))
  }

  @Test func recordsWithoutDataAreSkippedAsMakedumpfileDoes() throws {
    var ring = SyntheticRing()
    ring.add("a", at: 0)
    let empty = ring.add("b", at: 0)
    ring.put(empty, state: 2, begin: 3, next: 3, nanoseconds: 0, length: 0)
    let failed = ring.add("c", at: 0)
    ring.put(failed, state: 2, begin: 1, next: 1, nanoseconds: 0, length: 5)
    ring.add("d", at: 0)
    let log = try ring.log()
    #expect(log.lines == ["[    0.000000] a", "[    0.000000] d"])
    #expect(log.damaged == 0)
  }

  @Test func aTextLongerThanItsBlockIsClipped() throws {
    var ring = SyntheticRing()
    let id = ring.add("12345678", at: 0)
    ring.add("next", at: 0)
    ring.machine.write(ring.info(id) + 16, u16: 60000)
    #expect(try ring.log().lines == ["[    0.000000] 12345678", "[    0.000000] next"])
  }

  @Test func damagedRecordsAreCountedAndTheOthersPrinted() throws {
    var ring = SyntheticRing()
    let ids = (0..<6).map { ring.add("record \($0)", at: 0) }
    // Another id in the descriptor, positions that lead elsewhere, positions of any value, another id in the
    // text.
    ring.machine.write(ring.descriptor(ids[1]), u64: 77 | 2 << 62)
    ring.machine.write(ring.descriptor(ids[2]) + 8, u64: 8)
    ring.machine.write(ring.descriptor(ids[3]) + 8, u64: .max - 3)
    ring.machine.write(ring.descriptor(ids[3]) + 16, u64: .max)
    ring.machine.write(ring.text + ring.machine.u64(ring.descriptor(ids[4]) + 8), u64: 1)
    let log = try ring.log()
    #expect(log.lines == ["[    0.000000] record 0", "[    0.000000] record 5"])
    #expect(log.records == 2 && log.damaged == 4)
    #expect(log.findings.count == 1)
  }

  @Test(arguments: [0, 12345, UInt64.max])
  func headAndTailThatDoNotFitLeadToALookAtAllDescriptors(lie: UInt64) throws {
    var ring = SyntheticRing(countBits: 3)
    // Ids go from just below 2^62 to 0 and on: order counts, not size.
    for number in 0..<13 { ring.add("record \(number)", at: 0) }
    ring.machine.write(SyntheticRing.structure + 32, u64: lie)
    ring.machine.write(SyntheticRing.structure + 24, u64: lie &+ 1 << 40)
    let log = try ring.log()
    #expect(log.lines.map { $0.suffix(2) } == [" 5", " 6", " 7", " 8", " 9", "10", "11", "12"])
    #expect(log.findings.count == 1)
  }

  @Test func aMissingPageCostsOnlyItsOwnRecords() throws {
    var ring = SyntheticRing(countBits: 8, sizeBits: 14)
    for number in 0..<200 { ring.add("record \(number) " + String(repeating: "x", count: 30), at: 0) }
    ring.machine.pages[(ring.text >> 12) + 1] = nil
    let log = try ring.log()
    #expect(log.damaged > 50 && log.damaged < 100)
    #expect(log.records + log.damaged == 200)
    #expect(log.lines.last?.contains("record 199") == true)
  }

  @Test func absurdSizesAndMissingKeysAreErrorsThatNameThem() throws {
    var ring = SyntheticRing()
    ring.add("a", at: 0)
    for (offset, bits) in [(0, 0), (0, 25), (0, UInt32.max), (40, 0), (40, 32), (40, UInt32.max)] as [(UInt64, UInt32)] {
      var damaged = ring
      damaged.machine.write(SyntheticRing.structure + offset, u32: bits)
      #expect(throws: DumpError.self) { try damaged.log() }
    }
    for key in ring.machine.info.map({ String($0.prefix { $0 != "=" }) }) where key.contains("prb") || key.contains("printk") {
      var damaged = ring
      damaged.machine.info.removeAll { $0.hasPrefix(key + "=") }
      let error = #expect(throws: DumpError.self) { try damaged.log() }
      #expect(error?.description.contains(key) == true || key == "SYMBOL(prb)")
    }
  }

  @Test func aHugeRingThatIsNotThereEndsSoon() throws {
    var ring = SyntheticRing()
    ring.add("a", at: 0)
    ring.machine.write(SyntheticRing.structure, u32: 24)
    ring.machine.write(SyntheticRing.structure + 8, u64: 0xffff_9000_0000_0000)
    ring.machine.write(SyntheticRing.structure + 24, u64: 1 << 24 - 1)
    ring.machine.write(SyntheticRing.structure + 32, u64: 0)
    let log = try ring.log()
    #expect(log.records == 0 && log.damaged == 8192)
    ring.machine.write(SyntheticRing.structure + 24, u64: 1 << 30)
    #expect(try ring.log().records == 0)
    ring.machine.write(SyntheticRing.structure + 8, u64: .max - 100)
    #expect(throws: DumpError.self) { try ring.log() }
  }

  @Test func touchedPagesAreAllThatTheLogNeeds() throws {
    var ring = SyntheticRing(countBits: 8, sizeBits: 14)
    for number in 0..<100 { ring.add("record \(number)", at: 0) }
    ring.machine.write(0x70_0000, [1])
    let kernel = CrashedKernel(ring.machine.source)
    let whole = try kernel.log()
    let touched = Set(kernel.memory!.touchedPages.map(\.rawValue))
    #expect(touched.count < ring.machine.pages.count)
    ring.machine.pages = ring.machine.pages.filter { touched.contains($0.key) }
    #expect(try ring.log().bytes == whole.bytes)
    // And nothing more than that: each of them is needed.
    for page in touched {
      var less = ring
      less.machine.pages[page] = nil
      #expect((try? less.log().bytes) != whole.bytes, "page \(page)")
    }
  }

  @Test(arguments: [ByteOrder.little, .big])
  func arm64With64KiBPagesInBothByteOrdersAndUnsignedChars(order: ByteOrder) throws {
    var ring = SyntheticRing(SyntheticMachine(arm64: order))
    ring.add([0x61, 0xe2], at: 1_000_000)
    #expect(try ring.log().lines == ["[    0.001000] a\\xe2"])
  }
}
