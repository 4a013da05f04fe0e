internal import CoreEncoding
internal import DumpBasics

/// What the program headers of a core say of one another: one word that the others contradict is mended where
/// only one value fits, and named in any case.
///
/// A core that a kernel or QEMU wrote has two regularities. In the file its segments follow one another, each
/// from the next page on (`vmcore_init_elf_headers` in fs/proc/vmcore.c, Linux 6.1). And all memory but the
/// kernel's image is seen at one distance, that of the direct map. Neither is a rule of ELF, so a word is
/// doubted only where all other segments keep to it.
struct SegmentWitnesses {
  private(set) var entries: [ELFProgramHeader]
  private(set) var findings: [DumpError] = []
  private let claims: HeaderClaims
  private let name: String
  private let content: any Content
  /// Where the file ends.
  private var fileEnd: UInt64 { content.size }
  /// PT_LOADs and what may be one, by their place in the table.
  private var loads: [Int] = []

  private static let page: UInt64 = 4096
  /// `__START_KERNEL_map` of x86_64: the kernel's image has a mapping of its own from here on.
  private static let imageMap: UInt64 = 0xffff_ffff_8000_0000

  /// NUMBER(phys_base) of each VMCOREINFO: how far the kernel's image was moved in memory. Which of several
  /// is the crashed kernel's is found out later.
  private let physicalBases: [UInt64]

  init(_ claims: HeaderClaims, _ notes: [DumpNote], _ content: any Content) {
    self.claims = claims
    self.content = content
    name = content.name
    physicalBases = notes.filter(\.isVMCoreInfo).compactMap(SegmentWitnesses.physicalBase)
    entries = claims.programHeaders
    loads = entries.indices.filter { isLoad($0) }
    types()
    offsets()
    sizes()
    mappings()
    image()
  }

  private static func physicalBase(_ note: DumpNote) -> UInt64? {
    let key = Array("NUMBER(phys_base)=".utf8)
    let line = note.descriptor.split(separator: UInt8(ascii: "\n")).first { $0.starts(with: key) }
    return line.flatMap { Int64(String(decoding: $0.dropFirst(key.count), as: UTF8.self)) }.map { UInt64(bitPattern: $0) }
  }

  /// Mappings of devices, which QEMU lists with neither data nor a place, are none.
  private func isLoad(_ index: Int) -> Bool {
    let entry = entries[index]
    return entry.type == ELFProgramHeader.load && entry.memorySize > 0 && (entry.offset != .max || entry.fileSize > 0)
  }

  private mutating func found(_ index: Int, _ what: String, _ advice: String) {
    findings.append(
      DumpError(
        what, at: "\(name), program header \(index), offset \(hex(claims.offset + UInt64(index * ELF64.programHeaderSize)))",
        advice: advice))
  }

  // MARK: places in the file

  /// Where a segment with this physical address begins in the file when the one before it ends at `end`.
  private static func place(_ entry: ELFProgramHeader, after end: UInt64) -> UInt64? {
    let (sum, overflow) = end.addingReportingOverflow(page - 1)
    return overflow ? nil : (sum / page * page).addingReportingOverflow(entry.physicalAddress % page).partialValue
  }

  private static func end(_ offset: UInt64, _ size: UInt64) -> UInt64? {
    let (end, overflow) = offset.addingReportingOverflow(size)
    return overflow ? nil : end
  }

  /// Whether a segment of `size` bytes at `offset` is followed by what really follows: load `next` of the
  /// list, or the end of the file.
  private func fits(_ offset: UInt64, _ size: UInt64, before next: Int) -> Bool {
    guard let end = SegmentWitnesses.end(offset, size) else { return false }
    if next < loads.count { return SegmentWitnesses.place(entries[loads[next]], after: end) == entries[loads[next]].offset }
    return end <= fileEnd && fileEnd - end < SegmentWitnesses.page
  }

