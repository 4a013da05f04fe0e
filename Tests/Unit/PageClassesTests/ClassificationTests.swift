import PageClasses
import Testing

@Suite struct ClassificationTests {
  @Test(arguments: TinyMachine.Generation.allCases)
  func everyPageOfAConsistentMachine(_ generation: TinyMachine.Generation) {
    let machine = TinyMachine(generation)
    let result = machine.classify()
    let found = result.pages
    #expect(found.count == machine.truth.count)
    let wrong = found.indices.filter { found[$0] != machine.truth[$0] }
    #expect(wrong.isEmpty, "pfn \(wrong.prefix(5)): \(wrong.prefix(5).map { found[$0] })")
    #expect(result.failedChecks.isEmpty)
    #expect(result.unconfirmedFreePages == 0)
    // The broken page is named, and nothing else.
    #expect(result.findings.count == 1, "\(result.findings)")
    for pageClass in PageClass.allCases {
      #expect(result.counts[pageClass] == UInt64(machine.truth.count { $0 == pageClass }))
    }
  }

  @Test func isTheSameWithAnyNumberOfThreads() {
    let machine = TinyMachine()
    machine[machine.at(TinyMachine.singleFree, 8)] ^= 0x40
    let one = machine.classify(threads: 1)
    let three = machine.classify(threads: 3)
    #expect(Array(one.runs) == Array(three.runs))
    #expect(one.checks == three.checks)
    #expect(one.findings == three.findings)
  }

  /// Pages of memfd_secret(2), as 6.12 leaves them: PG_lru, and on no list from the start. Seen in a real
  /// dump (Tests/Kernels/guest/variety.py); a page that was never in the allocator's lists either is none of
  /// them.
  @Test(arguments: [(0xdead_0000_0000_0000, .cache), (0xdead_0000_0000_0002, .cache), (0, .kernel)] as [(UInt64, PageClass)])
  func pagesThatAreNeverEvicted(_ previous: UInt64, _ expected: PageClass) {
    let machine = TinyMachine()
    let frame = TinyMachine.kernelPage
    machine.makeListed(frame, TinyMachine.fileMapping)
    machine[machine.at(frame, 8)] = 0
    machine[machine.at(frame, 16)] = previous
    let result = machine.classify()
    #expect(result.pages[Int(frame)] == expected)
    #expect(result[.lruLinks].failed == (expected == .kernel ? 1 : 0))
  }

  @Test func trustDecidesWhatIsBelieved() {
    let machine = TinyMachine()
    #expect(machine.classify(.metadata).pages == machine.truth)
    #expect(machine.classify(.nothing).counts[.kernel] == TinyMachine.pages)
    // A mark that no list confirms: believed only without cross-checks.
    let page = TinyMachine.kernelPage
    machine[machine.at(page, 48)] = machine.buddy
    machine[machine.at(page, 40)] = 0
    #expect(machine.classify(.metadata).pages[Int(page)] == .free)
    #expect(machine.classify(.checked).pages[Int(page)] == .kernel)
  }

  @Test func kernelsToComeAreReadByTheirKeys() {
    // Numbers that no kernel had: BUDDY 0xe0, OFFLINE 0xe1.
    let machine = TinyMachine()
    machine.info["NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"] = "\(Int32(bitPattern: 0xe000_0000))"
    machine.info["NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"] = "\(Int32(bitPattern: 0xe100_0000))"
    for frame in 0..<TinyMachine.pages {
      let word = machine[machine.at(frame, 48)]
      if word & 0xff00_0000 == 0xf000_0000 { machine[machine.at(frame, 48)] = word & ~0xff00_0000 | 0xe000_0000 }
      if word & 0xff00_0000 == 0xf100_0000 { machine[machine.at(frame, 48)] = word & ~0xff00_0000 | 0xe100_0000 }
    }
    #expect(machine.classify().pages == machine.truth)
  }

  /// Flags share a word with the address of a section's page map. The sixth, SECTION_IS_VMEMMAP_PREINIT, is
  /// there since 6.15 and set where the map of a 1 GiB page was freed at boot: seen in real dumps of 7.2 and
  /// 7.3.
  @Test func allFlagsOfASectionAreNotItsAddress() {
    let machine = TinyMachine()
    for section in 0..<UInt64(16) { machine[TinyMachine.sections + section * 16] |= 0x20 }
    let result = machine.classify()
    #expect(result.pages == machine.truth)
    #expect(result.failedChecks.isEmpty)
  }

  @Test func unacceptedMemoryNeedsTheZonesCounter() {
    let machine = TinyMachine()
    let block: UInt64 = 52224
    for frame in block..<block + 1024 {
      machine[machine.at(frame, 48)] = 0xffff_ffff
    }
    machine[machine.at(block, 48)] = 0xf700_0000
    #expect(machine.classify().pages[Int(block)] == .kernel)
    machine[TinyMachine.zoneAddress(1) + 960] += 1024
    let result = machine.classify()
    #expect(result.pages[Int(block)] == .free)
    #expect(result.pages[Int(block) + 1023] == .free)
    #expect(result.failedChecks.isEmpty)
  }

  @Test func isolatedBlocksAreNotCounted() {
    let machine = TinyMachine()
    // All blocks of 1024 pages go from the first list to the last one, which NR_FREE_PAGES leaves out.
    let area = TinyMachine.area(1, 10)
    let block = TinyMachine.structAddress(49152) + 8
    for (list, target) in [(UInt64(0), TinyMachine.direct + area), (3, block)] {
      machine[area + list * 16] = target
      machine[area + list * 16 + 8] = target
    }
    for link in [UInt64(8), 16] { machine[machine.at(49152, link)] = TinyMachine.direct + area + 48 }
    machine[TinyMachine.zoneAddress(1) + 960] -= 1024
    let result = machine.classify()
    #expect(result.failedChecks.isEmpty, "\(result.findings)")
    #expect(result.pages == machine.truth)
  }
}
