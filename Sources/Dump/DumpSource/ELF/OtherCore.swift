internal import CoreEncoding
internal import DumpBasics

/// Cores that are no kernel's.
enum OtherCore {
  /// NT_AUXV and NT_FILE: only processes have them (include/uapi/linux/auxvec.h, include/uapi/linux/elf.h).
  private static let processNotes: Set<UInt32> = [6, 0x4649_4c45]

  /// - Throws: for the core of a process, and for a copy of /proc/kcore of before Linux 4.19, in which no
  /// segment has a physical address.
  static func refuse(_ entries: [ELFProgramHeader], _ notes: [DumpNote], _ name: String) throws(DumpError) {
    let loads = entries.filter { $0.type == ELFProgramHeader.load && $0.memorySize > 0 }
    guard loads.count > 1, loads.allSatisfy({ $0.physicalAddress == 0 }) else { return }
    if notes.contains(where: { $0.name == "CORE" && processNotes.contains($0.type) }) {
      throw DumpError("this is the core of a process, not of a kernel", at: name, advice: "gdb and coredumpctl open it")
    }
    throw DumpError(
      "no segment has a physical address", at: name,
      advice: "a copy of /proc/kcore of a kernel before 4.19 is not supported; /proc/vmcore and newer copies are")
  }
}