  /// Where load `index` of the list should begin by the one before it, or by the one behind it.
  private func expectedOffset(_ index: Int) -> UInt64? {
    let entry = entries[loads[index]]
    if index > 0 {
      let before = entries[loads[index - 1]]
      return SegmentWitnesses.end(before.offset, before.fileSize).flatMap { SegmentWitnesses.place(entry, after: $0) }
    }
    guard loads.count > 1 else { return nil }
    let next = entries[loads[1]]
    let low = entry.physicalAddress % SegmentWitnesses.page
    guard let length = SegmentWitnesses.place(next, after: clampedSum(low, entry.fileSize)), length <= next.offset else {
      return nil
    }
    return next.offset - length + low
  }

  /// What has a type of its own, and the place of a PT_LOAD: its `p_type` is wrong.
  private mutating func types() {
    let known = [ELFProgramHeader.load, ELFProgramHeader.note]
    for index in entries.indices where !known.contains(entries[index].type) && entries[index].fileSize > 0 {
      let type = hex(UInt64(entries[index].type))
      let position = loads.partitionPoint { $0 < index }
      let before =
        position > 0 ? SegmentWitnesses.end(entries[loads[position - 1]].offset, entries[loads[position - 1]].fileSize) : nil
      let isBehind = before.flatMap { SegmentWitnesses.place(entries[index], after: $0) } == entries[index].offset
      if isBehind || fits(entries[index].offset, entries[index].fileSize, before: position), index > 0 {
        entries[index].type = ELFProgramHeader.load
        loads.insert(index, at: position)
        found(index, "p_type \(type) has the place of a PT_LOAD", "it is taken for one")
      } else if index == 0, !entries.contains(where: { $0.type == ELFProgramHeader.note }) {
        entries[index].type = ELFProgramHeader.note
        found(index, "p_type \(type) has the place of the PT_NOTE", "it is taken for one")
      } else {
        found(index, "a program header of type \(type) with \(entries[index].fileSize) bytes", "it is left out")
      }
    }
  }

  private mutating func offsets() {
    // Each takes a walk through all of the table; so many wrong places are no damage that can be mended.
    var walks = 256
    for index in loads.indices {
      let entry = entries[loads[index]]
      guard let place = expectedOffset(index), place != entry.offset else { continue }
      // Both neighbours have to agree, and what is there now must not.
      guard fits(place, entry.fileSize, before: index + 1), !fits(entry.offset, entry.fileSize, before: index + 1) else {
        continue
      }
      // Segments may stand in any order: a place that is in the file, and that nothing else is at, is right.
      walks -= 1
      if walks < 0 || isAlone(loads[index]) { continue }
      found(
        loads[index], "p_offset \(hex(entry.offset)) does not follow the segment before it",
        "the place between its neighbours is taken: \(hex(place))")
      entries[loads[index]].offset = place
    }
    for index in loads.indices.dropLast() {
      let (one, other) = (entries[loads[index]], entries[loads[index + 1]])
      guard let end = SegmentWitnesses.end(one.offset, min(one.fileSize, one.memorySize)), other.offset >= one.offset,
        end > other.offset,
        one.offset < fileEnd, other.fileSize > 0,
        // The same bytes as the same memory: two mappings of it, as QEMU lists them with paging on.
        one.offset &- one.physicalAddress != other.offset &- other.physicalAddress
      else { continue }
      if fits(one.offset, one.memorySize, before: index + 1) { continue }
      found(
        loads[index],
        "the memory at \(hex(one.physicalAddress)) and that at \(hex(other.physicalAddress)) share a place of the file",
        "one of them is not what was there")
    }
  }

  /// Whether segment `index` of the table lies in the file, and no other one, note or header where it lies.
  /// Where segments fill the file, a wrong place never does.
  private func isAlone(_ index: Int) -> Bool {
    let one = entries[index]
    guard let end = SegmentWitnesses.end(one.offset, one.fileSize), end <= fileEnd,
      one.offset >= clampedSum(claims.offset, UInt64(entries.count * ELF64.programHeaderSize))
    else { return false }
    for other in entries.indices where other != index {
      let entry = entries[other]
      // Two mappings of the same memory share its bytes.
      if entry.fileSize > 0, entry.offset < end, one.offset < clampedSum(entry.offset, entry.fileSize),
        one.offset &- one.physicalAddress != entry.offset &- entry.physicalAddress
      {
        return false
      }
    }
    return true
  }

