public import DumpBasics

/// Looks symbols up in the kernel's own table of them, kallsyms, to which VMCOREINFO leads since Linux 6.0
/// (kernel/vmcore_info.c, before 6.9 kernel/crash_core.c). Variables are in it with CONFIG_KALLSYMS_ALL,
/// which distributions set.
///
/// The names are packed (scripts/kallsyms.c): for each symbol a length, then as many numbers of tokens; the
/// first character of what they spell is the symbol's type. Lengths from 128 on take two bytes, since 6.1.
public enum KernelSymbols {
  /// Addresses of those of `names` that were found. Empty where the table is missing, damaged, or of a kind
  /// that is not known: it is believed only if it leads to the address that VMCOREINFO gives for
  /// `init_uts_ns`.
  public static func find(_ names: [String], _ info: VMCoreInfo, _ memory: KernelMemory) -> [String: VirtualAddress] {
    search(names, info, memory).mapValues(\.address)
  }

  /// The address of a variable, and the bytes that it can have at most: to the next symbol, since the table
  /// is sorted by address.
  public static func place(_ name: String, _ info: VMCoreInfo, _ memory: KernelMemory) -> (address: VirtualAddress, room: UInt64)?
  {
    guard let found = search([name], info, memory)[name] else { return nil }
    var index = found.index + 1
    // Some symbols share an address.
    while index < found.tables.count, index <= found.index + 16, let next = found.tables.address(index, found.form) {
      if next.rawValue > found.address.rawValue { return (found.address, next.rawValue - found.address.rawValue) }
      index += 1
    }
    return nil
  }

  private typealias Found = (address: VirtualAddress, index: Int, tables: KallsymsTables, form: KallsymsTables.AddressForm)

  private static func search(_ names: [String], _ info: VMCoreInfo, _ memory: KernelMemory) -> [String: Found] {
    let probe = "init_uts_ns"
    guard let expected = info.symbol(probe), let tables = KallsymsTables(info, memory) else { return [:] }
    let found = SymbolTable(tables: tables).indices(of: names + [probe])
    guard let probeIndex = found[probe], let form = tables.form(of: probeIndex, at: expected) else { return [:] }
    return found.compactMapValues { index in tables.address(index, form).map { ($0, index, tables, form) } }
  }

  private struct SymbolTable {
    let tables: KallsymsTables
    private var text: [UInt8] { tables.text }
    private var bounds: [Range<Int>] { tables.bounds }

    /// The first symbol of each name; ends early when all are found.
    func indices(of names: [String]) -> [String: Int] {
      let wanted = names.map { Array($0.utf8) }
      var found: [String: Int] = [:]
      let filter = NameFilter(
        mayBegin: bounds.map { token in wanted.contains { continues($0, 0, token, skipping: 1) } },
        mayFollow: bounds.map { token in wanted.contains { continues($0, 0, token, skipping: 0) } }, sizes: bounds.map(\.count),
        lengths: wanted.reduce(into: 0) { $0 |= 1 << UInt64($1.count + 1) })
      // Real names take 13 to 18 bytes each. A table that is damaged must not be followed through all of
      // memory.
      var window = NameWindow(tables.memory, tables.names, limit: 64 * tables.count + 4096)
      var passed = 0
      while found.count < names.count, let tokens = window.next(&passed, upTo: tables.count, filter) {
        if let index = wanted.indices.first(where: { spells(window.piece[tokens], wanted[$0]) }), found[names[index]] == nil {
          found[names[index]] = passed - 1
        }
      }
      return found
    }

    /// Whether the tokens are the letter of a type and `name`.
    private func spells(_ tokens: ArraySlice<UInt8>, _ name: [UInt8]) -> Bool {
      var length = -1
      for number in tokens {
        let token = bounds[Int(number)]
        if !continues(name, max(0, length), token, skipping: length < 0 ? 1 : 0) { return false }
        length += token.count
      }
      return length == name.count
    }

    /// Whether `name` goes on at `position` with what the token spells, less its first `skipping` letters.
    private func continues(_ name: [UInt8], _ position: Int, _ token: Range<Int>, skipping: Int) -> Bool {
      if token.count - skipping > name.count - position { return false }
      var place = position
      for letter in token.dropFirst(skipping) {
        if text[letter] != name[place] { return false }
        place += 1
      }
      return true
    }
  }

  /// There are hundreds of thousands of names: nearly all are known for others by their first tokens or their
  /// length.
  private struct NameFilter {
    /// By token: whether a name can begin with it, behind the letter of its type.
    let mayBegin: [Bool]
    /// By token: whether a name can begin with it where that letter was a token of its own.
    let mayFollow: [Bool]
    /// Letters of each token.
    let sizes: [Int]
    /// Lengths with the type's letter, a bit each. No name that is looked for has 63 letters.
    let lengths: UInt64

    @inline(__always) func admits(_ tokens: Span<UInt8>, _ range: Range<Int>) -> Bool {
      guard range.count > 1 else { return false }
      let first = Int(tokens[range.lowerBound])
      guard mayBegin[first], sizes[first] != 1 || mayFollow[Int(tokens[range.lowerBound + 1])] else { return false }
      var length = 0
      for place in range { length &+= sizes[Int(tokens[place])] }  // below 2^14 tokens of less than 2^14 letters
      return lengths >> UInt64(length) & 1 == 1  // 0 from 64 on
    }
  }

  /// The packed names, one after the other, through a piece of the table that is in memory.
  private struct NameWindow {
    private let memory: KernelMemory
    /// Of the piece's first byte.
    private var address: VirtualAddress
    private(set) var piece: [UInt8] = []
    private var position = 0
    private var left: Int
    /// Bytes that are read at a time, if they are mapped in one piece.
    private static let size = 64 << 10

    init(_ memory: KernelMemory, _ address: VirtualAddress, limit: Int) {
      self.memory = memory
      self.address = address
      left = limit
    }

    /// Where the tokens of the next symbol that the filter admits stand in `piece`; `passed` counts the
    /// symbols up to and with that one. Nil behind the last one of `count`, where nothing can be read, and at
    /// the limit, roughly.
    mutating func next(_ passed: inout Int, upTo count: Int, _ filter: NameFilter) -> Range<Int>? {
      repeat {
        var place = position
        let found = NameWindow.step(through: piece.span, &place, &passed, upTo: count, filter)
        position = place
        if let found { return found }
        // The rest of the piece, and what follows it.
      } while passed < count && refill()
      return nil
    }

    private static func step(
      through bytes: Span<UInt8>, _ place: inout Int, _ passed: inout Int, upTo count: Int, _ filter: NameFilter
    ) -> Range<Int>? {
      while passed < count, place < bytes.count {
        var start = place + 1
        var length = Int(bytes[place])
        if length & 0x80 != 0 {
          if start == bytes.count { break }
          length = length & 0x7f | Int(bytes[start]) << 7
          start += 1
        }
        if length > bytes.count - start { break }
        place = start + length
        passed += 1
        if filter.admits(bytes, start..<place) { return start..<place }
      }
      return nil
    }

    /// Moves the piece on to `position`. No symbol is longer than what is read.
    private mutating func refill() -> Bool {
      let rest = Array(piece[position...])
      left -= position
      guard left > 0, rest.count < NameWindow.size, let start = address.advanced(by: UInt64(position)),
        let end = start.advanced(by: UInt64(rest.count)), let mapped = try? memory.mapping(end)
      else { return false }
      guard let more = try? memory.read(end, count: Int(min(mapped.count, UInt64(NameWindow.size)))) else { return false }
      address = start
      piece = rest + more
      position = 0
      return true
    }
  }
}
