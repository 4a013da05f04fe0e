internal import CrashedKernel
internal import DumpBasics

/// All names of the kernel with their addresses: kallsyms, unpacked as it is asked for.
///
/// One pass at the start notes where every 64th name begins and looks up the names that are known to be
/// wanted. The kernel's own marks (kallsyms_markers) say where every 256th begins: damage costs no more than
/// the names between two of them.
final class KallsymsTable {
  let count: Int
  private let names: TableBytes
  private let offsets: TableBytes
  private let offsetsAddress: UInt64
  private let base: UInt64?
  private let text: [UInt8]
  private let bounds: [Range<Int>]
  private var form = KallsymsTables.AddressForm.fromBase
  /// Where names 0, 64, 128 … begin, by the first pass.
  private var marks: [UInt32] = []
  /// Where names 0, 256, 512 … begin, and behind the last where names end: the kernel's own statement. Empty:
  /// not found.
  private let blocks: [Int]
  private var known: [String: Int] = [:]
  /// Names in damaged parts of the table.
  private(set) var lostNames = 0
  /// Whether the time is up; asked now and then in a pass.
  private let isOver: () -> Bool

  static let blockSize = 256

  /// Nil when VMCOREINFO does not lead to the tables, or they give none of the symbols that it names too the
  /// address that it has. `init_uts_ns` is a variable: without CONFIG_KALLSYMS_ALL the tables have functions
  /// only, `_stext` among them.
  convenience init?(_ info: VMCoreInfo, _ memory: KernelMemory, wanted: [String], isOver: @escaping () -> Bool = { false }) {
    let probes = ["init_uts_ns", "_stext"].compactMap { name in info.symbol(name).map { (name, $0.rawValue) } }
    guard !probes.isEmpty, let tables = KallsymsTables(info, memory) ?? KallsymsTables(searching: info, memory) else {
      return nil
    }
    self.init(
      count: tables.count,
      // Real names take 13 to 18 bytes each. A damaged table must not be followed through all of memory.
      names: TableBytes(memory, tables.names.rawValue, count: 64 * tables.count + 4096),
      offsets: TableBytes(memory, tables.offsets.rawValue, count: 4 * tables.count), at: tables.offsets.rawValue,
      base: tables.base, text: tables.text, bounds: tables.bounds, blocks: tables.blocks(info, memory), wanted: wanted,
      probes: probes, isOver: isOver)
  }

  init?(
    count: Int, names: TableBytes, offsets: TableBytes, at offsetsAddress: UInt64, base: UInt64?, text: [UInt8],
    bounds: [Range<Int>], blocks: [Int] = [], wanted: [String], probes: [(name: String, address: UInt64)],
    isOver: @escaping () -> Bool = { false }
  ) {
    self.isOver = isOver
    // A token of hundreds of letters is a lie, and would make names endless.
    guard bounds.count == 256, bounds.allSatisfy({ $0.upperBound <= text.count && $0.count <= 512 }) else { return nil }
    self.count = count
    self.names = names
    self.offsets = offsets
    self.offsetsAddress = offsetsAddress
    self.base = base
    self.text = text
    self.bounds = bounds
    self.blocks = blocks.count == (count + KallsymsTable.blockSize - 1) / KallsymsTable.blockSize + 1 ? blocks : []
    search(wanted + probes.map(\.name), isFirst: true)
    let forms = probes.lazy.compactMap { probe in
      self.known[probe.name].flatMap { index in
        KallsymsTables.AddressForm.allCases.first { self.address(index, $0) == probe.address }
      }
    }
    guard let form = forms.first else { return nil }
    self.form = form
  }

  // MARK: by name

  /// The address of the first symbol of this name.
  func address(of name: String) -> UInt64? {
    if let index = known[name] { return index < 0 ? nil : address(index) }
    search([name], isFirst: false)
    if known[name] == nil { known[name] = -1 }
    return address(of: name)
  }

  /// One pass through all names. Those of `wanted` that are there get into `known`, the others too, as -1.
  private func search(_ wanted: [String], isFirst: Bool) {
    var sought = SoughtNames()
    for name in wanted where known[name] == nil { sought.insert(name) }
    var pass = NamePass(text: text, bounds: bounds, sought: sought, count: count)
    var left = sought.names.count
    while pass.index < count, isFirst || left > 0, !isOver() {
      let start = pass.index
      let block = start / KallsymsTable.blockSize
      let end = blocks.isEmpty ? count : min(count, start + KallsymsTable.blockSize)
      if !blocks.isEmpty { pass.place = blocks[block] }
      let found = search(&pass, upTo: end)
      // What does not end where the next block begins is damaged, and whose name is whose can't be told.
      if !blocks.isEmpty, pass.index != end || (end < count ? pass.place != blocks[block + 1] : pass.place > blocks[block + 1]) {
        pass.forget(start..<end)
        lostNames += isFirst ? end - start : 0
        pass.index = end
        continue
      }
      for (name, index) in found where known[name] == nil {
        known[name] = index
        left -= 1
      }
      if pass.index < end {
        lostNames += isFirst && !isOver() ? count - pass.index : 0
        break
      }
    }
    if isFirst { marks = pass.marks }
    for name in sought.names.values where known[name] == nil { known[name] = -1 }
  }