  private mutating func sizes() {
    // Tools that leave pages out write p_filesz < p_memsz: then it says nothing.
    let different = loads.filter { entries[$0].fileSize != entries[$0].memorySize }
    guard different.count == 1, loads.count > 2, let index = loads.firstIndex(of: different[0]) else { return }
    let entry = entries[loads[index]]
    let byFile = fits(entry.offset, entry.fileSize, before: index + 1)
    let byMemory = fits(entry.offset, entry.memorySize, before: index + 1)
    if byFile, !byMemory {
      // So they do with a segment of which nothing is left.
      if entry.fileSize == 0 { return }
      found(
        loads[index], "p_memsz \(hex(entry.memorySize)) is not p_filesz \(hex(entry.fileSize)), which fits the file",
        "p_filesz is taken for both")
      entries[loads[index]].memorySize = entry.fileSize
    } else if byMemory, !byFile {
      found(
        loads[index], "p_filesz \(hex(entry.fileSize)) is not p_memsz \(hex(entry.memorySize)), which fits the file",
        "p_memsz is taken for both")
      entries[loads[index]].fileSize = entry.memorySize
    } else {
      found(
        loads[index], "p_filesz \(hex(entry.fileSize)) and p_memsz \(hex(entry.memorySize)) differ in this segment alone",
        "one of them is wrong: what both have is sure")
    }
  }

  // MARK: places in memory

  private mutating func mappings() {
    guard claims.header.identity.architecture == .x86_64 else { return }
    let direct = loads.filter { entries[$0].virtualAddress < SegmentWitnesses.imageMap && entries[$0].physicalAddress != .max }
    guard let common = commonDistance(direct) else { return }
    for (position, index) in direct.enumerated() where distance(index) != common {
      let entry = entries[index]
      let by = entry.virtualAddress &- common
      let said = isBetweenNeighbours(direct, position, entry.physicalAddress, common)
      let told = isBetweenNeighbours(direct, position, by, common)
      let what =
        "p_vaddr \(hex(entry.virtualAddress)) and p_paddr \(hex(entry.physicalAddress)) are not as far apart as all others"
      if told, !said || isFar(entry.physicalAddress, from: by, direct) || holdsImage(direct, moving: index, to: by) {
        entries[index].physicalAddress = by
        found(index, what, "p_paddr is wrong: \(hex(by)) is taken")
      } else if said, !told || isFar(by, from: entry.physicalAddress, direct) {
        entries[index].virtualAddress = entry.physicalAddress &+ common
        found(index, what, "p_vaddr is wrong: \(hex(entry.physicalAddress &+ common)) is taken")
      } else {
        found(index, what, "one of them is wrong, and nothing tells which: p_paddr is taken")
      }
    }
  }

  /// How far the direct map is from physical addresses: what most segments say. Of two that differ the one
  /// whose memory holds the kernel's image, which stands in the file a second time by its own mapping.
  private func commonDistance(_ direct: [Int]) -> UInt64? {
    var counts: [UInt64: Int] = [:]
    for index in direct { counts[distance(index), default: 0] += 1 }
    guard counts.count > 1, let (most, count) = counts.max(by: { ($0.value, $0.key) < ($1.value, $1.key) }) else { return nil }
    if count > 1, count * 2 > direct.count, direct.count - count <= 2, most != 0 { return most }
    guard direct.count == 2 else { return nil }
    for (one, other) in [(direct[0], direct[1]), (direct[1], direct[0])] {
      if holdsImage([one], moving: one, to: entries[one].physicalAddress) { return distance(one) }
      if holdsImage([other], moving: other, to: entries[other].virtualAddress &- distance(one)) { return distance(one) }
    }
    return nil
  }

