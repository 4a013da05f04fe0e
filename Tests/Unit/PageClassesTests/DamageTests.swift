import PageClasses
import Testing

/// Each check, and damage that it has to catch.
@Suite struct DamageTests {
  /// Damages a machine, and expects that `check` says so, that `frames` are kept, and that all other pages
  /// stay right.
  private func expect(
    _ check: Check, keeps frames: Range<UInt64>, _ generation: TinyMachine.Generation = .v6_12,
    sourceLocation: SourceLocation = #_sourceLocation, _ damage: (TinyMachine) -> Void
  ) {
    let machine = TinyMachine(generation)
    damage(machine)
    let result = machine.classify()
    let pages = result.pages
    #expect(result[check].failed > 0, "\(result.findings)", sourceLocation: sourceLocation)
    #expect(!result.findings.isEmpty, sourceLocation: sourceLocation)
    let left = frames.filter { pages[Int($0)] != .kernel }
    #expect(left.isEmpty, "pfn \(left.prefix(5))", sourceLocation: sourceLocation)
    let wrong = pages.indices.filter { !frames.contains(UInt64($0)) && pages[$0] != machine.truth[$0] }
    #expect(wrong.isEmpty, "pfn \(wrong.prefix(5)), \(result.findings)", sourceLocation: sourceLocation)
  }

  private func one(_ frame: UInt64) -> Range<UInt64> { frame..<frame + 1 }

  @Test(arguments: ["SIZE(page)", "OFFSET(page.flags)", "NUMBER(PG_lru)", "LENGTH(mem_section)", "SIZE(zone)"])
  func layout(_ key: String) {
    for value in [nil, "nonsense", "7"] as [String?] {
      let machine = TinyMachine()
      machine.info[key] = value
      let result = machine.classify()
      if key == "NUMBER(PG_lru)", value == "7" { continue }
      #expect(result.counts[.kernel] == TinyMachine.pages, "\(key)=\(value ?? "nil")")
      #expect(result[.layout].failed == 1)
      #expect(result[.layout].keptPages == TinyMachine.pages)
    }
  }

  @Test func typesThatContradictOneAnother() {
    let machine = TinyMachine()
    machine.info["NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"] = "-234881024"  // that of page tables
    machine[machine.at(TinyMachine.kernelPage, 48)] = 1 << 32 | 0xf200_0000
    let result = machine.classify()
    #expect(result.pages[Int(TinyMachine.kernelPage)] == .kernel)
    #expect(result.findings.contains { $0.what.contains("PAGE_OFFLINE") })
  }

  @Test func sectionPointer() {
    expect(.sectionPointer, keeps: 8192..<12288) { $0[TinyMachine.sections + 2 * 16] += 0x40000 }
    // Lists that go through the section still confirm what lies elsewhere.
    expect(.sectionPointer, keeps: 40960..<45056) { $0[TinyMachine.sections + 10 * 16] ^= 0x100_0000 }
    expect(.sectionPointer, keeps: 8192..<12288) { $0[TinyMachine.sections + 2 * 16] = 0x1234 }
    let machine = TinyMachine()
    machine[TinyMachine.roots] = 0x4141_4141_4141_4141
    #expect(machine.classify().counts[.kernel] == TinyMachine.pages)
  }

  @Test func sectionMapThatIsNotMapped() {
    expect(.sectionMap, keeps: 32768..<65536) { $0[TinyMachine.mapTable + 8] = 0 }
  }

  @Test func sectionMapThatIsAnothersToo() {
    let machine = TinyMachine()
    machine[TinyMachine.mapTable + 8] = machine[TinyMachine.mapTable]
    let result = machine.classify()
    #expect(result[.sectionMap].failed > 0)
    #expect(result.counts[.kernel] == TinyMachine.pages)
  }

  @Test func pageZone() {
    let frame = TinyMachine.cachePages.lowerBound + 5
    // Zones that do not exist, and one that is elsewhere.
    expect(.pageZone, keeps: one(frame)) { $0[$0.at(frame)] |= 3 << 56 }
    expect(.pageZone, keeps: one(frame)) { $0[$0.at(frame)] |= 7 << 58 }
    expect(.pageZone, keeps: one(frame)) { $0[$0.at(frame)] |= 1 << 56 }
  }

  /// Memory is taken offline because a page of it is broken: its zone ends before it then, and the page is still
  /// one that must not be read.
  @Test func brokenPageOfMemoryThatIsOffline() {
    let frame = TinyMachine.poisonPage
    let entry = TinyMachine.sections + frame / TinyMachine.sectionPages * 16
    expect(.pageZone, keeps: one(frame)) { $0[$0.at(frame)] |= 3 << 56 }
    let machine = TinyMachine()
    machine[machine.at(frame)] |= 3 << 56
    machine[entry] &= ~4
    #expect(machine.classify().pages[Int(frame)] == .hwpoison)
  }

