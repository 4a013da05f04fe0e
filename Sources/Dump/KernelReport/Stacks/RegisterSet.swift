internal import DumpBasics

/// Registers as struct pt_regs and NT_PRSTATUS have them (arch/x86/include/asm/ptrace.h,
/// arch/arm64/include/uapi/asm/ptrace.h).
struct RegisterSet: Equatable {
  let architecture: Architecture
  /// As many as `names`.
  let values: [UInt64]

  /// NT_PRSTATUS of x86_64 has segments behind these.
  static func names(_ architecture: Architecture) -> ArraySlice<String> {
    switch architecture {
    case .x86_64: architecture.registerNames.prefix(21)
    case .arm64: architecture.registerNames[...]
    }
  }
  var names: ArraySlice<String> { RegisterSet.names(architecture) }

  /// Bytes of struct pt_regs that are registers.
  static func size(_ architecture: Architecture) -> Int { 8 * names(architecture).count }

  /// Nil when there are not enough bytes.
  init?(_ bytes: [UInt8], at start: Int = 0, _ architecture: Architecture) {
    let reader = ByteReader(bytes, .little)
    var values: [UInt64] = []
    for index in RegisterSet.names(architecture).indices {
      guard let value = reader.u64(start + 8 * index) else { return nil }
      values.append(value)
    }
    self.architecture = architecture
    self.values = values
  }

  var ip: UInt64 { architecture == .arm64 ? values[32] : values[16] }
  var sp: UInt64 { architecture == .arm64 ? values[31] : values[19] }
  /// The frame pointer: rbp, x29.
  var bp: UInt64 { architecture == .arm64 ? values[29] : values[4] }
  /// The privilege level: of x86_64 in `cs`, of arm64 in `pstate` (PSR_MODE_EL0t).
  var isUser: Bool { architecture == .arm64 ? values[33] & 0xf == 0 : values[17] & 3 == 3 }

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
