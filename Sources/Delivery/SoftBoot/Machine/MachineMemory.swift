public import DumpBasics
internal import LinuxSystem

/// Memory of this machine that was set aside: through /dev/mem; or, where the driver nd_pmem has claimed it
/// and /dev/mem refuses it from then on, through /dev/pmemN. That may happen at any time while a system
/// boots.
public final class MachineMemory: RegionMemory {
  public let name = "memory"
  /// Nothing else is touched, whatever a head claims.
  private let windows: [PhysicalRange]
  private let waitSeconds: UInt64
  private var hasWaited = false
  private var direct: DeviceMemory?
  private var disks: [(range: PhysicalRange, memory: DeviceMemory)] = []

  /// `waitSeconds`: how long a disk may take to appear, once for all of the memory.
  public init(_ windows: [PhysicalRange], waitSeconds: UInt64) {
    self.windows = windows
    self.waitSeconds = min(waitSeconds, 3600)
    direct = try? DeviceMemory()
  }

  public func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    try reach(address, buffer.count) { (memory) throws(DumpError) in unsafe try memory.read(at: address, into: buffer) }
  }

  public func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) throws(DumpError) {
    try reach(address, bytes.count) { (memory) throws(DumpError) in unsafe try memory.write(bytes, at: address) }
  }

  public func settle() throws(DumpError) { for disk in disks { try disk.memory.settle() } }

  private func reach(
    _ address: UInt64, _ count: Int, _ body: (DeviceMemory) throws(DumpError) -> Void
  ) throws(DumpError) {
    guard let range = PhysicalRange(start: address, count: UInt64(count)),
      windows.contains(where: { $0.intersection(range) == range })
    else { throw DumpError("\(hex(address)) is not in the memory that was set aside", at: name) }
    if let disk = disk(range) { return try body(disk) }
    var failure: DumpError
    if let direct {
      do throws(DumpError) { return try body(direct) } catch { failure = error }
    } else {
      failure = DumpError(.system(1), "/dev/mem can't be used", at: name)
    }
    let end = System.monotonicNanoseconds + waitSeconds * 1_000_000_000
    let watch = DirectoryWatch("/dev")
    while true {
      findDisks()
      if let disk = disk(range) { return try body(disk) }
      // Without the bus of such memory there will be no disk.
      if hasWaited || System.monotonicNanoseconds >= end || System.kind(of: "/sys/bus/nd") == nil { break }
      watch.wait(milliseconds: 300)
    }
    hasWaited = true
    // Who claimed it may have let it go.
    if let direct {
      do throws(DumpError) { return try body(direct) } catch { failure = error }
    }
    throw failure
  }

  private func disk(_ range: PhysicalRange) -> DeviceMemory? {
    disks.first { $0.range.intersection(range) == range }?.memory
  }

  private func findDisks() {
    disks = []
    for disk in (try? System.names(in: "/sys/block")) ?? [] where disk.utf8.starts(with: "pmem".utf8) {
      let path = "/dev/\(disk)"
      guard let start = MachineMemory.number("/sys/block/\(disk)/device/resource"), System.blockDevice(path) != nil,
        let size = try? File(path, .read).size(), let range = PhysicalRange(start: start, count: size),
        let memory = try? DeviceMemory(path, base: start)
      else { continue }
      disks.append((range, memory))
    }
  }

  /// `0x20000000` and a newline.
  private static func number(_ path: String) -> UInt64? {
    (try? System.text(of: path, limit: 64)).flatMap { MemoryMap.number($0.utf8.prefix { $0 > 0x20 }) }
  }
}
