internal import CoreEncoding
public import CrashedKernel
public import DumpBasics

/// What is known of the crashed kernel's build ID, in hex digits.
public struct KernelBuildID: Sendable, Equatable {
  /// From the kernel's own notes in its memory: a proof.
  public var inMemory: String?
  /// BUILD-ID of VMCOREINFO: a hint, since some stable kernels write garbage there.
  public var noted: String?

  /// The better one.
  public var best: String? { inMemory ?? noted }

  public init(inMemory: String? = nil, noted: String? = nil) {
    self.inMemory = inMemory
    self.noted = noted
  }

  /// `isOver` is asked now and then: once it says true, the kernel's notes are not looked for any longer.
  public init(_ kernel: CrashedKernel, isOver: @escaping () -> Bool = { false }) {
    noted = kernel.vmcoreinfo?.buildID
    inMemory = KernelBuildID.inMemory(kernel, isOver: isOver)
  }

  /// Notes of a kernel are some hundred bytes.
  private static let notesLimit: UInt64 = 64 << 10

  /// The notes lie between two symbols of the linker (include/asm-generic/vmlinux.lds.h, NOTES).
  private static func inMemory(_ kernel: CrashedKernel, isOver: @escaping () -> Bool) -> String? {
    guard let info = kernel.vmcoreinfo, let memory = kernel.memory?.separate(recording: false),
      let names = KallsymsTable(info, memory, wanted: ["__start_notes", "__stop_notes"], isOver: isOver),
      let start = names.address(of: "__start_notes"), let end = names.address(of: "__stop_notes"), end > start,
      end - start <= notesLimit, let bytes = try? memory.read(VirtualAddress(start), count: Int(end - start))
    else { return nil }
    return ELF64.decodeNotes(bytes, kernel.source.identity).notes.lazy.compactMap(\.buildID).first
  }
}

extension DumpNote {
  /// The build ID that this note gives (NT_GNU_BUILD_ID of elf.h), in hex digits.
  public var buildID: String? {
    guard name == "GNU", type == 3, (4...64).contains(descriptor.count) else { return nil }
    return descriptor.map { padded(UInt32($0), 2, radix: 16) }.joined()
  }
}
