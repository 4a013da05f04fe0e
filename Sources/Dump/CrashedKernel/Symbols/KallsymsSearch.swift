internal import DumpBasics

/// Finds the tables of kallsyms in the kernel's image, where VMCOREINFO does not lead to them (before 6.0).
///
/// scripts/kallsyms.c writes them one after the other, each aligned to 8: offsets, relative_base, num_syms,
/// names, markers, token_table, token_index. The last has an unmistakable form; from it the way leads back.
struct KallsymsSearch {
  let memory: KernelMemory

  struct Found {
    var count: UInt32
    var names: UInt64
    var offsets: UInt64
    var base: UInt64
    var text: [UInt8]
    var starts: [UInt8]
  }

  /// A kernel's text and its constants are smaller.
  private static let reach: UInt64 = 64 << 20
  private static let piece: UInt64 = 64 << 10

  /// Looks through the image from `start` on.
  func find(from start: UInt64) -> Found? {
    var offset: UInt64 = 0
    while offset < KallsymsSearch.reach {
      let address = start &+ offset
      offset += KallsymsSearch.piece
      // With the head of the next piece: the table may lie across.
      guard let bytes = read(address, Int(KallsymsSearch.piece) + 512) ?? read(address, Int(KallsymsSearch.piece)) else {
        continue
      }
      for place in KallsymsSearch.candidates(bytes.span) {
        if let found = tables(address &+ UInt64(place), Array(bytes[place..<place + 512])) { return found }
      }
    }
    return nil
  }

  private func read(_ address: UInt64, _ count: Int) -> [UInt8]? { try? memory.read(VirtualAddress(address), count: count) }
  private func u32(_ address: UInt64) -> UInt32? { try? memory.u32(VirtualAddress(address)) }

  /// Places of 256 numbers of 16 bits that begin with 0 and rise, each by 2 at least and by less than 64.
  private static func candidates(_ bytes: Span<UInt8>) -> [Int] {
    var found: [Int] = []
    var place = 0
    func number(_ index: Int) -> Int { Int(bytes[place + 2 * index]) | Int(bytes[place + 2 * index + 1]) << 8 }
    while place + 512 <= bytes.count {
      if bytes[place] == 0, bytes[place + 1] == 0, bytes[place + 2] != 0 {
        var last = 0
        var index = 1
        while index < 256 {
          let next = number(index)
          if next < last + 2 || next >= last + 64 { break }
          last = next
          index += 1
        }
        if index == 256 { found.append(place) }
      }
      place += 8
    }
    return found
  }

  private func tables(_ tokenIndex: UInt64, _ starts: [UInt8]) -> Found? {
    let index = ByteReader(starts, memory.byteOrder)
    guard let last = index.u16(510) else { return nil }
    // The last token and the padding behind it are some bytes more.
    for length in stride(from: (UInt64(last) + 9) & ~7, through: UInt64(last) + 72, by: 8) {
      let table = tokenIndex &- length
      guard let text = read(table, Int(length)),
        (1..<256).allSatisfy({ number in index.u16(2 * number).map { text[Int($0) - 1] == 0 } ?? false })
      else { continue }
      return names(before: table, text + [0], starts)
    }
    return nil
  }

  /// The markers end where the token table begins: they rise from 0. Before them are the names, before those
  /// the number of symbols, the base and the offsets.
  private func names(before tokenTable: UInt64, _ text: [UInt8], _ starts: [UInt8]) -> Found? {
    var place = tokenTable &- 4
    // An odd number of markers is followed by 4 bytes of padding.
    if u32(place) == 0 { place &-= 4 }
    guard var marker = u32(place), let lastMarker = u32(place), marker != 0 else { return nil }
    var markers: UInt64 = 1
    while marker != 0, markers < 1 << 14 {
      place &-= 4
      guard let before = u32(place), before < marker else { return nil }
      marker = before
      markers += 1
    }
    if marker != 0 { return nil }
    // The names of the last block take at most 256 × 128 bytes.
    for rest in stride(from: UInt64(0), to: 256 * 128, by: 8) {
      let names = (place &- UInt64(lastMarker) &- rest) & ~7
      guard let count = u32(names &- 8), u32(names &- 4) == 0, (UInt64(count) + 255) / 256 == markers,
        let base = try? memory.u64(VirtualAddress(names &- 16)), base >> 56 == 0xff
      else { continue }
      let size = (UInt64(count) * 4 + 7) & ~7
      return Found(count: count, names: names, offsets: names &- 16 &- size, base: base, text: text, starts: starts)
    }
    return nil
  }
}