  @Test func pageState() {
    let frame = TinyMachine.userPages.lowerBound + 5
    expect(.pageState, keeps: one(frame)) { $0[$0.at(frame, 48)] &= 0xffff_ffff }
    expect(.pageState, keeps: one(frame)) { $0[$0.at(frame)] &= ~($0.lru | $0.swapBacked) }
  }

  @Test func offlinePageThatIsSomethingElse() {
    // A slab page whose type word was hit: it is on a list of its slab cache.
    let frame = TinyMachine.kernelPage
    expect(.pageState, keeps: one(frame)) {
      $0[$0.at(frame, 48)] = $0.offline | 1 << 32
      $0[$0.at(frame, 24)] = TinyMachine.direct + 0x7000
    }
  }

  @Test func offlinePages() {
    // One bit of the type word.
    let machine = TinyMachine(.v6_1)
    machine[machine.at(TinyMachine.kernelPage, 48)] &= ~(1 << 8)
    let result = machine.classify()
    #expect(result[.offlinePages].failed == 1)
    #expect(result[.offlinePages].keptPages == 1)
    #expect(result.pages == machine.truth)
  }

  @Test func mapping() {
    let frame = TinyMachine.userPages.lowerBound + 5
    for value in [UInt64(0x4141_4141_4141_4141), 1, 0xffff_8000_0000_0001, TinyMachine.anonymous + 4] {
      expect(.mapping, keeps: one(frame)) { $0[$0.at(frame, 24)] = value }
    }
  }

  @Test func aFlipOfOneFlagOfAKernelPage() {
    let frame = TinyMachine.kernelPage
    // On the LRU, it says: but it belongs to nothing.
    expect(.mapping, keeps: one(frame)) { $0[$0.at(frame)] |= $0.lru }
    // With what a driver may have put into `mapping`: it is linked to itself, as pages are that were never on
    // a list.
    expect(.lruLinks, keeps: one(frame)) {
      $0[$0.at(frame)] |= $0.lru
      $0[$0.at(frame, 24)] = TinyMachine.fileMapping
      $0[$0.at(frame, 8)] = TinyMachine.structAddress(frame) + 8
      $0[$0.at(frame, 16)] = TinyMachine.structAddress(frame) + 8
    }
  }

  @Test func lruLinks() {
    let frame = TinyMachine.cachePages.lowerBound + 5
    for offset in [UInt64(8), 16] {
      expect(.lruLinks, keeps: one(frame)) { $0[$0.at(frame, offset)] = TinyMachine.structAddress(100) + 24 }
      expect(.lruLinks, keeps: one(frame)) { $0[$0.at(frame, offset)] = 0x0123_4567_89ab_cdf0 }
    }
  }

  /// All that a page of the cache has to show, in the place of a kernel page's: only the list does not know
  /// it.
  @Test func structPageOfAnother() {
    let frame = TinyMachine.kernelPage
    for source in [TinyMachine.cachePages.lowerBound + 5, TinyMachine.userPages.lowerBound + 9] {
      expect(.lruLinks, keeps: one(frame)) { machine in
        for offset in stride(from: UInt64(0), to: 64, by: 8) {
          machine[machine.at(frame, offset)] = machine[machine.at(source, offset)]
        }
      }
    }
  }

  /// The same for a page that is alone on its list: the head is asked.
  @Test func structPageOfOneThatIsAloneOnItsList() {
    let (alone, copy) = (TinyMachine.cachePages.lowerBound - 1, TinyMachine.kernelPage)
    let head: UInt64 = 0x93000
    for (isCopied, pageClass) in [(false, PageClass.cache), (true, .kernel)] {
      let machine = TinyMachine()
      machine.makeListed(alone, TinyMachine.fileMapping)
      for offset in [UInt64(0), 8] {
        machine[machine.at(alone, 8 + offset)] = TinyMachine.direct + head
        machine[head + offset] = TinyMachine.structAddress(alone) + 8
      }
      if isCopied {
        for offset in stride(from: UInt64(0), to: 64, by: 8) {
          machine[machine.at(copy, offset)] = machine[machine.at(alone, offset)]
        }
      }
      let pages = machine.classify().pages
      #expect(pages[Int(alone)] == .cache)
      #expect(pages[Int(copy)] == .kernel)
      #expect(machine.classify()[.lruLinks].failed == (isCopied ? 1 : 0), "\(pageClass)")
    }
  }

