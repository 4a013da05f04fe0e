import CrashedKernel
import DumpBasics
import Testing

/// Whatever a dump holds, reading the log ends soon and does not trap.
@Suite struct FuzzTests {
  /// Values that break careless arithmetic, besides random ones.
  private static let nasty: [UInt64] = [0, 1, 3, 7, 8, 0x7fff_ffff, 0xffff_ffff, 1 << 62, 3 << 62, 1 << 63, .max, .max - 7]

  @Test(.timeLimit(.minutes(2)), arguments: [4, 5])
  func mutatedRingsAndPageTablesNeitherTrapNorHang(levels: Int) throws {
    var ring = SyntheticRing(SyntheticMachine(levels: levels), countBits: 5, sizeBits: 10)
    for number in 0..<60 as Range<UInt64> { ring.add("record \(number)\nsecond line", at: number << 24) }
    var random = FixedRandom(state: UInt64(levels))
    var rendered = 0
    let places: [Range<UInt64>] = [
      SyntheticRing.structure..<SyntheticRing.structure + 80, SyntheticRing.base..<SyntheticRing.base + 8,
      ring.descriptors..<ring.descriptors + 32 * 24, ring.infos..<ring.infos + 32 * 88, ring.text..<ring.text + 1024,
      0x100_1000..<0x100_6000,
    ]
    for _ in 0..<2000 {
      var damaged = ring
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let place = places.randomElement(using: &random)!
        let at = UInt64.random(in: place, using: &random) & ~7
        let old = damaged.machine.u64(at)
        let value: UInt64 =
          switch Int.random(in: 0..<4, using: &random) {
          case 0: FuzzTests.nasty.randomElement(using: &random)!
          case 1: old ^ 1 << UInt64.random(in: 0..<64, using: &random)
          case 2: old &+ UInt64.random(in: 0..<512, using: &random) &- 256
          default: random.next()
          }
        damaged.machine.write(at, u64: value)
      }
      if let log = try? damaged.log() {
        rendered += 1
        // Valid UTF-8 without control characters but tabs and newlines.
        #expect(Array(log.text.utf8) == log.bytes)
        #expect(
          log.text.unicodeScalars.allSatisfy {
            $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) || [9, 10].contains($0.value)
          })
      }
    }
    // Damage mostly costs records, not the log: the others hit what leads to the ring.
    #expect(rendered > 500)
  }

  @Test(.timeLimit(.minutes(1)))
  func mutatedVMCOREINFONeitherTrapsNorHangs() throws {
    var ring = SyntheticRing()
    for number in 0..<20 { ring.add("record \(number)", at: 0) }
    var random = FixedRandom(state: 99)
    for _ in 0..<2000 {
      var damaged = ring
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = damaged.machine.info.indices.randomElement(using: &random)!
        let key = damaged.machine.info[index].prefix { $0 != "=" }
        let value = FuzzTests.nasty.randomElement(using: &random)!
        damaged.machine.info[index] =
          switch Int.random(in: 0..<5, using: &random) {
          case 0: "\(key)=\(value)"
          case 1: "\(key)=\(String(value, radix: 16))"
          case 2: "\(key)=\(Int.random(in: 0..<200, using: &random))"
          case 3: String(key)
          default: "\(key)=-\(value)"
          }
      }
      let kernel = CrashedKernel(damaged.machine.source)
      _ = try? kernel.log()
      _ = kernel.memory?.touchedPages
    }
  }
}
