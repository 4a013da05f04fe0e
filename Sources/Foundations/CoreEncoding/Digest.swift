#if SHA256
  internal import CCrypto
  internal import DumpBasics

  /// SHA-256 of what passes, by OpenSSL's libcrypto (trait SHA256).
  public struct Digest: Sendable {
    private var state = SHA256_CTX()
    public init?() { unsafe SHA256_Init(&state) }
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
      unsafe _ = SHA256_Update(&state, bytes.baseAddress, bytes.count)
    }
    /// 64 lower-case hex digits.
    public mutating func finish() -> String {
      var sum = [UInt8](repeating: 0, count: 32)
      unsafe _ = SHA256_Final(&sum, &state)
      return sum.map { padded($0, 2, radix: 16) }.joined()
    }
  }
#else
  /// This build has no SHA-256 (trait SHA256): there is never a digest.
  public struct Digest: Sendable {
    public init?() { nil }
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {}
    public mutating func finish() -> String { "" }
  }
#endif

extension Digest {
  /// The digest of bytes at hand, or nil in a build without SHA-256.
  public static func of(_ bytes: [UInt8]) -> String? {
    guard var digest = Digest() else { return nil }
    unsafe bytes.withUnsafeBytes { unsafe digest.update($0) }
    return digest.finish()
  }
}
