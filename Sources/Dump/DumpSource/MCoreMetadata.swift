public import CoreEncoding

/// What a dump of ours says of itself beyond ELF.
public struct MCoreMetadata: Sendable {
  public var note: MCoreNote
  /// Nil when the file was cut before it, or it is damaged.
  public var trailer: DumpTrailer?
  /// Uncompressed size that the footer states. Nil like the trailer.
  public var fileSize: UInt64?
}
