internal import DumpBasics

/// Registers of x86_64 as struct pt_regs and NT_PRSTATUS have them (arch/x86/include/asm/ptrace.h).
struct RegisterSet: Equatable {
  static let names = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip",
    "cs", "eflags", "rsp", "ss",
  ]
  /// Bytes of struct pt_regs.
  static let size = 168

  var values: [UInt64]

  /// Nil when there are not enough bytes.
  init?(_ bytes: [UInt8], at start: Int = 0) {
    let reader = ByteReader(bytes, .little)
    values = []
    for index in RegisterSet.names.indices {
      guard let value = reader.u64(start + 8 * index) else { return nil }
      values.append(value)
    }
  }

  var ip: UInt64 { values[16] }
  var sp: UInt64 { values[19] }
  var bp: UInt64 { values[4] }
  var isUser: Bool { values[17] & 3 == 3 }

  subscript(_ base: OrcEntry.Base) -> UInt64? {
    switch base {
    case .r10: values[7]
    case .r13: values[2]
    case .di: values[14]
    case .dx: values[12]
    case .ax: values[10]
    case .frame: bp
    case .stack: sp
    default: nil
    }
  }
}