  /// The kernel's image stands in the direct map too: its own segment has to say the same, and lie where the
  /// kernel says.
  private mutating func image() {
    guard claims.header.identity.architecture == .x86_64,
      let index = loads.first(where: {
        entries[$0].virtualAddress >= SegmentWitnesses.imageMap && entries[$0].physicalAddress != .max
      }),
      let base = physicalBases.first
    else { return }
    let entry = entries[index]
    let places = physicalBases.map { entry.virtualAddress &- SegmentWitnesses.imageMap &+ $0 }
    if places.contains(entry.physicalAddress) { return }
    let place = places[0]
    let direct = loads.filter { $0 != index && entries[$0].virtualAddress < SegmentWitnesses.imageMap }
    let what = "the kernel's image is at \(hex(entry.physicalAddress)) by p_paddr, at \(hex(place)) by p_vaddr and phys_base"
    if isIn(direct, index, at: entry.physicalAddress) {
      entries[index].virtualAddress = entry.physicalAddress &- base &+ SegmentWitnesses.imageMap
      found(index, what, "p_paddr is right: the same content is at that place of the direct map")
    } else if isIn(direct, index, at: place) {
      entries[index].physicalAddress = place
      found(index, what, "p_vaddr is right: the same content is at that place of the direct map")
    } else if !direct.isEmpty {
      entries[index].type = 0
      loads.removeAll { $0 == index }
      found(index, what, "neither place has the same content: this copy of the image is left out")
    } else {
      found(index, what, "one of them is wrong: p_paddr is taken")
    }
  }

  /// Whether what load `index` of the table has in the file stands at physical `address` in one of `direct`
  /// too.
  private func isIn(_ direct: [Int], _ index: Int, at address: UInt64) -> Bool {
    let image = entries[index]
    for other in direct {
      let entry = entries[other]
      guard address >= entry.physicalAddress, address - entry.physicalAddress < entry.fileSize,
        let place = SegmentWitnesses.end(entry.offset, address - entry.physicalAddress)
      else { continue }
      return isSame(image.offset, place, of: min(image.fileSize, entry.fileSize - (address - entry.physicalAddress)))
    }
    return false
  }

  /// Whether the kernel's image, which has a segment of its own, is found again in one of `direct`, with
  /// `index` moved to `address`.
  private func holdsImage(_ direct: [Int], moving index: Int, to address: UInt64) -> Bool {
    guard let image = loads.first(where: { entries[$0].virtualAddress >= SegmentWitnesses.imageMap }) else { return false }
    var moved = self
    moved.entries[index].physicalAddress = address
    return moved.isIn(direct, image, at: entries[image].physicalAddress)
  }

  /// Whether two places of the file hold the same, by some pages of `size` bytes; one that is all zeros
  /// proves nothing.
  private func isSame(_ one: UInt64, _ other: UInt64, of size: UInt64) -> Bool {
    var proved = false
    for part in 0..<8 as Range<UInt64> {
      let offset = size / 8 * part / SegmentWitnesses.page * SegmentWitnesses.page
      guard offset + SegmentWitnesses.page <= size, let a = SegmentWitnesses.end(one, offset),
        let b = SegmentWitnesses.end(other, offset),
        let left = try? content.bytes(at: a, count: Int(SegmentWitnesses.page)),
        let right = try? content.bytes(at: b, count: Int(SegmentWitnesses.page))
      else { continue }
      if left != right { return false }
      if left.contains(where: { $0 != 0 }) { proved = true }
    }
    return proved
  }

  /// Whether `address` leaves a hole behind `other` that is many times all of the memory.
  private func isFar(_ address: UInt64, from other: UInt64, _ direct: [Int]) -> Bool {
    let memory = direct.reduce(UInt64(0)) { clampedSum($0, min(entries[$1].memorySize, fileEnd)) }
    return address > other && (address - other) / 64 > memory
  }

  private func distance(_ index: Int) -> UInt64 { entries[index].virtualAddress &- entries[index].physicalAddress }

  /// Whether memory at `address` lies between that of the segments around it, whose distance is the common
  /// one, and has the same place in a page as in the file.
  private func isBetweenNeighbours(_ direct: [Int], _ position: Int, _ address: UInt64, _ common: UInt64) -> Bool {
    let entry = entries[direct[position]]
    guard let end = SegmentWitnesses.end(address, entry.memorySize),
      end <= 1 << claims.header.identity.architecture.physicalAddressBits,
      address % SegmentWitnesses.page == entry.offset % SegmentWitnesses.page
    else { return false }
    if let before = direct[..<position].last(where: { distance($0) == common }),
      clampedSum(entries[before].physicalAddress, entries[before].memorySize) > address
    {
      return false
    }
    if let after = direct[(position + 1)...].first(where: { distance($0) == common }), entries[after].physicalAddress < end {
      return false
    }
    return true
  }
}
