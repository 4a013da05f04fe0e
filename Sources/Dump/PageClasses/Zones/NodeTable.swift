internal import CrashedKernel
internal import DumpBasics

/// Where the kernel has its nodes (struct pglist_data; include/linux/mmzone.h), and how many there can be.
enum NodeTable: Sendable, Equatable {
  /// `node_data`, pointers to the nodes. `counts`: how many elements it may have (MAX_NUMNODES), the
  /// likeliest first; one where the kernel says it.
  case pointers(VirtualAddress, counts: [Int])
  /// `contig_page_data`: without NUMA there is one node, which is a variable.
  case single(VirtualAddress)
  /// The kernel does not say.
  case unknown

  /// NODES_SHIFT is at most 10 (Kconfig of x86 and arm64).
  static let limit = 4096

  /// x86_64's VMCOREINFO has `node_data` and its length (arch/x86/kernel/vmcore_info_64.c). Others leave it
  /// to kallsyms, which knows variables with CONFIG_KALLSYMS_ALL alone.
  ///
  /// - Throws: when the length is missing or absurd.
  init(_ info: VMCoreInfo, _ memory: KernelMemory) throws(DumpError) {
    if let table = info.symbol("node_data") {
      guard let count = info.length("node_data"), (1...UInt64(NodeTable.limit)).contains(count) else {
        throw DumpError("LENGTH(node_data) is missing or absurd", at: "VMCOREINFO")
      }
      self = .pointers(table, counts: [Int(count)])
    } else if let node = info.symbol("contig_page_data") {
      self = .single(node)
    } else if let (table, room) = KernelSymbols.place("node_data", info, memory) {
      // A power of two. What lies behind the table is aligned, so that the largest is the likeliest.
      let most = Int(clamping: room / 8)
      self = .pointers(table, counts: (1...12).reversed().map { 1 << $0 }.filter { $0 <= most })
    } else {
      self = .unknown
    }
  }

  /// The nodes' addresses; 0 where there is none. Throws where the table can't be read.
  func addresses(_ count: Int, _ memory: KernelMemory) throws(DumpError) -> [VirtualAddress] {
    switch self {
    case .pointers(let table, _):
      let pointers = ByteReader(try memory.read(table, count: count * 8), memory.byteOrder)
      return (0..<count).map { VirtualAddress(pointers.u64($0 * 8) ?? 0) }
    case .single(let node): return [node]
    case .unknown: return []
    }
  }
}
