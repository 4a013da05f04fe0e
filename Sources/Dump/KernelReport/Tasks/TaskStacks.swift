internal import DumpBasics

extension Unwinder {
  /// The stack of a task that does not run: from the frame that `__switch_to_asm` left (struct
  /// inactive_task_frame).
  func sleeping(_ task: TaskInfo) -> StackTrace {
    if view.memory.architecture == .arm64 { return sleepingByFrame(task) }
    guard let stack = view.value(task.address, "task_struct", "thread.sp"), stack != 0 else {
      return StackTrace(problem: "where its stack ends is not known")
    }
    let bp = view.offset("inactive_task_frame", "bp") ?? 40
    let ip = view.offset("inactive_task_frame", "ret_addr") ?? 48
    let size = view.size("inactive_task_frame") ?? 56
    guard let frame = view.u64(stack &+ bp), let code = view.u64(stack &+ ip) else {
      return StackTrace(problem: "its stack at \(hex(stack)) is not in the dump")
    }
    return unwind(State(ip: code, sp: stack &+ size, bp: frame, registers: nil, isExact: false))
  }
}
