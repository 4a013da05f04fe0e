internal import DumpBasics

/// The lockless ring buffer of 5.10 and later: a ring of descriptors, one of infos beside it, one of text.
///
/// kernel/printk/printk_ringbuffer.{h,c}. The layout comes from VMCOREINFO (`log_buf_vmcoreinfo_setup`).
struct PrintkRing {
  /// Descriptors: kernels have at most 2^26 (log_buf_len of 2 GiB); with more than this the ring counts as
  /// damaged.
  private static let countBitsLimit: UInt32 = 24
  /// Text: LOG_BUF_LEN_MAX is 2^31 bytes. Read record by record, so that this allocates nothing.
  private static let sizeBitsLimit: UInt32 = 31
  /// So many descriptors in a row that can't be read end the search: the ring is not there.
  private static let unreadableLimit = 8192

  /// An id has 62 bits; the two above them are the descriptor's state (DESC_FLAGS_SHIFT, 64-bit machines).
  private static let idMask: UInt64 = (1 << 62) - 1
  private enum Descriptor: UInt64 {
    case reserved = 0
    case committed = 1
    case finalized = 2
    case reusable = 3
  }

  private let memory: KernelMemory
  // Descriptors and infos: where, how many, their layout.
  private let descriptors: VirtualAddress
  private let infos: VirtualAddress
  private let count: UInt64
  private let descriptorSize: UInt64
  private let infoSize: UInt64
  private let stateOffset: UInt64
  private let beginOffset: UInt64
  private let nextOffset: UInt64
  private let timeOffset: UInt64
  private let lengthOffset: UInt64
  private let layout: LogRecordLayout
  // The first and the last id.
  private let tail: UInt64
  private let head: UInt64
  // The ring of text.
  private let text: VirtualAddress
  private let textSize: UInt64

  init(_ memory: KernelMemory, _ info: VMCoreInfo) throws(DumpError) {
    self.memory = memory
    let ring = try memory.pointer(try info.requireSymbol("prb"))

    // Every sum here is of a few values that `VMCoreInfo.layoutLimit` bounds.
    let descriptorRing = try info.requireOffset("printk_ringbuffer.desc_ring")
    let textRing = try info.requireOffset("printk_ringbuffer.text_data_ring")
    let counter = try info.requireOffset("atomic_long_t.counter")
    let position = try info.requireOffset("prb_desc.text_blk_lpos")
    descriptorSize = UInt64(try info.requireSize("prb_desc"))
    infoSize = UInt64(try info.requireSize("printk_info"))
    stateOffset = UInt64(try info.requireOffset("prb_desc.state_var") + counter)
    beginOffset = UInt64(position + (try info.requireOffset("prb_data_blk_lpos.begin")))
    nextOffset = UInt64(position + (try info.requireOffset("prb_data_blk_lpos.next")))
    timeOffset = UInt64(try info.requireOffset("printk_info.ts_nsec"))
    lengthOffset = UInt64(try info.requireOffset("printk_info.text_len"))
    layout = .ofRing(lengthOffset: lengthOffset, callerOffset: info.offset("printk_info.caller_id"))

    func field(_ base: Int, _ name: String, _ more: Int = 0) throws(DumpError) -> VirtualAddress {
      try ring.inside(UInt64(base + (try info.requireOffset(name)) + more))
    }
    let countBits = try memory.u32(try field(descriptorRing, "prb_desc_ring.count_bits"))
    let sizeBits = try memory.u32(try field(textRing, "prb_data_ring.size_bits"))
    guard (1...PrintkRing.countBitsLimit).contains(countBits), (4...PrintkRing.sizeBitsLimit).contains(sizeBits) else {
      throw DumpError(
        "the ring's sizes are absurd: 2^\(countBits) descriptors, 2^\(sizeBits) bytes of text", at: "prb \(ring)")
    }
    count = 1 << UInt64(countBits)
    textSize = 1 << UInt64(sizeBits)
    descriptors = try memory.pointer(try field(descriptorRing, "prb_desc_ring.descs"))
    infos = try memory.pointer(try field(descriptorRing, "prb_desc_ring.infos"))
    text = try memory.pointer(try field(textRing, "prb_data_ring.data"))
    tail = try memory.u64(try field(descriptorRing, "prb_desc_ring.tail_id", counter)) & PrintkRing.idMask
    head = try memory.u64(try field(descriptorRing, "prb_desc_ring.head_id", counter)) & PrintkRing.idMask
    // With these, no address of a descriptor, info or text byte leaves the address space.
    _ = try descriptors.inside(count * descriptorSize)
    _ = try infos.inside(count * infoSize)
    _ = try text.inside(textSize)
  }

