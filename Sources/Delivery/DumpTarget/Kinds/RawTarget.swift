internal import DumpBasics
internal import LinuxSystem
internal import CoreEncoding

/// `raw:/dev/DISK`: the dump alone, on a disk without a file system.
struct RawTarget: TargetKind {
  static let form = "raw:/dev/DISK"
  let device: BlockDeviceName

  init?(parsing word: String) throws(DumpError) {
    guard let text = word.dropping(prefix: "raw:") else { return nil }
    guard let device = BlockDeviceName(text) else {
      throw DumpError(.usage, "there is no disk's name behind raw:", at: word, advice: "write raw:/dev/vdb or raw:PARTUUID=...")
    }
    if case .tag(_, "") = device {
      throw DumpError(.usage, "the value after = is missing", at: word, advice: "write raw:PARTUUID=...")
    }
    self.device = device
  }

  func isPresent() -> Bool { device.resolve() != nil }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    guard let path = device.resolve() else {
      throw DumpError(
        .usage, "there is no such disk", at: device.description,
        advice: "is its driver loaded, and does it need more time to appear (wait=SECONDS)?")
    }
    return try RawDestination(path, dumpName: dump.directoryName, force: dump.transfer.force)
  }
}

final class RawDestination: Destination {
  let acceptsSideFiles = false
  private let sink: RawSink
  /// The room for a dump, in bytes.
  let room: UInt64?

  /// `path` is a disk, or in tests an image of one.
  init(_ path: String, dumpName: String, force: Bool) throws(DumpError) {
    let disk = try RawDisk(path, forWriting: true)
    guard disk.room > 0 else {
      throw DumpError(.usage, "it has \(disk.size) bytes: too small", at: path, advice: "name a disk of more than 2 MiB")
    }
    if !force { try disk.requireFree() } else { try disk.clearMargins() }
    room = disk.room
    sink = try RawSink(disk, dumpName: dumpName)
  }

  var name: String { sink.name }
  func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    try sink.begin(fileName)
    return sink
  }
  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {}

  func complete() throws(DumpError) -> String {
    try sink.end(.whole)
    return name
  }

  func abandon(note: String) -> String {
    // What led here is told already.
    try? sink.end(.cut)
    return name
  }
}

/// The dump from the disk's second MiB on. The header follows: where the power fails, it says how much is
/// there.
final class RawSink: DumpSink {
  let name: String
  private let disk: RawDisk
  private var header: RawHeader
  private var position: UInt64 = 0
  private var checksum: UInt32 = 0
  /// Bytes that the header on the disk knows of.
  private var noted: UInt64 = 0
  /// Where earlier pieces ended, with the checksum there: the dump may be cut at one of them.
  private var borders: [(position: UInt64, checksum: UInt32)] = [(0, 0)]
  private var isBegun = false

  /// Bytes between two headers: what is there doubles, up to this.
  private static let step: UInt64 = 16 << 20
  private static let borderLimit = 4096

  init(_ disk: consuming RawDisk, dumpName: String) throws(DumpError) {
    name = "raw:\(disk.path)"
    header = RawHeader(
      state: .writing, time: UInt64(max(0, System.secondsSince1970)), name: dumpName, fileName: "vmcore.elf.gz")
    self.disk = disk
  }

  func begin(_ fileName: String) throws(DumpError) {
    header.fileName = fileName
    try disk.write(header)
    isBegun = true
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    if bytes.count == 0 { return }
    guard UInt64(bytes.count) <= disk.room - position else {
      throw DumpError(.full, "the disk ends here", at: name)
    }
    unsafe try disk.file.write(bytes, at: RawHeader.margin + position)
    position += UInt64(bytes.count)
    checksum = unsafe CRC32.of(bytes, from: checksum)
    if borders.count >= RawSink.borderLimit { borders.removeFirst(RawSink.borderLimit / 2) }
    borders.append((position, checksum))
    if position - noted >= min(RawSink.step, max(noted, 1 << 20)) {
      try disk.file.synchronize()
      try note(.writing)
    }
  }

  func finish() throws(DumpError) { try disk.file.synchronize() }

  func cut(to count: UInt64) throws(DumpError) {
    guard let border = borders.last(where: { $0.position <= count }) else { return }
    (position, checksum) = border
  }

  /// What is there is on the disk, then the header says so.
  func end(_ state: RawHeader.State) throws(DumpError) {
    guard isBegun else { return }
    // Where the disk fails at the end, its start may still be told of.
    do throws(DumpError) { try disk.file.synchronize() } catch { if state == .whole { throw error } }
    // Nothing is nothing to be saved.
    try note(state == .cut && position == 0 ? .saved : state)
  }

  private func note(_ state: RawHeader.State) throws(DumpError) {
    header.state = state
    header.length = position
    header.checksum = checksum
    try disk.write(header)
    noted = position
  }
}
