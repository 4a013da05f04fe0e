import CrashedKernel
import DumpBasics
import DumpSource
import Testing

@testable import KernelReport

/// Lists that are damaged, dumps that are cut: what is there, and what is said of the rest.
@Suite struct ListTests {
  private func content(_ kernel: TinyKernel) -> ReportContent { ReportContent(CrashedKernel(kernel)) { false } }

  /// Those of lists and of the dump as a whole: it lacks a log, slab caches and more.
  private func notes(_ content: ReportContent) -> [String] { content.notes.filter { !$0.hasPrefix("no ") } }
  private func link(_ task: Int) -> UInt64 { TinyKernel.tasks[task] + 32 }
  private func broken(_ place: UInt64, _ counts: String) -> String {
    "the list of tasks is broken at \(hex(TinyKernel.base + place)): \(counts)"
  }

  @Test func aSoundListHasNoNote() {
    #expect(notes(content(TinyKernel())) == [])
    #expect(content(TinyKernel()).taskCount == 4)
  }

  @Test(arguments: [0, 7, TinyKernel.base + 0x3fff8, 0x1000, .max] as [UInt64]) func oneBadLinkCostsNoEntry(_ bad: UInt64) {
    for task in 0..<4 {
      let forward = TinyKernel()
      forward.put(link(task), u64: bad)
      #expect(content(forward).taskCount == 4)
      #expect(
        notes(content(forward)) == [broken(link(task), "\(task) entries from its start, \(3 - task) from its end, which meet")])
      // The way back of the next one, or of the head.
      let backward = TinyKernel()
      backward.put(link(task) + 8, u64: bad)
      #expect(content(backward).taskCount == 4)
      #expect(notes(content(backward)).count == 1)
    }
  }

  @Test func whatLiesBetweenTwoBadLinksIsMissingAndTheNoteSaysSo() {
    let tiny = TinyKernel()
    tiny.put(link(1), u64: 0)
    tiny.put(link(3) + 8, u64: 0)
    #expect(content(tiny).taskCount == 3)
    #expect(notes(content(tiny)) == [broken(link(1), "1 entries from its start, 1 from its end")])
  }

  @Test func allListsHaveOneBoundOfSteps() throws {
    let view = try #require(KernelView(CrashedKernel(TinyKernel()), isOver: { false }))
    let head = TinyKernel.base + link(0)
    view.listSteps = 5
    #expect(view.list(head, inside: 32, limit: 100, of: "tasks").count == 3)
    #expect(view.notes == [] && !view.isPartial)
    #expect(view.list(head, inside: 32, limit: 100, of: "tasks").count == 2)
    #expect(view.notes == ["the kernel's lists are longer in all than this report looks at: some are cut"])
    #expect(view.isPartial)
  }

  @Test func aListThatIsLongerThanItsLimitIsInTheNotes() throws {
    let view = try #require(KernelView(CrashedKernel(TinyKernel()), isOver: { false }))
    #expect(view.list(TinyKernel.base + link(0), inside: 32, limit: 2, of: "tasks").count == 2)
    #expect(view.notes == ["the list of tasks is longer than the 2 entries that are looked at"])
  }

  /// What is left of a cut dump looks like a quiet machine: the report says first that it is not all.
  @Test func aCutDumpSaysSoAtTheTop() throws {
    let tiny = TinyKernel()
    tiny.shortfall = Shortfall(expected: 0x40000, present: 0x20000)
    let content = content(tiny)
    let line =
      "the dump is cut: 128.0 KiB of 256.0 KiB are there. What lay behind the cut is missing below, and counts are of what is left"
    #expect(content.lines.first == "INCOMPLETE: " + line)
    #expect(notes(content) == [line])
    #expect(content.page(PageLog(nil), nil, tool: "t").contains("<p class=\"wrong\">INCOMPLETE: the dump is cut"))
    #expect(content.signature == nil)
    #expect(try KernelQueries(CrashedKernel(tiny)).isPartial)
    let whole = try KernelQueries(CrashedKernel(TinyKernel()))
    #expect(try whole.tasks(json: false).utf8.count > 100)
    #expect(!whole.isPartial)
    let damaged = TinyKernel()
    damaged.put(link(2), u64: 0)
    let partial = try KernelQueries(CrashedKernel(damaged))
    #expect(try partial.tasks(json: false).utf8.count > 100)
    #expect(partial.isPartial)
  }

  @Test func whatTheKernelsNamesLackIsMissingAndTheNotesSaySo() {
    #expect(content(TinyKernel()).notes.contains("no slab caches: the kernel's names have no slab_caches"))
    #expect(content(TinyKernel()).notes.contains("no file systems: the kernel's names have no super_blocks"))
    let tiny = TinyKernel()
    tiny.put(0x4228, u64: .max)
    let line = "no command line: what \(hex(TinyKernel.base + 0x4228)) leads to is not in the dump"
    #expect(content(tiny).notes.contains(line))
    #expect(!content(TinyKernel()).notes.contains(line))
  }
}
