/// What the scan says of a page, in a byte: its class, or the check because of which it is kept.
struct RunCode: Sendable, Equatable {
  let rawValue: UInt8
  @inline(__always) init(rawValue: UInt8) { self.rawValue = rawValue }
  @inline(__always) init(_ pageClass: PageClass) { rawValue = pageClass.rawValue }
  @inline(__always) init(kept check: Check) { rawValue = RunCode.firstCheck &+ UInt8(truncatingIfNeeded: check.rawValue) }

  private static let firstCheck: UInt8 = 8
  static let kernel = RunCode(.kernel)
  /// The kernel's, and in the hands of its object allocator.
  static let slab = RunCode(rawValue: firstCheck &+ UInt8(truncatingIfNeeded: Check.allCases.count))
  static let count = Int(slab.rawValue) + 1

  var pageClass: PageClass { PageClass(rawValue: rawValue) ?? .kernel }
  var check: Check? { rawValue < RunCode.firstCheck ? nil : Check(rawValue: Int(rawValue - RunCode.firstCheck)) }
}
