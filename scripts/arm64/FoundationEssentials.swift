// What swift-argument-parser uses of Foundation, for arm64 alone: Debian's Foundation for arm64 is a binary module of another
// compiler than this machine's, and there is no interface of which it could be built anew (arm64-sdk.sh).
//
// Help, completion and errors do not pass here, since no error of mcore is a LocalizedError. What does is
// `--experimental-dump-help`, the parser's own description of itself as JSON: on arm64 it prints an empty line.

public protocol LocalizedError: Error {
  var errorDescription: String? { get }
}

public struct Data: Sendable {}

public enum Encoding: Sendable { case utf8 }

public final class JSONEncoder {
  public struct OutputFormatting: OptionSet, Sendable {
    public let rawValue: UInt

    public init(rawValue: UInt) { self.rawValue = rawValue }

    public static let prettyPrinted = OutputFormatting(rawValue: 1)
    public static let sortedKeys = OutputFormatting(rawValue: 2)
  }

  public struct Unavailable: Error {}

  public var outputFormatting: OutputFormatting = []

  public init() {}

  public func encode<Value: Encodable>(_ value: Value) throws(Unavailable) -> Data { throw Unavailable() }
}

extension String {
  public init?(data: Data, encoding: Encoding) { return nil }
}
