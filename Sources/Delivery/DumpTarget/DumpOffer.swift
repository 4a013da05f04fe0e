public import DumpBasics
public import SoftBoot

/// What a target may ask of the dump that it is opened for.
public protocol DumpOffer {
  /// The name of the dump directory, for targets that have directories.
  var directoryName: String { get }
  /// How it is to travel.
  var transfer: TransferOptions { get }
  /// Opens a region of memory for the dump: in `windows` that were set aside, or, where that is nil, in
  /// memory that the crashed kernel did not use. Throws `.usage` for a dump that can't go there.
  func openRegion(_ windows: RegionExtents?) throws(DumpError) -> any Destination
}

/// A dump of which only the name counts.
public struct NamedDump: DumpOffer, Sendable {
  public let directoryName: String
  public let transfer: TransferOptions

  public init(_ directoryName: String, _ transfer: TransferOptions = TransferOptions()) {
    self.directoryName = directoryName
    self.transfer = transfer
  }

  public func openRegion(_ windows: RegionExtents?) throws(DumpError) -> any Destination {
    throw DumpError(
      .usage, "memory: takes the dump of a crashed kernel alone", at: "memory:", advice: "name a directory or a file")
  }
}
