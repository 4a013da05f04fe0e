internal import DumpBasics

/// One function on a stack.
struct Frame {
  var place: CodePlace
  /// False: it looks like a return address, and that is all that is known.
  var isReliable = true
  /// Registers with which this function was interrupted (an exception, an interrupt, an NMI).
  var registers: RegisterSet?
  /// Where the stack pointer was in this function.
  var stackPointer: UInt64 = 0
  /// How many times more the same place stands right behind it: a function that calls itself.
  var repeats = 0
}

/// A stack, innermost function first, and how the way along it ended.
struct StackTrace {
  var frames: [Frame] = []
  /// Reached the end of the stack, or user space.
  var isWhole = false
  var reachedUser = false
  /// Why it did not.
  var problem: String?

  /// One that is the same as the last is counted there.
  mutating func append(_ frame: Frame) {
    if let last = frames.last, last.place.address == frame.place.address, frame.registers == nil,
      frame.isReliable == last.isReliable
    {
      frames[frames.count - 1].repeats += 1
    } else {
      frames.append(frame)
    }
  }

  /// Whether the CPU that this is of panicked.
  var isOfPanic: Bool {
    frames.contains { ["__crash_kexec", "crash_kexec", "panic", "vpanic"].contains(normalisedFunction($0.place.function ?? "")) }
  }
}

/// Walks stacks: x86_64's by the kernel's own unwind tables (ORC; arch/x86/kernel/unwind_orc.c), arm64's by
/// frame pointers (`followFrame`).
struct Unwinder {
  let view: KernelView
  let places: CodePlaces

  private static let frameLimit = 192
  /// Steps with those that repeat: a stack of 16 KiB has no more return addresses.
  private static let stepLimit = 4096
  /// A kernel stack has 16 KiB, with KASAN 32.
  static let stackLimit: UInt64 = 32 << 10

  struct State {
    var ip: UInt64
    var sp: UInt64
    var bp: UInt64
    /// Nil: only those three are known.
    var registers: RegisterSet?
    /// Whether `ip` is where the processor was; else it is behind a call.
    var isExact: Bool
  }

  enum Step: Equatable { case caller, interrupted, user, end, lost(String) }

  /// The stack of what had these registers.
  func unwind(_ registers: RegisterSet) -> StackTrace {
    if registers.isUser { return StackTrace(frames: [], isWhole: true, reachedUser: true) }
    return unwind(State(ip: registers.ip, sp: registers.sp, bp: registers.bp, registers: registers, isExact: true), registers)
  }

  func unwind(_ start: State, _ registers: RegisterSet? = nil) -> StackTrace {
    var trace = StackTrace()
    var state = start
    var frame = Frame(place: places.place(state.ip, isReturn: !state.isExact), registers: registers, stackPointer: state.sp)
    for _ in 0..<Unwinder.stepLimit {
      trace.append(frame)
      if trace.frames.count >= Unwinder.frameLimit {
        trace.problem = "more than \(Unwinder.frameLimit) frames"
        return trace
      }
      let before = state
      var step = advance(&state)
      var isReliable = true
      if step == .caller, !isPlausibleReturn(state.ip) {
        step = .lost("\(hex(state.ip)) at \(hex(state.sp &- 8)) is no return address")
      }
      if case .lost = step, let found = rescue(before) {
        state = found
        step = .caller
      }
      switch step {
      case .user:
        trace.isWhole = true
        trace.reachedUser = true
        return trace
      case .end:
        trace.isWhole = true
        return trace
      case .lost(let why):
        trace.problem = why
        scan(before.sp, &trace)
        return trace
      case .caller, .interrupted: isReliable = true
      }
      frame = Frame(
        place: places.place(state.ip, isReturn: !state.isExact), isReliable: isReliable,
        registers: step == .interrupted ? state.registers : nil, stackPointer: state.sp)
    }
    trace.problem = "more than \(Unwinder.stepLimit) return addresses"
    return trace
  }

