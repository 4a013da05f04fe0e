internal import DumpBasics

/// An address of code by name.
struct CodePlace: Equatable {
  var address: UInt64
  /// Nil: no name is known.
  var function: String?
  /// From the function's start.
  var offset: UInt64 = 0
  /// Of the function; 0: not known.
  var size: UInt64 = 0
  var module: String?

  /// `function+0x1a/0x2b [module]`, as the kernel prints it.
  var text: String {
    guard let function else { return hex(address) }
    return "\(function)+\(hex(offset))/\(hex(size))" + (module.map { " [\($0)]" } ?? "")
  }
}

/// Which addresses are code, and what their functions are called.
final class CodePlaces {
  let modules: [LoadedModule]
  let orc: OrcTable?
  private let view: KernelView
  private let kernelText: [Range<UInt64>]
  /// Code that only the kernel's start needs.
  private let startText: Range<UInt64>?
  private let kernelEnd: UInt64
  /// Programs of BPF and trampolines to them: code that was made while the kernel ran.
  private let made: [MadeCode]
  /// All of these by address.
  private let areas: [Area]
  private var known: [UInt64: CodePlace] = [:]
  private static let knownLimit = 4096

  init(_ view: KernelView) {
    self.view = view
    func range(_ start: String, _ end: String) -> Range<UInt64>? {
      guard let start = view.symbol(start), let end = view.symbol(end), start < end else { return nil }
      return start..<end
    }
    startText = range("_sinittext", "_einittext")
    kernelText = [range("_stext", "_etext"), startText].compactMap { $0 }
    kernelEnd = view.symbol("_end") ?? .max
    var orc: OrcTable?
    if let places = view.symbol("__start_orc_unwind_ip"), let placesEnd = view.symbol("__stop_orc_unwind_ip"),
      let entries = view.symbol("__start_orc_unwind"), placesEnd > places,
      (placesEnd - places) / 4 <= UInt64(OrcTable.countLimit)
    {
      let count = Int((placesEnd - places) / 4)
      orc = OrcTable(
        places: TableBytes(view.memory, places, count: 4 * count), at: places,
        entries: TableBytes(view.memory, entries, count: 6 * count))
    }
    self.orc = orc
    if orc == nil, view.names != nil, view.memory.architecture == .x86_64 {
      view.note("no unwind tables: stacks are what looks like return addresses, each marked ?")
    }
    modules = loadedModules(view, orc?.form)
    made = madeCode(view)
    var areas = kernelText.map { Area(range: $0, owner: .kernel) }
    for (index, module) in modules.enumerated() { areas += module.ranges.map { Area(range: $0, owner: .module(index)) } }
    for (index, code) in made.enumerated() { areas.append(Area(range: code.range, owner: .made(index))) }
    self.areas = areas.sorted { $0.range.lowerBound < $1.range.lowerBound }
  }

  private struct Area {
    enum Owner { case kernel, module(Int), made(Int) }

    var range: Range<UInt64>
    var owner: Owner
  }

  /// What an address belongs to. A search by halves: stacks are full of words to ask for, and there may be
  /// thousands of areas.
  private func owner(_ address: UInt64) -> Area.Owner? {
    let low = areas.partitionPoint { $0.range.lowerBound <= address }
    return low > 0 && areas[low - 1].range.contains(address) ? areas[low - 1].owner : nil
  }

  func isCode(_ address: UInt64) -> Bool { owner(address) != nil }

  /// Whether that code keeps a frame pointer, as what BPF's compiler makes does.
  func keepsFramePointer(_ address: UInt64) -> Bool {
    switch owner(address) {
    case nil, .made: true
    case .kernel, .module: false
    }
  }

  func entry(at address: UInt64) -> OrcEntry? {
    switch owner(address) {
    case .module(let index): modules[index].orc?.entry(at: address)
    case .kernel: orc?.entry(at: address)
    case .made, nil: nil
    }
  }

  /// `isReturn`: the address came from a call, which may have been its function's last instruction.
  func place(_ address: UInt64, isReturn: Bool) -> CodePlace {
    let looked = isReturn ? address &- 1 : address
    var place = known[looked] ?? find(looked)
    if known.count < CodePlaces.knownLimit { known[looked] = place }
    if place.function != nil { place.offset = place.offset &+ (address &- looked) }
    place.address = address
    return place
  }

  /// What the function at an address is called, for people: the address where it has no name, `?` for nil.
  func name(ofFunction address: UInt64?) -> String { address.map { place($0, isReturn: false).function ?? hex($0) } ?? "?" }

  private func find(_ address: UInt64) -> CodePlace {
    let owner = owner(address)
    if case .module(let index) = owner {
      let module = modules[index]
      let found = module.symbol(at: address, view)
      return CodePlace(
        address: address, function: found?.name, offset: address &- (found?.start ?? address), size: found?.size ?? 0,
        module: module.name)
    }
    if case .made(let index) = owner {
      let code = made[index]
      let range = code.range
      return CodePlace(
        address: address, function: code.name, offset: address - range.lowerBound, size: range.upperBound - range.lowerBound,
        module: "bpf")
    }
    guard address < kernelEnd, let start = kernelText.map(\.lowerBound).min(), address >= start,
      let found = view.names?.symbol(at: address)
    else { return CodePlace(address: address) }
    return CodePlace(address: address, function: found.name, offset: address &- found.start, size: found.size)
  }

  /// Whether the instruction before `address` is a call: what a return address has to follow.
  func followsCall(_ address: UInt64) -> Bool {
    if view.memory.architecture == .arm64 {
      // BL, and BLR with its forms for signed pointers (Arm ARM C6.2).
      guard address & 3 == 0, let word = view.u32(address &- 4) else { return false }
      return word >> 26 == 0x25 || word & 0xfeff_f000 == 0xd63f_0000
    }
    guard let code = view.bytes(address &- 7, 7) else { return false }
    if code[2] == 0xe8 { return true }
    // ff /2: a call through a register or memory, 2 to 7 bytes.
    for length in 2...7 {
      let at = 7 - length
      if code[at] == 0xff, code[at + 1] >> 3 & 7 == 2 { return true }
    }
    return false
  }

  /// Where the call before `address` goes, when it says so itself (x86_64: e8 and a distance).
  func callTarget(_ address: UInt64) -> UInt64? {
    if view.memory.architecture == .arm64 {
      guard address & 3 == 0, let word = view.u32(address &- 4), word >> 26 == 0x25 else { return nil }
      // 26 bits with a sign, in instructions.
      return address &- 4 &+ UInt64(bitPattern: Int64(Int32(bitPattern: word << 6) >> 4))
    }
    guard let code = view.bytes(address &- 5, 5), code[0] == 0xe8, let distance = ByteReader(code, .little).u32(1) else {
      return nil
    }
    return address &+ UInt64(bitPattern: Int64(Int32(bitPattern: distance)))
  }

  /// Of the code of the start nothing is left to look at: its memory was given back.
  func isReturnAddress(_ address: UInt64) -> Bool {
    isCode(address &- 1) && (followsCall(address) || startText?.contains(address &- 1) == true)
  }
}
