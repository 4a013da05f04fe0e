internal import DumpBasics

/// Requests that were on their way to a block device when the machine stopped.
struct BlockRequests {
  struct Request {
    var disk: String
    /// `read`, `write`, `flush`, …
    var operation: String
    var sector: UInt64
    var bytes: UInt64
    /// Nanoseconds since it was made; nil where that is not known.
    var age: UInt64?
    /// Its time is up: the device should have answered by then.
    var isOverdue: Bool
  }

  /// The oldest ones.
  private(set) var shown: [Request] = []
  private(set) var count = 0

  private static let shownLimit = 64
  private static let inodeLimit = 1 << 16
  private static let diskLimit = 1024
  private static let queueLimit = 1024
  /// Tags of one disk, and of all together.
  private static let tagLimit: UInt64 = 1 << 14
  private static let allTagsLimit = 1 << 18

  private let view: KernelView
  private let now: UInt64?
  private let jiffies: UInt64?
  private let operations: [Int64: String]
  private let inFlight: UInt64
  private var tagsLeft = BlockRequests.allTagsLimit

  init(_ view: KernelView, now: UInt64?) {
    self.view = view
    self.now = now
    jiffies = view.symbol("jiffies_64").flatMap { view.u64($0) }
    // `req_opf` up to 6.0.
    let names = view.enumerators("req_op") + view.enumerators("req_opf")
    operations = Dictionary(
      names.map { ($0.value, BlockRequests.plain($0.name)) }, uniquingKeysWith: { first, _ in first })
    let states = view.enumerators("mq_rq_state")
    inFlight = states.first { $0.name == "MQ_RQ_IN_FLIGHT" }.map { UInt64(bitPattern: $0.value) } ?? 1
    guard !states.isEmpty else { return }
    var all: [Request] = []
    for (disk, queue) in disks() {
      if view.isTimeUp { break }
      all += requests(disk, queue)
    }
    count = all.count
    shown = Array(all.sorted { $0.age ?? 0 > $1.age ?? 0 }.prefix(BlockRequests.shownLimit))
  }

  /// `REQ_OP_WRITE_ZEROES` → `write zeroes`.
  private static func plain(_ name: String) -> String {
    let prefix = "REQ_OP_"
    let bytes = name.utf8.starts(with: prefix.utf8) ? Array(name.utf8.dropFirst(prefix.utf8.count)) : Array(name.utf8)
    return cleanText(bytes.map { $0 == 0x5f ? 0x20 : (0x41...0x5a).contains($0) ? $0 + 32 : $0 })
  }

  /// Disks that somebody has opened: each has an inode in the kernel's own file system of block devices.
  private func disks() -> [(name: String, queue: UInt64)] {
    guard let head = view.symbol("super_blocks"), let inside = view.offset("super_block", "s_list"),
      let identity = view.offset("super_block", "s_id"), let inodes = view.offset("super_block", "s_inodes"),
      let link = view.offset("inode", "i_sb_list"), let inode = view.offset("bdev_inode", "vfs_inode"),
      let nameOffset = view.offset("gendisk", "disk_name")
    else { return [] }
    var known: Set<UInt64> = []
    var found: [(String, UInt64)] = []
    for block in view.list(head, inside: inside, limit: 4096, of: "file systems (super_blocks)")
    where view.text(block &+ identity, limit: 8) == "bdev" {
      for node in view.list(block &+ inodes, inside: link, limit: BlockRequests.inodeLimit, of: "block devices") {
        if view.isTimeUp || found.count == BlockRequests.diskLimit { return found }
        // `bdev_inode` begins with its block device.
        guard let disk = view.value(node &- inode, "block_device", "bd_disk"), isKernelAddress(disk), known.insert(disk).inserted,
          let queue = view.value(disk, "gendisk", "queue"), isKernelAddress(queue)
        else { continue }
        found.append((view.text(disk &+ nameOffset, limit: 32) ?? "?", queue))
      }
    }
    return found
  }

  private mutating func requests(_ disk: String, _ queue: UInt64) -> [Request] {
    guard let set = view.value(queue, "request_queue", "tag_set"), isKernelAddress(set),
      let queues = view.value(set, "blk_mq_tag_set", "nr_hw_queues"), let table = view.value(set, "blk_mq_tag_set", "tags"),
      isKernelAddress(table)
    else { return [] }
    var found: [Request] = []
    var known: Set<UInt64> = []
    for index in 0..<min(queues, UInt64(BlockRequests.queueLimit)) {
      // Queues may share one set of tags.
      guard let tags = view.u64(table &+ index &* 8), isKernelAddress(tags), known.insert(tags).inserted,
        let count = view.value(tags, "blk_mq_tags", "nr_tags"), let slots = view.value(tags, "blk_mq_tags", "rqs"),
        isKernelAddress(slots)
      else { continue }
      for tag in 0..<min(count, BlockRequests.tagLimit) {
        tagsLeft -= 1
        if tagsLeft < 0 || view.isTimeUp { return found }
        // A slot keeps what it held last.
        guard let request = view.u64(slots &+ tag &* 8), isKernelAddress(request),
          view.value(request, "request", "state") == inFlight, view.value(request, "request", "q") == queue,
          view.value(request, "request", "tag") == tag
        else { continue }
        found.append(described(request, disk))
      }
    }
    return found
  }

  private func described(_ request: UInt64, _ disk: String) -> Request {
    let operation = Int64((view.value(request, "request", "cmd_flags") ?? 0) & 0xff)
    let start = view.value(request, "request", "start_time_ns").flatMap { $0 == 0 ? nil : $0 }
    let deadline = view.value(request, "request", "deadline") ?? 0
    return Request(
      disk: disk, operation: operations[operation] ?? "operation \(operation)",
      sector: view.value(request, "request", "__sector") ?? 0, bytes: view.value(request, "request", "__data_len") ?? 0,
      age: now.flatMap { now in start.map { now > $0 ? now - $0 : 0 } },
      isOverdue: deadline != 0 && jiffies.map { Int64(bitPattern: $0 &- deadline) > 0 } ?? false)
  }
}