  /// Goes on to name `end`, or to what can't be read.
  private func search(_ pass: inout NamePass, upTo end: Int) -> [(name: String, index: Int)] {
    var found: [(String, Int)] = []
    while pass.index < end, !isOver(), let (piece, start) = names.piece(at: pass.place) {
      while let hash = pass.next(in: piece.span, from: start, upTo: end) {
        if let name = pass.sought.names[hash] { found.append((name, pass.index - 1)) }
      }
      if pass.index >= end || pass.isSpent { break }
      if pass.place >= start + piece.count { continue }
      // A name across two pieces.
      guard let (tokens, length) = head(pass.place) else { break }
      pass.mark()
      var hash = NameHash()
      spell(tokens, length) { hash.add($0) }
      if let name = pass.sought.names[hash.value] { found.append((name, pass.index)) }
      pass.place = tokens + length
      pass.index += 1
    }
    return found
  }

  /// Where the tokens of the name at `place` begin, and how many they are. Lengths from 128 on take two
  /// bytes.
  @inline(__always) private func head(_ place: Int) -> (start: Int, length: Int)? {
    guard let first = names.u8(place) else { return nil }
    if first & 0x80 == 0 { return (place + 1, Int(first)) }
    guard let second = names.u8(place + 1) else { return nil }
    return (place + 2, Int(first & 0x7f) | Int(second) << 7)
  }

  /// The letters of a name without the first, which is its type.
  @inline(__always) private func spell(_ start: Int, _ length: Int, _ letter: (UInt8) -> Void) {
    var letters = 0
    for at in start..<start + length {
      guard letters < NamePass.nameLimit, let token = names.u8(at) else { return }
      for index in bounds[Int(token)] {
        if letters > 0 { letter(text[index]) }
        letters += 1
      }
    }
  }

  // MARK: by number and by address

  /// The name of symbol `index`, printable and cut.
  func name(_ index: Int) -> String? {
    guard index >= 0, index < count, index / NamePass.stride < marks.count, marks[index / NamePass.stride] != NamePass.unknown
    else { return nil }
    var place = Int(marks[index / NamePass.stride])
    for _ in 0..<index % NamePass.stride {
      guard let (start, length) = head(place) else { return nil }
      place = start + length
    }
    guard let (start, length) = head(place) else { return nil }
    var letters: [UInt8] = []
    spell(start, length) { letters.append($0) }
    return cleanText(letters)
  }

  func address(_ index: Int) -> UInt64? { address(index, form) }

  private func address(_ index: Int, _ form: KallsymsTables.AddressForm) -> UInt64? {
    guard let offset = offsets.u32(4 * index) else { return nil }
    return form.address(offset, base, place: offsetsAddress &+ UInt64(4 * index))
  }

  /// The symbol that `address` lies in, as the kernel itself finds it (kernel/kallsyms.c): of several with
  /// one address the first; its size reaches to the next address.
  func symbol(at address: UInt64) -> (name: String, start: UInt64, size: UInt64)? {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      guard let value = self.address(middle) else { return nil }
      if value <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0, let start = self.address(low - 1) else { return nil }
    var first = low - 1
    while first > 0, low - first < 256, self.address(first - 1) == start { first -= 1 }
    let end = low < count ? self.address(low) ?? start : start
    return name(first).map { ($0, start, end > start ? end - start : 0) }
  }

  /// All names that begin with `prefix` are too many to hold: calls `body` with each symbol until it says
  /// false.
  func forEach(_ body: (_ name: [UInt8], _ index: Int) -> Bool) {
    var place = 0
    var letters: [UInt8] = []
    for index in 0..<count {
      guard let (start, length) = head(place) else { return }
      place = start + length
      letters.removeAll(keepingCapacity: true)
      spell(start, length) { letters.append($0) }
      if !body(letters, index) { return }
    }
  }
}

/// Text of the dump as one line: printable ASCII, all else a question mark.
func cleanText(_ bytes: some Sequence<UInt8>) -> String {
  String(decoding: bytes.map { (0x20...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
}
