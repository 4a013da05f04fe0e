public import DumpBasics
public import DumpSource

/// A source whose bytes are changed, delayed or refused on their way, as a device that still writes to memory
/// does.
public final class UnsteadySource: DumpSource {
  private let base: any DumpSource
  public let isLive: Bool
  private let change: @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws(DumpError) -> Void

  /// `change` gets every address that is read and the bytes from it on, in whichever thread reads.
  public init(
    _ base: any DumpSource, isLive: Bool = false,
    _ change: @escaping @Sendable (UInt64, UnsafeMutableRawBufferPointer) throws(DumpError) -> Void
  ) {
    self.base = base
    self.isLive = isLive
    self.change = change
  }

  public var name: String { base.name }
  public var identity: MachineIdentity { base.identity }
  public var segments: [MemorySegment] { base.segments }
  public var notes: [DumpNote] { base.notes }
  public var shortfall: Shortfall? { base.shortfall }
  public func coverage() -> [Coverage] { base.coverage() }

  public func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    try base.read(at: address, into: buffer)
    try change(address.rawValue, buffer)
  }
}