  @Test func sectionThatLostItsEntry() {
    expect(.sectionPointer, keeps: 8192..<12288) { $0[TinyMachine.sections + 2 * 16] = 0 }
    // The last one: other sections' pages are linked to its pages.
    expect(.sectionPointer, keeps: 61440..<65536) { $0[TinyMachine.sections + 15 * 16] = 0 }
  }

  @Test func moreSectionsThanMemoryHasRoomFor() {
    let machine = TinyMachine()
    for root in UInt64(1)..<100 { machine[TinyMachine.roots + root * 8] = machine[TinyMachine.roots] }
    let result = machine.classify()
    #expect(result.findings.contains { $0.what.contains("memory could hold the maps") }, "\(result.findings.prefix(3))")
    #expect(result[.sectionPointer].failed == 1)
    #expect(result.pages == machine.truth)
  }

  @Test(arguments: TinyMachine.Generation.allCases)
  func compoundOrder(_ generation: TinyMachine.Generation) {
    let head = TinyMachine.transparentHuge
    for order in [UInt64(0), 40, 10] {
      // Order 10 is in range, but the page is not aligned to it.
      expect(.compoundOrder, keeps: head..<head + 512, generation) { machine in
        if generation == .v6_1 {
          machine[byte: machine.at(head + 1, 17)] = UInt8(order)
        } else {
          machine[machine.at(head + 1)] = machine[machine.at(head + 1)] & ~0xff | order
        }
      }
    }
  }

  @Test(arguments: TinyMachine.Generation.allCases)
  func tails(_ generation: TinyMachine.Generation) {
    let head = TinyMachine.transparentHuge
    expect(.tails, keeps: one(head + 7), generation) { $0[$0.at(head + 7, 8)] = TinyMachine.structAddress(64) | 1 }
    // An order that is too small leaves the rest without a head.
    expect(
      generation == .v7_2 ? .compoundOrder : .tails, keeps: generation == .v7_2 ? head..<head + 512 : head + 256..<head + 512,
      generation
    ) {
      if generation == .v6_1 { $0[byte: $0.at(head + 1, 17)] = 8 } else { $0[$0.at(head + 1)] -= 1 }
    }
  }

  @Test func headThatLostItsMark() {
    let head = TinyMachine.slabBlock
    expect(.tails, keeps: head..<head + 8) { $0[$0.at(head)] &= ~$0.head }
  }

  @Test func buddyOrder() {
    let block = TinyMachine.freeBlocks + 256
    expect(.buddyOrder, keeps: block..<block + 256) { $0[$0.at(block, 40)] = 40 }
    expect(.buddyOrder, keeps: block..<block + 256) { $0[$0.at(block, 40)] = 10 }
  }

  @Test func freeBlock() {
    let block = TinyMachine.freeBlocks + 256
    for damage in [(UInt64(48), UInt64(1) << 32 | 0xffff_ffff), (0, 1 << 5), (0, 1 << 6), (8, 0x41)] {
      expect(.freeBlock, keeps: block..<block + 256) { $0[$0.at(block + 3, damage.0)] |= damage.1 }
    }
  }

  @Test func freeListsDoNotKnowAMark() {
    let frame = TinyMachine.kernelPage
    expect(.freeLists, keeps: one(frame)) {
      $0[$0.at(frame, 48)] = $0.buddy
      $0[$0.at(frame, 40)] = 0
    }
  }

  /// Pages that were never on a list are linked to themselves: marked and counted one is a ring of its own.
  @Test func aMarkedPageThatIsLinkedToItself() {
    let frame = TinyMachine.kernelPage
    expect(.freeLists, keeps: one(frame)) {
      $0[$0.at(frame, 48)] = $0.buddy
      $0[$0.at(frame, 40)] = 0
      for offset in [UInt64(8), 16] { $0[$0.at(frame, offset)] = TinyMachine.structAddress(frame) + 8 }
      $0[TinyMachine.area(0, 0) + 64] += 1
    }
  }

  @Test func freeListsWithoutTheMark() {
    let frame = TinyMachine.singleFree + 20
    expect(.freeLists, keeps: one(frame)) { $0[$0.at(frame, 48)] = 0xffff_ffff }
  }

  @Test func freeListsThatAreBroken() {
    let frame = TinyMachine.singleFree + 20
    // A link to nowhere, to the block itself, into the list again, and to a page that is not free: one block
    // is lost.
    let targets = [
      0x4141_4141_4141_4140, TinyMachine.structAddress(frame) + 8,
      TinyMachine.structAddress(TinyMachine.singleFree) + 8, TinyMachine.structAddress(TinyMachine.kernelPage) + 8,
    ]
    for target in targets {
      let machine = TinyMachine()
      machine[machine.at(frame, 8)] = target
      let result = machine.classify()
      #expect(result[.freeLists].failed == 1)
      let pages = result.pages
      let wrong = pages.indices.filter { pages[$0] != machine.truth[$0] }
      #expect(wrong.count <= 1, "\(wrong)")
      #expect(wrong.allSatisfy { machine.truth[$0] == .free })
      #expect(result.unconfirmedFreePages == UInt64(wrong.count))
    }
  }

