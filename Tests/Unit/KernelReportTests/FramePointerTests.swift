import CoreEncoding
import CrashedKernel
import DumpBasics
import DumpSource
import Testing

@testable import KernelReport

extension TinyKernel {
  /// The same kernel for arm64: calls are BL at a function's byte 0x10, so that 0x14 is a return address, and
  /// every function keeps a frame record.
  static func arm64() -> TinyKernel {
    let tiny = TinyKernel(.arm64)
    let calls: [(UInt64, UInt64)] = [
      (0x1000, 0x1200), (0x1400, 0x1000), (0x1600, 0x1400), (0x1800, 0x1600), (0x1c00, 0x1a00), (0x1e00, 0x1c00),
      (0x2000, 0x1e00),
    ]
    for (at, target) in calls {
      let distance = UInt32(truncatingIfNeeded: Int64(target) - Int64(at + 0x10)) >> 2
      tiny.put(at + 0x10, u32: 0x25 << 26 | distance & 0x3ff_ffff)
    }
    // victim: __crash_kexec ← panic ← crash_me ← sys_write ← entry ← user space, whose registers have a record
    // of zeros.
    tiny.addRecords(TinyKernel.stacks[1] + 0x10, [0x1014, 0x1414, 0x1614, 0x1814])
    tiny.put(TinyKernel.stacks[1] + 0x10 + 4 * 0x30 - 272 + 32 * 8, u64: 0xaaaa_0000_1000)
    // first, second: __schedule ← __mutex_lock ← worker ← ret_from_fork
    for index in 2...3 {
      let frame = TinyKernel.stacks[index] + 0x10
      tiny.addRecords(frame, [0x1c14, 0x1e14, 0x2014])
      tiny.put(TinyKernel.tasks[index] + 104, u64: tiny.place(frame))
      tiny.put(TinyKernel.tasks[index] + 112, u64: tiny.place(TinyKernel.stacks[index]))
      tiny.put(TinyKernel.tasks[index] + 120, u64: tiny.place(0x1a30))
    }
    tiny.setRegisters([29: tiny.place(stacks[1] + 0x10), 30: tiny.place(0x1014)])
    return tiny
  }

  /// Frame records, 0x30 bytes apart, each with one of the return addresses; then one of zeros.
  private func addRecords(_ first: UInt64, _ returns: [UInt64]) {
    for (index, address) in returns.enumerated() {
      let record = first + UInt64(index) * 0x30
      put(record, u64: place(record + 0x30))
      put(record + 8, u64: place(address))
    }
    let last = first + UInt64(returns.count) * 0x30
    put(last, u64: 0)
    put(last + 8, u64: 0)
  }

  /// Those of the CPU that panicked in `__crash_kexec`, PSR_MODE_EL1h, but for some.
  func setRegisters(_ some: [Int: UInt64]) {
    var registers = ByteWriter()
    registers.zeros(112)
    for index in 0..<34 {
      let usual = index == 32 ? place(0x1220) : index == 31 ? place(TinyKernel.stacks[1]) : index == 33 ? 5 : 0
      registers.u64(some[index] ?? usual)
    }
    registers.zeros(8)
    notes[0] = DumpNote(name: "CORE", type: 1, descriptor: registers.bytes)
  }
}

/// Stacks of arm64.
@Suite struct FramePointerTests {
  private func trace(_ tiny: TinyKernel) -> StackTrace? { ReportContent(CrashedKernel(tiny), isOver: { false }).crashed?.trace }
  private func functions(_ trace: StackTrace?) -> [String] { trace?.frames.map { $0.place.function ?? "?" } ?? [] }
  private let whole = ["__crash_kexec", "_stext", "crash_me.isra.0", "sys_write", "entry"]

  @Test func theStackOfThePanicGoesToUserSpace() {
    let content = ReportContent(CrashedKernel(TinyKernel.arm64()), isOver: { false })
    let trace = content.crashed?.trace
    #expect(
      trace?.frames.map(\.place.text) == [
        "__crash_kexec+0x20/0x200", "_stext+0x14/0x200", "crash_me.isra.0+0x14/0x200", "sys_write+0x14/0x200", "entry+0x14/0x200",
      ])
    #expect(trace?.isWhole == true && trace?.reachedUser == true)
    #expect(trace?.frames.allSatisfy(\.isReliable) == true)
    #expect(!content.notes.contains { $0.contains("unwind") })
    // The registers go by arm64's names.
    #expect(trace?.frames.first?.registers?.names.last == "pstate")
    #expect(content.lines.contains { $0.contains(" pc ffffffff81001220") })
    #expect(content.lines.contains { $0.contains(" pstate 0000000000000005") })
  }

  @Test func tasksThatSleepHaveTheirStacks() {
    let content = ReportContent(CrashedKernel(TinyKernel.arm64()), isOver: { false })
    #expect(content.waiting.map(\.task.name) == ["first", "second"])
    for task in content.waiting {
      #expect(
        functions(task.trace).map(normalisedFunction) == ["__schedule", "__mutex_lock", "worker", "ret_from_fork"])
      #expect(task.trace.isWhole && !task.trace.reachedUser)
    }
  }

  /// A function that was hit before it made its record: only x30 names its caller.
  @Test func aFunctionWithoutARecordHasItsCaller() {
    let tiny = TinyKernel.arm64()
    // The record is the one that _stext made: crash_me's return address is in it.
    tiny.setRegisters([29: tiny.place(TinyKernel.stacks[1] + 0x40), 30: tiny.place(0x1014)])
    #expect(functions(trace(tiny)) == whole)
    // An old x30, from a call that this function made itself, is no caller.
    tiny.put(0x1210, u32: 0x25 << 26)
    tiny.setRegisters([29: tiny.place(TinyKernel.stacks[1] + 0x10), 30: tiny.place(0x1214)])
    #expect(functions(trace(tiny)) == whole)
  }

  @Test func damagedRecordsEndTheWay() {
    // In circles, down, to nowhere, to what is no code: the way ends and says why, or the caller is found by the call
    // of it.
    let record = TinyKernel.stacks[1] + 0x40
    let damages: [(TinyKernel) -> Void] = [
      { $0.put(record, u64: $0.place(record)) }, { $0.put(record, u64: $0.place(record - 0x30)) },
      { $0.put(record, u64: 0x10) }, { $0.put(record, u64: .max - 7) }, { $0.put(record + 8, u64: 0x4141_4141) },
      { $0.put(record + 8, u64: 0) },
    ]
    for damage in damages {
      let tiny = TinyKernel.arm64()
      damage(tiny)
      let found = trace(tiny)
      #expect(found?.isWhole == true ? functions(found) == whole : found?.problem != nil)
      #expect(functions(found).starts(with: ["__crash_kexec", "_stext"]))
    }
  }
}
