public import DumpBasics
public import SoftBoot
internal import LinuxSystem

/// A kind of target. A new kind is a file with a type that conforms, and a line in `targetKinds`. For a crash
/// kernel `mcore arm` has to know how to reach it too (`TargetPlanner`).
protocol TargetKind: Sendable {
  /// How such a target is written, for messages and help; empty for what can't be had yet.
  static var form: String { get }
  /// Nil when `word` is not of this kind; throws when it is, but wrong.
  init?(parsing word: String) throws(DumpError)
  /// Whether what has to be there from outside (a disk) is there already. False is no error yet.
  func isPresent() -> Bool
  /// Whether another kernel has to take the dump on from here.
  var nextKernel: NextKernelNeed { get }
  /// Windows of memory that were set aside for the dump; nil where there are none.
  var windows: RegionExtents? { get }
  /// The word as it may be shown to anybody; nil where it holds nothing that is secret.
  var shown: String? { get }
  /// Whether the dump leaves the machine over a network.
  var isRemote: Bool { get }
  /// The other machine's name or address, where it is reached over the network by itself.
  var host: String? { get }
  /// True where no call waits longer than `stallSeconds`, or a person is there who can end it. Else the work
  /// is done by a thread that can be left behind.
  var endsByItself: Bool { get }
  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination
}

extension TargetKind {
  func isPresent() -> Bool { true }
  var nextKernel: NextKernelNeed { .none }
  var windows: RegionExtents? { nil }
  var shown: String? { nil }
  var isRemote: Bool { false }
  var endsByItself: Bool { false }
  var host: String? { nil }
}

/// Whether a target needs a kernel that is started after the dump was written.
public enum NextKernelNeed: Int, Sendable, Comparable {
  case none, usedIfThere, needed

  public static func < (left: NextKernelNeed, right: NextKernelNeed) -> Bool { left.rawValue < right.rawValue }
}

/// The kinds, in the order in which a word is tried. A path comes last, since every word could be one.
private let targetKinds: [any TargetKind.Type] = [
  StandardOutputTarget.self, DeviceTarget.self, MemoryTarget.self, RawTarget.self, NFSTarget.self, SSHTarget.self,
  HTTPTarget.self, PipeTarget.self, PathTarget.self,
]

/// A TARGET word, understood: where a dump goes.
public struct TargetSpec: Sendable {
  public let word: String
  let kind: any TargetKind

  /// Throws `.usage` for a word that can't be a target and `.unsupported` for a kind that this version lacks.
  /// Looks at the word alone: nothing has to be there yet.
  public init(_ word: String) throws(DumpError) {
    self.word = word
    for type in targetKinds {
      if let kind = try type.init(parsing: word) {
        self.kind = kind
        return
      }
    }
    throw DumpError(.usage, "'\(word)' is no target", advice: "a target is \(TargetSpec.forms)")
  }

  /// For tests.
  init(_ kind: any TargetKind, word: String) {
    self.kind = kind
    self.word = word
  }

  /// Every way to write a target, for messages and help.
  public static var forms: String { targetKinds.map { $0.form }.filter { !$0.isEmpty }.joined(separator: ", ") }

  public func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination { try kind.open(dump) }

  public var nextKernel: NextKernelNeed { kind.nextKernel }
  /// Whether the dump waits in memory for that kernel.
  public var waitsInMemory: Bool { kind.nextKernel != .none }
  /// Windows of memory that were set aside for it; nil where there are none.
  public var memoryWindows: RegionExtents? { kind.windows }

  /// The other machine's name or address; nil where there is none, or nobody knows.
  public var host: String? { kind.host }

  /// A word that is no target, without what may be a login: the part of an address before its @.
  public static func withoutLogin(_ word: String) -> String {
    guard let (scheme, rest) = word.split(atFirst: "://"), let at = rest.utf8.lastIndex(of: 0x40) else { return word }
    return "\(scheme)://...@" + String(Substring(rest.utf8[rest.utf8.index(after: at)...]))
  }

  /// The word without what is secret in it.
  public var shown: String { kind.shown ?? word }

  /// Waits until the device of this target is there, for at most `seconds`. True when it is, or when the
  /// target has none. `onWait` is called once, if there is a wait at all.
  public func waitUntilPresent(seconds: UInt64, onWait: () -> Void) -> Bool {
    if kind.isPresent() { return true }
    if seconds == 0 { return false }
    onWait()
    let end = System.monotonicNanoseconds + seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue
    let watch = DirectoryWatch("/dev")
    while System.monotonicNanoseconds < end {
      // A device node wakes at once. Not everything wakes (a label is written to a disk that was there):
      // hence the limit.
      watch.wait(milliseconds: 500)
      if kind.isPresent() { return true }
    }
    return false
  }
}

extension String {
  /// What follows `prefix`, or nil. By bytes: no Unicode tables are needed for target words.
  func dropping(prefix: String) -> String? {
    utf8.starts(with: prefix.utf8) ? String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self) : nil
  }

  /// What stands before and after the first `separator`; nil where there is none.
  func split(atFirst separator: String) -> (before: String, after: String)? {
    let bytes = Array(utf8)
    let wanted = Array(separator.utf8)
    guard !wanted.isEmpty, bytes.count >= wanted.count else { return nil }
    for start in 0...(bytes.count - wanted.count) where bytes[start..<start + wanted.count].elementsEqual(wanted) {
      return (
        String(decoding: bytes[..<start], as: UTF8.self), String(decoding: bytes[(start + wanted.count)...], as: UTF8.self)
      )
    }
    return nil
  }
}
