internal import DumpBasics

/// The CPU that firmware started, where another one panicked: it can't be stopped or restarted (an INIT
/// resets the machine), and stays in the kernel that crashed, in the HLT of `native_halt` or in the loop
/// behind it. Were the memory used that it needs, it would run what is written there, and the machine would
/// reset.
struct ParkedProcessor: Sendable {
  /// That kernel's image: code, and all page tables but the top.
  let image: PhysicalRange
  /// The top of its page tables, where that is not in the image. Looked at when it has to look an address up.
  var topTable: PhysicalRange?
  /// The instruction behind the HLT.
  var behindHalt: PhysicalAddress?

  /// What the next kernel must not use, the image first: it is needed always, the table only now and then.
  var memory: [PhysicalRange] {
    guard let topTable, image.intersection(topTable) != topTable else { return [image] }
    return [image, topTable]
  }

  /// Makes it halt again whatever wakes it (docs/soft-boot.md, "CPUs"): its stack, by which it would return,
  /// is not kept. Called when all of the memory was saved.
  func holdInHalt(_ memory: any RegionMemory) throws(DumpError) {
    guard let place = behindHalt else { return }
    let before = try memory.bytes(at: place.rawValue - 1, count: 2)
    guard before[0] == 0xf4, before[1] == 0xe9 || before[1] == 0xc3 else {
      throw DumpError("no HLT and no return behind it", at: "\(memory.name), \(place)")
    }
    // JMP to the HLT.
    try memory.write([0xeb, 0xfd], at: place.rawValue)
  }
}
