public import DumpBasics

/// What a CPU still uses that the crashed kernel stopped: by an NMI, whose handler (crash_nmi_callback in
/// arch/x86/kernel/reboot.c) calls `native_halt` and then goes round for ever.
///
/// Both parts may be nil: on other machines than x86_64, before Linux 6.0 (no kallsyms), in a damaged kernel.
public struct StoppedProcessor: Sendable {
  /// The page that the top level of its page tables takes: where CR3 points while the kernel runs there.
  public private(set) var topTable: PhysicalRange?
  /// The instruction behind the HLT in `native_halt`: the way back to the handler, over a stack that may be
  /// gone.
  public private(set) var behindHalt: PhysicalAddress?

  /// `cpu` is the kernel's own number.
  public init(_ kernel: CrashedKernel, cpu: Int) {
    guard kernel.source.identity.architecture == .x86_64, let info = kernel.vmcoreinfo,
      let memory = kernel.memory?.separate(recording: false)
    else { return }
    let symbols = KernelSymbols.find(["native_halt", "cpu_tlbstate", "__per_cpu_offset"], info, memory)
    if let function = symbols["native_halt"] { behindHalt = StoppedProcessor.behindHalt(function, memory) }
    if let state = symbols["cpu_tlbstate"], let offsets = symbols["__per_cpu_offset"], let root = info.symbol("init_top_pgt"),
      let own = try? memory.processorCopy(of: state.rawValue, cpu: cpu, offsets), let space = try? memory.u64(own)
    {
      topTable = StoppedProcessor.topTable(VirtualAddress(space), like: root, memory)
    }
  }

  /// The per-CPU `cpu_tlbstate` begins with `loaded_mm` (struct tlb_state in arch/x86/include/asm/tlbflush.h,
  /// 4.14 to 7.3), and a struct mm_struct has `pgd` in its first 128 bytes on those kernels. It is known by
  /// what it leads to: a page whose last entry, the one of the kernel's image, is that of the kernel's own
  /// table.
  private static func topTable(_ space: VirtualAddress, like root: VirtualAddress, _ memory: KernelMemory) -> PhysicalRange? {
    /// Where the last entry of a table leads: bits 12 to 51 (Intel SDM vol. 3, 4.5). Flags differ from table
    /// to table.
    func lastTable(_ table: UInt64) -> UInt64? {
      (try? memory.u64(VirtualAddress(table &+ 511 * 8))).flatMap { $0 & 1 == 1 ? $0 & 0x000f_ffff_ffff_f000 : nil }
    }
    guard let wanted = lastTable(root.rawValue), let bytes = try? memory.read(space, count: 256) else { return nil }
    let words = ByteReader(bytes, memory.byteOrder)
    for place in stride(from: 0, to: bytes.count, by: 8) {
      guard let word = words.u64(place), word >> 63 == 1, word & 4095 == 0, lastTable(word) == wanted else { continue }
      return (try? memory.translate(VirtualAddress(word))).flatMap { PhysicalRange(start: $0.rawValue, count: 4096) }
    }
    return nil
  }

  /// `f4` (HLT) and then a return, `c3`, or the jump to one, `e9`: within 14 bytes on all of 5.10 to 7.3.
  private static func behindHalt(_ function: VirtualAddress, _ memory: KernelMemory) -> PhysicalAddress? {
    guard let code = try? memory.read(function, count: 24) else { return nil }
    let places = (1..<code.count).filter { code[$0 - 1] == 0xf4 && (code[$0] == 0xe9 || code[$0] == 0xc3) }
    guard places.count == 1 else { return nil }
    return try? memory.translate(VirtualAddress(function.rawValue &+ UInt64(places[0])))
  }
}
