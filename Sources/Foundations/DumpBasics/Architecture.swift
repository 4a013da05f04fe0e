/// The order of bytes in a multi-byte integer of the dump.
public enum ByteOrder: UInt8, Sendable, Equatable {
  /// Values as ELF's EI_DATA has them (System V gABI, chapter 4, "ELF Identification").
  case little = 1
  case big = 2
}

/// A processor architecture mcore knows, with what differs between them. Everything that depends on one asks
/// here or switches over this type, so that a new architecture is found by the compiler.
public enum Architecture: Sendable, Equatable, CaseIterable, CustomStringConvertible {
  case x86_64
  case arm64

  /// From ELF's `e_machine` (System V gABI: EM_X86_64 62, EM_AARCH64 183).
  public init?(elfMachine: UInt16) {
    switch elfMachine {
    case 62: self = .x86_64
    case 183: self = .arm64
    default: return nil
    }
  }

  public var elfMachine: UInt16 {
    switch self {
    case .x86_64: 62
    case .arm64: 183
    }
  }

  public var description: String {
    switch self {
    case .x86_64: "x86_64"
    case .arm64: "arm64"
    }
  }

  /// Page sizes a kernel of this architecture can have, in bytes.
  public var pageSizes: [UInt64] {
    switch self {
    case .x86_64: [4096]
    case .arm64: [4096, 16384, 65536]
    }
  }

  /// The page size to assume when VMCOREINFO does not say.
  public var defaultPageSize: PageSize { .fourKiB }

  /// Physical addresses are below 2 to this power: x86_64 52 (Intel SDM vol. 3, 4.1.4: MAXPHYADDR at most
  /// 52), arm64 52 (Arm ARM, FEAT_LPA).
  public var physicalAddressBits: UInt64 { 52 }

  /// Bytes of an NT_PRSTATUS descriptor (struct elf_prstatus): x86_64 336, arm64 392.
  public var prstatusSize: Int {
    switch self {
    case .x86_64: 336
    case .arm64: 392
    }
  }

  /// Where `pr_reg` of struct elf_prstatus has the stack pointer: `sp` of struct user_regs_struct on x86_64
  /// (arch/x86/include/asm/user_64.h), of struct user_pt_regs on arm64.
  public var prstatusStackPointerOffset: Int {
    switch self {
    case .x86_64: Architecture.prstatusRegistersOffset + 19 * 8
    case .arm64: Architecture.prstatusRegistersOffset + 31 * 8
    }
  }

  /// Where `pr_reg` of struct elf_prstatus begins on every 64-bit Linux (include/linux/elfcore.h).
  public static let prstatusRegistersOffset = 112

  /// The registers of `pr_reg`, 8 bytes each: struct user_regs_struct (arch/x86/include/asm/user_64.h),
  /// struct user_pt_regs (arch/arm64/include/uapi/asm/ptrace.h).
  public var registerNames: [String] {
    switch self {
    case .x86_64:
      [
        "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip",
        "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
      ]
    case .arm64: (0...30).map { "x\($0)" } + ["sp", "pc", "pstate"]
    }
  }

  /// The kernel's stacks are of at most this size, and aligned to theirs (THREAD_SIZE; twice the usual, for
  /// KASAN).
  public var kernelStackSize: UInt64 {
    switch self {
    case .x86_64: 32 << 10
    case .arm64: 64 << 10
    }
  }

  /// Offset of `pr_pid` in struct elf_prstatus on every 64-bit Linux (include/linux/elfcore.h).
  public var prstatusPidOffset: Int { 32 }
}

/// What a dump says of the machine it comes from.
public struct MachineIdentity: Sendable, Equatable {
  public var architecture: Architecture
  public var byteOrder: ByteOrder
  public init(_ architecture: Architecture, _ byteOrder: ByteOrder) {
    self.architecture = architecture
    self.byteOrder = byteOrder
  }
}
