#if Kdump
  public import DumpBasics

  /// The registers in a dump of LKCD: `dump_header_asm_t` of x86_64, which follows the header at once.
  ///
  /// The layout is that of crash's lkcd_dump_v8.h and of libkdumpfile's tests/lkcd.h: 192 bytes, then for
  /// each CPU that the kernel was built for its registers (168 bytes) and three addresses (8 bytes each,
  /// all CPUs' first ones before the second ones). How many CPUs these are only its size says.
  public struct LKCDRegisters: Sendable, Equatable {
    /// Before the registers of the first CPU.
    public static let size = 192
    /// More CPUs than a kernel of that time is built for; what is said of more is damage.
    public static let processorLimit = 1024
    /// DUMP_ASM_MAGIC_NUMBER.
    private static let magic: UInt64 = 0xdead_dead
    /// struct pt_regs: the first 21 words of `pr_reg`, in the same order (arch/x86/include/asm/user_64.h).
    private static let registersSize = 21 * 8
    private static let perProcessor = registersSize + 3 * 8
    private static let ownOffset = 16

    /// Bytes of the whole header, as it says itself.
    public let count: Int
    /// `dha_smp_num_cpus`: CPUs that were online.
    public let onlineProcessors: UInt32
    /// `dha_dumping_cpu`.
    private let dumping: UInt32

    /// The start of it, `size` bytes; nil where it is none.
    public init?(_ start: [UInt8]) {
      let reader = ByteReader(start, .little)
      guard start.count >= LKCDRegisters.size, reader.u64(0) == LKCDRegisters.magic, let count = reader.u32(12),
        let online = reader.u32(184), let dumping = reader.u32(188), count >= LKCDRegisters.size,
        Int(count) <= LKCDRegisters.size + LKCDRegisters.processorLimit * LKCDRegisters.perProcessor
      else { return nil }
      self.count = Int(count)
      onlineProcessors = online
      self.dumping = dumping
    }

    /// A note of registers for each CPU that left any, by number. `bytes` is the whole header, or what is
    /// there of it. The process of a CPU is not known, and is 0 in them.
    public func notes(_ bytes: [UInt8]) -> [DumpNote] {
      let processors = (count - LKCDRegisters.size) / LKCDRegisters.perProcessor
      let reader = ByteReader(bytes, .little)
      let own = reader.slice(LKCDRegisters.ownOffset, LKCDRegisters.registersSize)
      return (0..<max(1, processors)).compactMap { number in
        var registers = reader.slice(LKCDRegisters.size + number * LKCDRegisters.registersSize, LKCDRegisters.registersSize)
        if number >= processors || registers?.allSatisfy({ $0 == 0 }) ?? true {
          registers = UInt32(number) == dumping || processors == 0 ? own : nil
        }
        guard let registers, registers.contains(where: { $0 != 0 }) else { return nil }
        var note = [UInt8](repeating: 0, count: Architecture.x86_64.prstatusSize)
        let start = Architecture.prstatusRegistersOffset
        note.replaceSubrange(start..<start + registers.count, with: registers)
        return DumpNote(name: "CORE", type: 1, descriptor: note)
      }
    }

    /// As a kernel that was built for `processors.count` CPUs writes it: of each its 21 registers, or none.
    public static func encoded(_ processors: [[UInt64]], dumping: UInt32 = 0) -> [UInt8] {
      func put(_ registers: [UInt64], _ writer: inout ByteWriter) {
        for index in 0..<21 { writer.u64(registers.indices.contains(index) ? registers[index] : 0) }
      }
      var writer = ByteWriter()
      writer.u64(magic)
      writer.u32(2)
      writer.u32(UInt32(size + processors.count * perProcessor))
      put(processors.indices.contains(Int(dumping)) ? processors[Int(dumping)] : [], &writer)
      writer.u32(UInt32(processors.count))
      writer.u32(dumping)
      for registers in processors { put(registers, &writer) }
      writer.zeros(3 * 8 * processors.count)
      return writer.bytes
    }
  }
#endif