  /// From the newest record back, so that a limit costs the oldest.
  func render() -> KernelLog {
    var tally = LogTally()
    var reversed: [UInt8] = []
    var entries: [LogRecord] = []
    var line = LogText()
    let last = (head &- tail) & PrintkRing.idMask
    let order: IDs
    if last < count {
      order = .range(head: head, count: last + 1)
    } else {
      tally.findings.append(
        DumpError(
          "first and last record (\(hex(tail)), \(hex(head))) do not fit a ring of \(count)", at: "kernel log",
          advice: "all descriptors are looked through"))
      order = .list(survivors())
    }
    var unreadable = 0
    for index in 0..<order.count {
      line.removeAll()
      do throws(DumpError) {
        let record = try append(order.id(index), &line, &tally)
        if let record, line.bytes.count <= KernelLog.textLimit - reversed.count { entries.append(record) }
        unreadable = 0
      } catch {
        tally.damaged += 1
        unreadable += 1
        if unreadable == PrintkRing.unreadableLimit {
          tally.findings.append(error.inside("kernel log, \(unreadable) descriptors in a row can't be read"))
          break
        }
      }
      if line.bytes.count > KernelLog.textLimit - reversed.count {
        tally.findings.append(
          DumpError("longer than \(humanBytes(UInt64(KernelLog.textLimit)))", at: "kernel log", advice: "its end is kept"))
        break
      }
      if !line.bytes.isEmpty { tally.records += 1 }
      reversed += line.bytes.reversed()
    }
    reversed.reverse()
    entries.reverse()
    // Each record's text stands behind its own time, and its line behind that of the record before it.
    var start = 0
    for index in entries.indices {
      let text = entries[index].text
      entries[index].text = start + text.lowerBound..<start + text.upperBound
      start += text.upperBound + 1
    }
    return tally.log(.ring, reversed, entries)
  }

  /// The ids to look at, newest first.
  private enum IDs {
    case range(head: UInt64, count: UInt64)
    case list([UInt64])

    var count: UInt64 {
      switch self {
      case .range(_, let count): count
      case .list(let ids): UInt64(ids.count)
      }
    }
    func id(_ index: UInt64) -> UInt64 {
      switch self {
      case .range(let head, _): (head &- index) & PrintkRing.idMask
      case .list(let ids): ids[Int(index)]
      }
    }
  }

  /// Ids of all descriptors that hold a record and stand where they should, newest first. At most `count`.
  private func survivors() -> [UInt64] {
    var ids: [UInt64] = []
    var unreadable = 0
    for slot in 0..<count {
      guard let value = try? memory.u64(VirtualAddress(descriptors.rawValue + slot * descriptorSize + stateOffset)) else {
        unreadable += 1
        if unreadable == PrintkRing.unreadableLimit { break }
        continue
      }
      unreadable = 0
      let id = value & PrintkRing.idMask
      let state = Descriptor(rawValue: value >> 62)
      if id & (count - 1) == slot, state == .committed || state == .finalized { ids.append(id) }
    }
    // The first ids ever are just below 2^62 (DESC0_ID is -(count + 1)): as signed numbers they come before
    // 0.
    return ids.sorted { Int64(bitPattern: $0 << 2) > Int64(bitPattern: $1 << 2) }
  }

  /// Record `id` and its line, if it has text.
  ///
  /// - Throws: when it can't be read.
  private func append(_ id: UInt64, _ line: inout LogText, _ tally: inout LogTally) throws(DumpError) -> LogRecord? {
    let slot = id & (count - 1)
    let descriptor = descriptors.rawValue + slot * descriptorSize
    let value = try memory.u64(VirtualAddress(descriptor + stateOffset))
    guard value & PrintkRing.idMask == id else {
      // A writer has just taken the id: the descriptor is as it was a round before, or has never been used
      // (0).
      let before = (id &- count) & PrintkRing.idMask | Descriptor.reusable.rawValue << 62
      if value != before, value != 0 { tally.damaged += 1 }
      return nil
    }
    switch Descriptor(rawValue: value >> 62) {
    case .committed, .finalized:
      break
    case .reserved:
      tally.unfinished += 1
      return nil
    case .reusable, nil:
      return nil
    }
    let begin = try memory.u64(VirtualAddress(descriptor + beginOffset))
    let next = try memory.u64(VirtualAddress(descriptor + nextOffset))
    // Same positions: no data (an empty line, or no room for the text). makedumpfile prints nothing for
    // either.
    var start = begin & (textSize - 1)
    var end = next & (textSize - 1)
    if start == end { return nil }
    if start > end {
      // Up to 6.17 a block that reaches the end of the ring lies wholly at its beginning. Since 6.18 (commit
      // 67e1b0052f6b) one that ends exactly there stays where it is; makedumpfile 1.7.2 does not know that.
      if end == 0 { end = textSize } else { start = 0 }
    }
    // A block begins with the id of its record; text follows.
    guard end - start >= 8, try memory.u64(VirtualAddress(text.rawValue + start)) & PrintkRing.idMask == id else {
      tally.damaged += 1
      return nil
    }
    let info = infos.rawValue + slot * infoSize
    let time = try memory.u64(VirtualAddress(info + timeOffset))
    let length = UInt64(try memory.u16(VirtualAddress(info + lengthOffset)))
    let bytes = try memory.read(
      VirtualAddress(text.rawValue + start + 8), count: Int(min(length, end - start - 8)))
    var record = layout.record(memory, at: info, nanoseconds: time)
    record.text = line.append(nanoseconds: time, bytes)
    return record
  }
}

extension VirtualAddress {
  /// The address `offset` bytes on.
  ///
  /// - Throws: past the end of the address space.
  func inside(_ offset: UInt64) throws(DumpError) -> VirtualAddress {
    guard let sum = advanced(by: offset) else {
      throw DumpError("runs past the end of the address space", at: "kernel address \(self)")
    }
    return sum
  }
}
