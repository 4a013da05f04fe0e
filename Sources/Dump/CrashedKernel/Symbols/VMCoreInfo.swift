public import DumpBasics

/// What the crashed kernel says of itself: the VMCOREINFO note, lines of `KEY=value`.
///
/// Documentation/admin-guide/kdump/vmcoreinfo.rst and kernel/vmcore_info.c (kernel/crash_core.c before 6.9).
/// All of it is a claim: nothing here traps or believes a number because it is there. Of a key that stands
/// twice the first counts, as in makedumpfile.
public struct VMCoreInfo: Sendable {
  /// Only this much of a note is looked at. Kernels write one page (VMCOREINFO_BYTES): at most 64 KiB.
  public static let byteLimit = 1 << 20
  /// Only so many keys are kept. Kernels write about 200.
  public static let keyLimit = 1 << 14

  private let values: [String: String]

  /// The text itself, as far as it is looked at, without the NULs behind it.
  public let text: [UInt8]

  /// What could not be used, for the report: lines without `=`, keys said twice with different values.
  public let findings: [DumpError]

  /// Parses the descriptor of a VMCOREINFO note. Anything is accepted; what is no `KEY=value` line is left
  /// out. A NUL ends a line too: notes are padded with them.
  public init(_ descriptor: [UInt8]) {
    var values: [String: String] = [:]
    var strange = 0
    var contradicted: [String] = []
    var complete = descriptor.count <= VMCoreInfo.byteLimit
    let lines = descriptor.prefix(VMCoreInfo.byteLimit).split { $0 == UInt8(ascii: "\n") || $0 == 0 }
    for line in lines {
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")), equals > line.startIndex else {
        strange += 1
        continue
      }
      let key = String(decoding: line[..<equals], as: UTF8.self)
      let value = String(decoding: line[line.index(after: equals)...], as: UTF8.self)
      if let first = values[key] {
        if first != value, contradicted.count < 8 { contradicted.append(key) }
      } else if values.count < VMCoreInfo.keyLimit {
        values[key] = value
      } else {
        complete = false
      }
    }
    var findings = contradicted.map {
      DumpError("VMCOREINFO says \($0) twice, with different values", at: "VMCOREINFO", advice: "the first is used")
    }
    if strange > 0 { findings.append(DumpError("\(strange) lines are no KEY=value", at: "VMCOREINFO")) }
    if !complete { findings.append(DumpError("is larger than any kernel's; its end is not used", at: "VMCOREINFO")) }
    self.values = values
    self.findings = findings
    var end = min(descriptor.count, VMCoreInfo.byteLimit)
    while end > 0, descriptor[end - 1] == 0 { end -= 1 }
    text = Array(descriptor[..<end])
  }

  /// The first of `notes` that is a VMCOREINFO with at least one line; nil when there is none.
  public init?(notes: [DumpNote]) {
    for note in notes where note.isVMCoreInfo {
      let info = VMCoreInfo(note.descriptor)
      if !info.isEmpty {
        self = info
        return
      }
    }
    return nil
  }

  public var isEmpty: Bool { values.isEmpty }
  /// All keys, sorted.
  public var keys: [String] { values.keys.sorted() }

  /// The text after `KEY=`, as it stands there.
  public func value(_ key: String) -> String? { values[key] }

  // MARK: What stands for itself

  /// `uname -r` of the crashed kernel. From the dump: may hold anything.
  public var osRelease: String? { value("OSRELEASE").flatMap { $0.isEmpty ? nil : $0 } }

  /// When it crashed, in seconds since 1970 (UTC). Nil when missing, no number, or negative.
  public var crashTime: Int64? {
    value("CRASHTIME").flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 }
  }

  /// The build ID of vmlinux in hex digits, since 5.15. Some stable kernels write garbage: a hint, no proof.
  public var buildID: String? {
    value("BUILD-ID").flatMap { text in
      let digits = text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
      return digits && (8...128).contains(text.utf8.count) ? text : nil
    }
  }

  /// PAGESIZE, which must be one that `architecture` has.
  ///
  /// - Throws: what is wrong with it. `CrashedKernel` then takes the architecture's default and reports that.
  public func pageSize(_ architecture: Architecture) throws(DumpError) -> PageSize {
    let key = "PAGESIZE"
    guard let text = value(key) else { throw missing(key) }
    guard let bytes = UInt64(text), architecture.pageSizes.contains(bytes), let size = PageSize(bytes: bytes) else {
      throw unusable(key, "is no page size of \(architecture)")
    }
    return size
  }

  // MARK: By kind of key

  /// `SYMBOL(name)`: the address of a variable or function, already moved by KASLR (do not add KERNELOFFSET).
  /// Hex digits without `0x`. Nil when missing, no number, or 0.
  public func symbol(_ name: String) -> VirtualAddress? { try? requireSymbol(name) }
  /// `OFFSET(struct.member)` in bytes, from 0 to `layoutLimit`.
  public func offset(_ name: String) -> Int? { try? requireOffset(name) }
  /// `SIZE(struct)` in bytes, from 1 to `layoutLimit`.
  public func size(_ name: String) -> Int? { try? requireSize(name) }
  /// `LENGTH(array)`: a count of elements.
  public func length(_ name: String) -> UInt64? { value("LENGTH(\(name))").flatMap { UInt64($0) } }
  /// `NUMBER(name)`: decimal, maybe negative, or `0x` and hex digits. A hex number of 2^63 or more has its
  /// bits kept: use `word(_:)` where it is an address or a mask.
  public func number(_ name: String) -> Int64? { try? requireNumber(name) }
  /// The bits of `NUMBER(name)`.
  public func word(_ name: String) -> UInt64? { number(name).map { UInt64(bitPattern: $0) } }

  /// No structure of a kernel is larger (bytes). What is beyond is a lie, and arithmetic below it can't
  /// overflow.
  public static let layoutLimit = 1 << 24

  // MARK: The same, with an error that names the key

  public func requireSymbol(_ name: String) throws(DumpError) -> VirtualAddress {
    let key = "SYMBOL(\(name))"
    guard let text = value(key) else { throw missing(key) }
    guard let address = VMCoreInfo.hexNumber(text), address != 0 else { throw unusable(key, "is no address") }
    return VirtualAddress(address)
  }

  public func requireOffset(_ name: String) throws(DumpError) -> Int { try layout("OFFSET(\(name))", from: 0) }
  public func requireSize(_ name: String) throws(DumpError) -> Int { try layout("SIZE(\(name))", from: 1) }

  public func requireNumber(_ name: String) throws(DumpError) -> Int64 {
    let key = "NUMBER(\(name))"
    guard let text = value(key) else { throw missing(key) }
    if text.hasPrefix("0x") {
      if let bits = VMCoreInfo.hexNumber(text.dropFirst(2)) { return Int64(bitPattern: bits) }
    } else if let number = Int64(text) {
      return number
    }
    throw unusable(key, "is no number of 64 bits")
  }

  private func layout(_ key: String, from lowest: Int) throws(DumpError) -> Int {
    guard let text = value(key) else { throw missing(key) }
    guard let number = Int(text), (lowest...VMCoreInfo.layoutLimit).contains(number) else {
      throw unusable(key, "is no size or offset inside a structure")
    }
    return number
  }

  /// Digits only: `UInt64(_:radix:)` alone would take a sign.
  private static func hexNumber(_ text: some StringProtocol) -> UInt64? {
    text.first?.isHexDigit == true ? UInt64(text, radix: 16) : nil
  }

  private func missing(_ key: String) -> DumpError {
    DumpError("the kernel does not say \(key)", at: "VMCOREINFO")
  }

  private func unusable(_ key: String, _ why: String) -> DumpError {
    DumpError("\(key)=\(value(key)?.prefix(40) ?? "") \(why)", at: "VMCOREINFO")
  }
}
