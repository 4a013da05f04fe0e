import DumpBasics
import Synchronization
import Testing
import Workers

private final class Cell { var value = 0 }

@Test(arguments: [1, 2, 3, 8])
func resultsComeInOrderAndEachUnitOnce(threads: Int) throws {
  var seen: [Int] = []
  try OrderedWork(threads: threads).run(
    count: 1000, makeWorker: { Cell() }, makeSlot: { Cell() },
    work: { unit, _, slot throws(DumpError) in slot.value = unit * 3 },
    consume: { unit, slot throws(DumpError) in
      #expect(slot.value == unit * 3)
      seen.append(unit)
    })
  #expect(seen == Array(0..<1000))
}

@Test func noMoreSlotsAreMadeThanStated() throws {
  var slots = 0
  let work = OrderedWork(threads: 4)
  try work.run(
    count: 500, makeWorker: { Cell() },
    makeSlot: {
      slots += 1
      return Cell()
    },
    work: { _, _, _ throws(DumpError) in }, consume: { _, _ throws(DumpError) in })
  #expect(slots == work.slots)
}

@Test(arguments: [1, 4])
func theFirstErrorInUnitOrderEndsTheRun(threads: Int) {
  var consumed = 0
  #expect(throws: DumpError("unit 17")) {
    try OrderedWork(threads: threads).run(
      count: 100, makeWorker: { Cell() }, makeSlot: { Cell() },
      work: { unit, _, _ throws(DumpError) in if unit >= 17 { throw DumpError("unit \(unit)") } },
      consume: { _, _ throws(DumpError) in consumed += 1 })
  }
  #expect(consumed == 17)
}

@Test func anErrorOfTheConsumerStopsTheWorkers() {
  let started = Atomic<Int>(0)
  #expect(throws: DumpError("full")) {
    try OrderedWork(threads: 2).run(
      count: 1_000_000, makeWorker: { Cell() }, makeSlot: { Cell() },
      work: { _, _, _ throws(DumpError) in started.add(1, ordering: .relaxed) },
      consume: { unit, _ throws(DumpError) in if unit == 10 { throw DumpError("full") } })
  }
  #expect(started.load(ordering: .relaxed) < 100)
}

@Test(arguments: [1, 4])
func anInterruptionEndsTheRunBeforeTheNextResult(threads: Int) {
  let consumed = Atomic<Int>(0)
  let work = OrderedWork(threads: threads).interrupted { consumed.load(ordering: .relaxed) == 23 ? DumpError("late") : nil }
  #expect(throws: DumpError("late")) {
    try work.run(
      count: 1_000_000, makeWorker: { Cell() }, makeSlot: { Cell() }, work: { _, _, _ throws(DumpError) in },
      consume: { _, _ throws(DumpError) in consumed.add(1, ordering: .relaxed) })
  }
  #expect(consumed.load(ordering: .relaxed) == 23)
}
