internal import DumpBasics

/// `function` without what the compiler and the linker add: `.isra.0`, `.constprop.0`, `.part.0`, `.cold`,
/// `.llvm.…`.
func normalisedFunction(_ name: String) -> String {
  let bytes = Array(name.utf8)
  guard let dot = bytes.firstIndex(of: UInt8(ascii: ".")), dot > 0 else { return name }
  return String(decoding: bytes[..<dot], as: UTF8.self)
}

/// What is the same for the same bug, on whatever machine, kernel and base address.
public struct Signature: Equatable, Sendable {
  /// 16 hex digits.
  public let hash: String
  public let kind: String
  /// The functions that the hash is made of.
  public let frames: [String]

  /// As many of the innermost functions count. Further out, kernels of two versions differ for one bug: what
  /// is a function in one of them is inlined in the other.
  private static let depth = 3

  /// How a panic comes about, not why: left out.
  private static let machinery: Set<String> = [
    "machine_kexec", "__crash_kexec", "crash_kexec", "panic", "vpanic", "nmi_panic", "oops_end", "oops_begin", "__die", "die",
    "__die_body",
    "page_fault_oops", "no_context", "__bad_area_nosemaphore", "bad_area_nosemaphore", "__bad_area", "bad_area",
    "kernelmode_fixup_or_oops", "do_user_addr_fault", "do_kern_addr_fault", "exc_page_fault", "asm_exc_page_fault", "page_fault",
    "do_page_fault", "async_page_fault", "exc_general_protection", "asm_exc_general_protection", "die_addr", "exc_invalid_op",
    "asm_exc_invalid_op", "handle_bug", "handle_invalid_op", "do_error_trap", "do_trap", "report_bug", "__warn",
    "check_panic_on_warn",
    "exc_double_fault", "asm_exc_double_fault", "handle_stack_overflow", "die_direct", "exc_int3", "asm_exc_int3", "dump_stack",
    "watchdog_timer_fn", "watchdog_overflow_callback", "watchdog_hardlockup_check", "crash_nmi_callback", "nmi_handle",
    "default_do_nmi",
    "exc_nmi", "asm_exc_nmi", "end_repeat_nmi", "__hrtimer_run_queues", "hrtimer_interrupt", "__sysvec_apic_timer_interrupt",
    "sysvec_apic_timer_interrupt", "asm_sysvec_apic_timer_interrupt", "local_apic_timer_interrupt", "rewind_stack_and_make_dead",
    "dump_stack_lvl", "exc_stack_segment", "exc_divide_error", "asm_exc_divide_error", "crash_setup_regs",
  ]

  /// Nil where no function is known: what has the kind alone in common is not one bug.
  init?(kind: String, functions: [String]) {
    self.kind = kind
    var frames: [String] = []
    for name in functions.map({ normalisedFunction($0) }) where !Signature.machinery.contains(name) {
      // Where every stack of a process or of the kernel ends says nothing.
      if frames.count == Signature.depth { break }
      if ["do_syscall_64", "entry_SYSCALL_64_after_hwframe", "ret_from_fork", "ret_from_fork_asm", "kthread"].contains(name) {
        break
      }
      frames.append(name)
    }
    if frames.isEmpty { return nil }
    self.frames = frames
    var hash = NameHash(kind)
    for frame in frames {
      hash.add(0x0a)
      for byte in frame.utf8 { hash.add(byte) }
    }
    self.hash = padded(hash.value, 16, radix: 16)
  }
}
