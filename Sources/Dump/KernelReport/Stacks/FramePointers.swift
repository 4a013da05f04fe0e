internal import DumpBasics

// Stacks of arm64: every function keeps a frame record of two words, the caller's record (x29) and the return
// address (x30); AAPCS64, arch/arm64/kernel/stacktrace.c.
extension Unwinder {
  func followFrame(_ state: inout State) -> Step {
    guard let next = view.u64(state.bp), let saved = view.u64(state.bp &+ 8) else {
      return .lost("the frame record at \(hex(state.bp)) is not in the dump")
    }
    let link = stripped(saved)
    // A function that has made no record yet: its caller is in x30.
    if state.isExact, let registers = state.registers {
      let caller = stripped(registers.values[30])
      if caller != link, places.isReturnAddress(caller), start(caller, isReturn: true) != start(state.ip, isReturn: false) {
        state = State(ip: caller, sp: state.sp, bp: state.bp, registers: nil, isExact: false)
        return .caller
      }
    }
    if next == 0, saved == 0 { return lastFrame(&state) }
    guard places.isCode(link &- 4) || places.isCode(link) else {
      return .lost("\(hex(link)) at \(hex(state.bp &+ 8)) is no return address")
    }
    // On one stack every step leads up.
    if next <= state.bp, state.bp &- next < Unwinder.stackLimit { return .lost("the stack leads down at \(hex(state.bp))") }
    state = State(ip: link, sp: state.bp &+ 16, bp: next, registers: nil, isExact: false)
    return .caller
  }

  /// The record of zeros that an entry to the kernel makes inside its struct pt_regs. Since 6.14 a word
  /// behind it says what it is (FRAME_META_TYPE_PT_REGS: 2, what was interrupted is the kernel).
  private func lastFrame(_ state: inout State) -> Step {
    let inside = view.offset("pt_regs", "stackframe")
    guard let start = inside.map({ state.bp &- $0 }), let bytes = view.bytes(start, RegisterSet.size(.arm64)),
      let registers = RegisterSet(bytes, .arm64)
    else { return .end }
    if isKernelAddress(registers.ip), view.u64(state.bp &+ 16) == 2, view.types?.type(named: "frame_record_meta") != nil {
      // Exceptions of exceptions lead up their stack, or to another one.
      if registers.bp <= state.bp, state.bp &- registers.bp < Unwinder.stackLimit {
        return .lost("the stack leads down at \(hex(state.bp))")
      }
      state = State(ip: registers.ip, sp: registers.sp, bp: registers.bp, registers: registers, isExact: true)
      return .interrupted
    }
    return registers.isUser && !isKernelAddress(registers.ip) && registers.ip != 0 ? .user : .end
  }

  /// Without the signature that the processor put into the upper bits (CONFIG_ARM64_PTR_AUTH_KERNEL).
  private func stripped(_ address: UInt64) -> UInt64 { address | (view.info.word("KERNELPACMASK") ?? 0) }

  private func start(_ address: UInt64, isReturn: Bool) -> UInt64 {
    let place = places.place(address, isReturn: isReturn)
    return place.address &- place.offset
  }

  /// The stack of a task that does not run: what `cpu_switch_to` saved (struct cpu_context).
  func sleepingByFrame(_ task: TaskInfo) -> StackTrace {
    func saved(_ name: String) -> UInt64? { view.value(task.address, "task_struct", "thread.cpu_context.\(name)") }
    guard let code = saved("pc"), let frame = saved("fp"), let stack = saved("sp"), code != 0 else {
      return StackTrace(problem: "where its stack ends is not known")
    }
    return unwind(State(ip: code, sp: stack, bp: frame, registers: nil, isExact: false))
  }
}
