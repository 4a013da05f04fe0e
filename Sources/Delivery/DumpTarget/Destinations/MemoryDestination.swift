public import DumpBasics
public import SoftBoot

/// The dump alone, in a region of memory. Side files have no place there: the second stage makes them from
/// the dump.
public final class MemoryDestination: Destination {
  public let acceptsSideFiles = false
  private let memory: any RegionMemory
  /// In the end what the dump takes.
  private var extents: RegionExtents
  /// The kernel that saves the dump from there; nil where somebody else sees to that.
  private let normal: NormalKernel?
  private var identity: RegionIdentity
  private let isFitted: Bool
  private var writer: RegionWriter?

  /// `fitted`: what is not needed of `extents` is left out of the region in the end.
  public init(
    _ memory: any RegionMemory, _ extents: RegionExtents, _ identity: RegionIdentity, fitted: Bool, normal: NormalKernel? = nil
  ) {
    self.memory = memory
    self.extents = extents
    self.identity = identity
    isFitted = fitted
    self.normal = normal
  }

  public var name: String { "\(memory.name), " + extents.text }
  public var whereabouts: Whereabouts { .inMemory(extents, next: normal) }

  public func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    identity.fileName = fileName
    let made = try RegionWriter(memory, extents, identity, fitted: isFitted)
    writer = made
    return MemorySink(made, name: name)
  }

  public func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {}

  public func complete() throws(DumpError) -> String {
    guard let writer else { throw DumpError("nothing was written", at: name) }
    extents = try writer.complete()
    return name
  }

  public func abandon(note: String) -> String {
    writer?.abandon()
    return name
  }
}

private final class MemorySink: DumpSink {
  let name: String
  private let writer: RegionWriter
  init(_ writer: RegionWriter, name: String) {
    self.writer = writer
    self.name = name
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) { unsafe try writer.write(bytes) }
  func skip(_ count: UInt64) throws(DumpError) { try writer.skip(count) }
  /// The dump is declared complete by the destination, after all else.
  func finish() throws(DumpError) {}
}