  @Test func freeListHeads() {
    // The head of a list leads nowhere from either side: its blocks are kept, those of other lists are not.
    let machine = TinyMachine()
    for offset in [UInt64(0), 8] { machine[TinyMachine.area(0, 8) + offset] = 0x4141_4141_4141_4140 }
    let result = machine.classify()
    let kept = result.pages.count { $0 == .kernel } - machine.truth.count { $0 == .kernel }
    #expect(kept == 3 * 256)
    #expect(result.unconfirmedFreePages == 3 * 256)
  }

  @Test func freeCount() {
    expect(.freeCount, keeps: 40001..<40200) { $0[TinyMachine.area(1, 0) + 64] += 1 }
  }

  @Test func zoneCounter() {
    let machine = TinyMachine()
    machine[TinyMachine.zoneAddress(1) + 960] += 127
    #expect(machine.classify().failedChecks.isEmpty)
    machine[TinyMachine.zoneAddress(1) + 960] += 1
    let result = machine.classify()
    #expect(result.failedChecks == ["zone-counter"])
    // Zone 1 has 100 single pages and a block of 1024.
    #expect(result[.zoneCounter].keptPages == 1124)
    #expect(result.counts[.free] == 8 * 256)
  }

  @Test func processors() {
    let machine = TinyMachine()
    #expect(machine.classify()[.processors].tried == 0)
    machine.info["SYMBOL(__num_online_cpus)"] = String(TinyMachine.image + 0x92000, radix: 16)
    machine[0x92000] = 1
    #expect(machine.classify()[.processors].tried == 1)
    machine[0x92000] = 3
    let result = machine.classify()
    #expect(result[.processors].tried == 3 && result[.processors].failed == 2)
    #expect(result.findings.contains { $0.what.contains("2 CPUs are missing") })
  }

  @Test func zoneSpan() {
    // A node that is not what it says: no free page has a second witness; other pages do without.
    let machine = TinyMachine()
    machine[TinyMachine.node + TinyMachine.nrZones + 32] = 9
    let result = machine.classify()
    #expect(result[.zoneSpan].failed == 1)
    #expect(result.counts[.free] == 0)
    #expect(result.unconfirmedFreePages == 8 * 256 + 1124)
    #expect(result.counts[.user] == UInt64(machine.truth.count { $0 == .user }))
    // A zone that spans too much is looked for in its node.
    let other = TinyMachine()
    other[TinyMachine.zoneAddress(1) + 32] = 1 << 41
    #expect(other.classify()[.zoneSpan].failed == 1)
    #expect(other.classify().pages == other.truth)
  }

  /// Six kinds of damage in each of twelve sections: more findings than are kept in full. Each costs its own
  /// page, and each is named.
  @Test func damageInManyPlaces() {
    let machine = TinyMachine()
    var damaged: [UInt64] = []
    // But for those inside the large compound page.
    for section in [0..<UInt64(4), 8..<16].joined() {
      // Pages of the kernel that touch one another nowhere.
      let frames = (0..<UInt64(6)).map { section * TinyMachine.sectionPages + 4000 + $0 * 4 }
      for frame in frames { #expect(machine.truth[Int(frame)] == .kernel) }
      machine[machine.at(frames[0])] |= machine.lru
      machine[machine.at(frames[1], 48)] = machine.offline | 1 << 32
      machine[machine.at(frames[1], 24)] = TinyMachine.direct + 0x7000
      machine[machine.at(frames[2], 8)] = TinyMachine.structAddress(64) | 1
      machine[machine.at(frames[3])] |= machine.head
      machine[machine.at(frames[4], 48)] = machine.buddy
      machine[machine.at(frames[4], 40)] = 40
      machine[machine.at(frames[5])] |= machine.lru | 7 << 58
      machine[machine.at(frames[5], 24)] = TinyMachine.fileMapping
      damaged += frames
    }
    let result = machine.classify()
    let isRight = result.pages == machine.truth
    #expect(isRight)
    #expect(result.checks.reduce(0) { $0 + $1.keptPages } == UInt64(damaged.count))
    // And one that is marked as broken hardware.
    #expect(result.findings.count == damaged.count + 1)
    let named = result.findingFrames.reduce(into: Set<UInt64>()) { $0.formUnion($1) }
    #expect(named.symmetricDifference(damaged + [TinyMachine.poisonPage]).isEmpty)
  }
}
