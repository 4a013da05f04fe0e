internal import CrashedKernel
internal import DumpBasics

extension KallsymsTables {
  /// Where names 0, 256, 512 … begin, from the first on, and where names end: kallsyms_markers, which no
  /// symbol leads to. It ends where the tokens begin; in some kernels there are three bytes for each symbol
  /// between the two (scripts/kallsyms.c). Empty: not found.
  func blocks(_ info: VMCoreInfo, _ memory: KernelMemory) -> [Int] {
    func read(_ address: UInt64, _ count: Int) -> [UInt8]? { try? memory.read(VirtualAddress(address), count: count) }
    guard let tokens = info.symbol("kallsyms_token_table")?.rawValue ?? tokensBehindNames(memory) else { return [] }
    let names = names.rawValue
    let blocks = (count + KallsymsTable.blockSize - 1) / KallsymsTable.blockSize
    // All are aligned to 8, since 7.2 to 4 at places.
    func aligned(_ size: Int, _ alignment: Int) -> Int { (size + alignment - 1) / alignment * alignment }
    var distances: [Int] = []
    for alignment in [4, 8] {
      for behind in [0, 3 * count] { distances.append(aligned(4 * blocks, alignment) + aligned(behind, alignment)) }
    }
    for distance in distances {
      let start = tokens &- UInt64(distance)
      guard start > names, start - names < UInt64(UInt32.max), let bytes = read(start, 4 * blocks) else { continue }
      let reader = ByteReader(bytes, memory.byteOrder)
      let places = (0..<blocks).compactMap { reader.u32(4 * $0).map { Int($0) } } + [Int(start - names)]
      // Damage to the marks themselves leaves most of them in order.
      let inOrder = zip(places, places.dropFirst()).count { $0 < $1 && $1 - $0 < 1 << 16 }
      if places[0] == 0, inOrder >= blocks - max(1, blocks / 8) { return places }
    }
    return []
  }

  /// Where the tokens lie that are known by their text, where VMCOREINFO does not say it (before 6.0).
  private func tokensBehindNames(_ memory: KernelMemory) -> UInt64? {
    let wanted = text.prefix(64)
    guard wanted.count == 64, wanted.contains(where: { $0 != 0 }) else { return nil }
    let piece = 64 << 10
    let start = names.rawValue & ~7
    for number in 0..<(64 * count + 4096) / piece + 1 {
      let place = start &+ UInt64(number * piece)
      guard let bytes = try? memory.read(VirtualAddress(place), count: piece + 64) else { continue }
      // It is aligned to 8.
      for offset in stride(from: 0, to: piece, by: 8)
      where bytes[offset] == wanted[0] && bytes[offset..<offset + 64].elementsEqual(wanted) {
        return place &+ UInt64(offset)
      }
    }
    return nil
  }
}
