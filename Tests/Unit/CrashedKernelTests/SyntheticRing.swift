import CrashedKernel
import DumpBasics

/// A printk ring of 5.10 and later, laid out as 6.1 has it: descriptors, infos, text, at physical 0x2000000
/// and on.
struct SyntheticRing {
  var machine: SyntheticMachine
  let countBits: UInt64
  let sizeBits: UInt64
  /// Ids start here: DESC0_ID, -(count + 1) in 62 bits.
  var head: UInt64
  var tail: UInt64
  /// Where the next block of text begins, never reduced modulo the size.
  var position: UInt64 = 0

  static let idMask: UInt64 = (1 << 62) - 1
  static let base: UInt64 = 0x200_0000
  static let virtualBase: UInt64 = 0xffff_8880_0000_0000
  let descriptors = SyntheticRing.base + 0x1000
  var infos: UInt64 { descriptors + (24 << countBits) }
  var text: UInt64 { infos + (88 << countBits) + 0x1000 & ~0xfff }
  static let structure = SyntheticRing.base + 0x100
  var count: UInt64 { 1 << countBits }

  init(_ machine: SyntheticMachine = SyntheticMachine(), countBits: UInt64 = 5, sizeBits: UInt64 = 10) {
    self.machine = machine
    self.countBits = countBits
    self.sizeBits = sizeBits
    head = (0 &- (1 << countBits) &- 1) & SyntheticRing.idMask
    tail = head
    if machine.identity.architecture == .x86_64 {
      for large in 0..<4 as Range<UInt64> {
        let place = SyntheticRing.base + large << 21
        self.machine.map(address(place), place, leaf: 21)
      }
    } else {
      for page in 0..<16 as Range<UInt64> {
        let place = SyntheticRing.base + page << 16
        self.machine.map(address(place), place)
      }
    }
    self.machine.info += [
      "SYMBOL(prb)=\(String(address(SyntheticRing.base), radix: 16))",
      "OFFSET(printk_ringbuffer.desc_ring)=0", "OFFSET(printk_ringbuffer.text_data_ring)=40",
      "OFFSET(prb_desc_ring.count_bits)=0", "OFFSET(prb_desc_ring.descs)=8", "OFFSET(prb_desc_ring.infos)=16",
      "OFFSET(prb_desc_ring.head_id)=24", "OFFSET(prb_desc_ring.tail_id)=32", "SIZE(prb_desc)=24",
      "OFFSET(prb_desc.state_var)=0", "OFFSET(prb_desc.text_blk_lpos)=8", "OFFSET(prb_data_blk_lpos.begin)=0",
      "OFFSET(prb_data_blk_lpos.next)=8", "SIZE(printk_info)=88", "OFFSET(printk_info.ts_nsec)=8",
      "OFFSET(printk_info.text_len)=16", "OFFSET(prb_data_ring.size_bits)=0", "OFFSET(prb_data_ring.data)=8",
      "OFFSET(atomic_long_t.counter)=0",
    ]
    // Descriptors and infos exist before they are used.
    self.machine.write(descriptors, [UInt8](repeating: 0, count: Int((24 + 88) * count)))
    self.machine.write(text, [UInt8](repeating: 0, count: 1 << Int(sizeBits)))
    // As the kernel begins: the last descriptor has the first id and can be used anew; all others are zero.
    self.machine.write(descriptor(tail), u64: tail | 3 << 62)
    writeStructure()
  }

  func address(_ physical: UInt64) -> UInt64 {
    (machine.identity.architecture == .x86_64 ? SyntheticRing.virtualBase : 0xffff_0000_0000_0000) + physical
  }

  mutating func writeStructure() {
    let ring = SyntheticRing.structure
    machine.write(SyntheticRing.base, u64: address(ring))
    machine.write(ring, u32: UInt32(countBits))
    machine.write(ring + 8, u64: address(descriptors))
    machine.write(ring + 16, u64: address(infos))
    machine.write(ring + 24, u64: head)
    machine.write(ring + 32, u64: tail)
    machine.write(ring + 40, u32: UInt32(sizeBits))
    machine.write(ring + 48, u64: address(text))
  }

  func descriptor(_ id: UInt64) -> UInt64 { descriptors + (id & (count - 1)) * 24 }
  func info(_ id: UInt64) -> UInt64 { infos + (id & (count - 1)) * 88 }

  enum Wrap { case upTo617, since618 }

  /// Adds a record as the kernel would, pushing out what is in its way. Returns its id.
  @discardableResult
  mutating func add(_ bytes: [UInt8], at nanoseconds: UInt64, state: UInt64 = 2, wrap: Wrap = .upTo617) -> UInt64 {
    head = (head + 1) & SyntheticRing.idMask
    if (head &- tail) & SyntheticRing.idMask >= count { tail = (tail + 1) & SyntheticRing.idMask }
    let size: UInt64 = 1 << sizeBits
    let block = (UInt64(bytes.count) + 8 + 7) & ~7
    let begin = position
    var next = begin + block
    var start = begin & (size - 1)
    if (wrap == .upTo617 ? next : next - 1) / size != begin / size {
      machine.write(text + start, u64: head)
      next = next / size * size + block
      start = 0
    }
    position = next
    machine.write(text + start, u64: head)
    machine.write(text + start + 8, bytes)
    // Blocks that were in its way: their records can be used anew.
    for older in 1..<count {
      let id = (head &- older) & SyntheticRing.idMask
      let value = machine.u64(descriptor(id))
      if value & SyntheticRing.idMask != id || value >> 62 == 3 || value >> 62 == 0 { continue }
      if next - machine.u64(descriptor(id) + 8) > size { machine.write(descriptor(id), u64: id | 3 << 62) }
    }
    put(head, state: state, begin: begin, next: next, nanoseconds: nanoseconds, length: bytes.count)
    writeStructure()
    return head
  }

  @discardableResult
  mutating func add(_ text: String, at nanoseconds: UInt64, state: UInt64 = 2, wrap: Wrap = .upTo617) -> UInt64 {
    add(Array(text.utf8), at: nanoseconds, state: state, wrap: wrap)
  }

  mutating func put(_ id: UInt64, state: UInt64, begin: UInt64, next: UInt64, nanoseconds: UInt64, length: Int) {
    machine.write(descriptor(id), u64: id | state << 62)
    machine.write(descriptor(id) + 8, u64: begin)
    machine.write(descriptor(id) + 16, u64: next)
    machine.write(info(id) + 8, u64: nanoseconds)
    machine.write(info(id) + 16, u16: UInt16(length))
  }

  func log() throws -> KernelLog { try CrashedKernel(machine.source).log() }
}