  /// Moves to the caller's frame, or to what was interrupted.
  func advance(_ state: inout State) -> Step {
    if view.memory.architecture == .arm64 { return followFrame(&state) }
    // A call of a null pointer, or of one that points to no code: only the return address was pushed.
    let isBadCall =
      state.isExact && (state.ip == 0 || !places.isCode(state.ip) && view.u64(state.sp).map(places.isReturnAddress) == true)
    let known =
      isBadCall
      ? OrcEntry(stackOffset: 8, frameOffset: 0, stack: .stack, frame: .undefined, kind: .call)
      : places.entry(at: state.isExact ? state.ip : state.ip &- 1)
    // Code that was made while the kernel ran (BPF) keeps a frame pointer.
    guard
      let entry = known
        ?? (places.keepsFramePointer(state.ip)
          ? OrcEntry(stackOffset: 16, frameOffset: -16, stack: .frame, frame: .previousStack, kind: .call) : nil)
    else { return .lost("no unwind entry for \(hex(state.ip))") }
    if entry.kind == .end { return .end }
    guard entry.kind != .undefined, var sp = base(entry.stack, state, entry.stackOffset) else {
      return .lost("the unwind entry for \(hex(state.ip)) says that there is no way on")
    }
    if entry.stack == .stackIndirect || entry.stack == .frameIndirect {
      guard let word = view.u64(sp) else { return .lost("the stack at \(hex(sp)) is not in the dump") }
      sp = entry.stack == .stackIndirect ? add(word, entry.stackOffset) : word
    }
    let oldStack = state.sp
    let oldFrame = state.bp
    var step = Step.caller
    switch entry.kind {
    case .call:
      guard let ip = view.u64(sp &- 8) else { return .lost("the stack at \(hex(sp &- 8)) is not in the dump") }
      state = State(ip: ip, sp: sp, bp: oldFrame, registers: nil, isExact: false)
    case .registers:
      guard let bytes = view.bytes(sp, RegisterSet.size(.x86_64)), let registers = RegisterSet(bytes, .x86_64) else {
        return .lost("the registers at \(hex(sp)) are not in the dump")
      }
      if registers.isUser { return .user }
      state = State(ip: registers.ip, sp: registers.sp, bp: registers.bp, registers: registers, isExact: true)
      step = .interrupted
    case .partialRegisters:
      guard let ip = view.u64(sp), let code = view.u64(sp &+ 8), let stack = view.u64(sp &+ 24) else {
        return .lost("the registers at \(hex(sp)) are not in the dump")
      }
      if code & 3 == 3 { return .user }
      state = State(ip: ip, sp: stack, bp: oldFrame, registers: nil, isExact: true)
      step = .interrupted
    case .undefined, .end: return .end
    }
    switch entry.frame {
    case .previousStack:
      guard let bp = view.u64(add(sp, entry.frameOffset)) else { return .lost("the stack at \(hex(sp)) is not in the dump") }
      state.bp = bp
    case .frame:
      guard let bp = view.u64(add(oldFrame, entry.frameOffset)) else {
        return .lost("the stack at \(hex(oldFrame)) is not in the dump")
      }
      state.bp = bp
    default: break
    }
    // On one stack every step leads up.
    if step == .caller, state.sp <= oldStack, oldStack &- state.sp < Unwinder.stackLimit {
      return .lost("the stack leads down at \(hex(oldStack))")
    }
    return step
  }

  private func base(_ base: OrcEntry.Base, _ state: State, _ offset: Int) -> UInt64? {
    switch base {
    case .stack: add(state.sp, offset)
    case .frame, .frameIndirect: add(state.bp, offset)
    case .stackIndirect: state.sp
    case .r10, .r13, .di, .dx, .ax: state.registers?[base].map { add($0, offset) }
    case .undefined, .previousStack: nil
    }
  }

  /// Wraps: addresses are modulo 2^64, and what is wrong is not mapped.
  private func add(_ address: UInt64, _ offset: Int) -> UInt64 { address &+ UInt64(bitPattern: Int64(offset)) }

  /// Behind a call; or the first code of a CPU, which gets to C by a far return.
  private func isPlausibleReturn(_ address: UInt64) -> Bool {
    if places.isReturnAddress(address) { return true }
    // Frame records of arm64 name where an exception hit, too.
    if view.memory.architecture == .arm64 { return places.isCode(address) }
    guard places.isCode(address), let name = places.place(address, isReturn: true).function else { return false }
    return name.utf8.starts(with: "secondary_startup_64".utf8)
  }

  // MARK: where the tables don't lead on

  /// The caller of a function that the tables know nothing of (`__crash_kexec` is marked so): a return
  /// address further up, behind a call that names this very function. What the caller had as frame pointer is
  /// one of a few; the one with which the stack goes on the longest is taken.
  private func rescue(_ state: State) -> State? {
    let place = places.place(state.ip, isReturn: !state.isExact)
    guard place.function != nil else { return nil }
    let function = place.address &- place.offset
    for step in 0..<UInt64(512) {
      let slot = (state.sp & ~7) &+ step &* 8
      guard let word = view.u64(slot) else { return nil }
      guard places.isCode(word &- 1), places.callTarget(word) == function else { continue }
      var candidates = [state.bp]
      if let pushed = view.u64(slot &- 8) { candidates.insert(pushed, at: 0) }
      if state.bp &+ 8 == slot, let saved = view.u64(state.bp) { candidates.insert(saved, at: 0) }
      var best: (length: Int, state: State)?
      for bp in candidates {
        let next = State(ip: word, sp: slot &+ 8, bp: bp, registers: nil, isExact: false)
        let length = plausibleLength(next)
        if length > best?.length ?? -1 { best = (length, next) }
      }
      return best?.state
    }
    return nil
  }

  /// How many callers can be reached from here, at most 8.
  private func plausibleLength(_ state: State) -> Int {
    var state = state
    for length in 0..<8 {
      switch advance(&state) {
      case .caller: if !isPlausibleReturn(state.ip) { return length }
      case .interrupted: if !places.isCode(state.ip) { return length }
      case .user, .end: return 8
      case .lost: return length
      }
    }
    return 8
  }

  /// Everything above `sp` that looks like a return address.
  private func scan(_ sp: UInt64, _ trace: inout StackTrace) {
    let start = (sp &+ 7) & ~7
    // A stack is aligned to its size: at most to the end of 32 KiB, and not past a page that is missing.
    let end = (start | (Unwinder.stackLimit - 1)) &+ 1
    var place = start
    var found = 0
    while place < end, found < 32, trace.frames.count < Unwinder.frameLimit {
      guard let word = view.u64(place) else { return }
      if places.isReturnAddress(word) {
        trace.frames.append(Frame(place: places.place(word, isReturn: true), isReliable: false, stackPointer: place &+ 8))
        found += 1
      }
      place += 8
    }
  }
}
