public import DumpBasics
internal import LinuxSystem

/// Memory at physical addresses of this machine: what a region lies in. For one thread at a time.
public protocol RegionMemory: AnyObject {
  /// What it is called in messages, e.g. `/dev/mem`.
  var name: String { get }
  func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError)
  /// What was written is in memory, not in a cache of the processor, when this returns.
  func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) throws(DumpError)
  /// Called before what was written is declared to be there.
  func settle() throws(DumpError)
}

extension RegionMemory {
  public func settle() throws(DumpError) {}

  public func bytes(at address: UInt64, count: Int) throws(DumpError) -> [UInt8] {
    unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in unsafe try read(at: address, into: buffer) }
  }

  public func write(_ bytes: [UInt8], at address: UInt64) throws(DumpError) {
    unsafe try bytes.lent { (buffer) throws(DumpError) in unsafe try write(buffer, at: address) }
  }
}

/// Memory by a device: `/dev/mem`, where an offset is a physical address, or `/dev/pmemN`, which begins at
/// `base`.
public final class DeviceMemory: RegionMemory {
  private let device: MappedDevice
  private let base: UInt64
  public var name: String { device.path }

  public init(_ path: String = "/dev/mem", base: UInt64 = 0, writable: Bool = true) throws(DumpError) {
    device = try MappedDevice(path, writable: writable)
    self.base = base
  }

  public func read(at address: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    unsafe try device.read(at: try offset(address), into: buffer)
  }

  public func write(_ bytes: UnsafeRawBufferPointer, at address: UInt64) throws(DumpError) {
    unsafe try device.write(bytes, at: try offset(address))
  }

  public func settle() throws(DumpError) { try device.synchronize() }

  private func offset(_ address: UInt64) throws(DumpError) -> UInt64 {
    guard address >= base else { throw DumpError("\(hex(address)) is not in this memory", at: name) }
    return address - base
  }
}
