/// One ELF note: name without its NUL, type, descriptor.
public struct DumpNote: Sendable, Equatable {
  public var name: String
  public var type: UInt32
  public var descriptor: [UInt8]

  public init(name: String, type: UInt32, descriptor: [UInt8]) {
    self.name = name
    self.type = type
    self.descriptor = descriptor
  }

  /// NT_PRSTATUS (include/uapi/linux/elf.h) of a CPU: name `CORE`, type 1.
  public var isProcessorStatus: Bool { name == "CORE" && type == 1 }
  /// The kernel's own description of itself: name `VMCOREINFO`, type 0.
  public var isVMCoreInfo: Bool { name == "VMCOREINFO" }
}
