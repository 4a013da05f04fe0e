import DumpBasics
public import DumpSource
import CrashedKernel
import PageClasses
import Synchronization
import TestSupport
import Workers

/// An undamaged dump, what the classifier says of it, and what it read for that.
public struct CampaignImage: Sendable {
  public let name: String
  let source: any DumpSource
  let classes: PageClassification
  /// Findings of the undamaged dump: broken memory of its own, say.
  let knownFindings: Set<String>
  let mutator: Mutator
  /// Bytes of memory that were read to classify the undamaged dump.
  let consulted: [PhysicalRange]
  private let keys = Keys()
  /// Log2 of the pages in a section.
  let sectionShift: UInt64 = 15

  /// Pages by class that the undamaged dump keeps at level kern.
  public var keptPages: UInt64 { classes.counts[.kernel] }
  public var pages: UInt64 { classes.counts.total }
  /// What the undamaged dump has to say.
  public var findings: [String] { classes.findings.map(\.description) }

  /// - Throws: when the dump can't be damaged because it is not whole itself.
  public init(_ source: any DumpSource, name: String, seed: UInt64) throws {
    self.name = name
    self.source = source
    let recorder = RecordingSource(source)
    let (kernel, classes) = CampaignImage.classify(recorder)
    self.classes = classes
    consulted = recorder.read
    guard classes[.layout].failed == 0 else {
      throw DumpError("the undamaged dump has no page classes: \(classes.findings)", at: name)
    }
    knownFindings = CampaignImage.findings(kernel, classes)
    // Each image has damage of its own.
    let own = name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    mutator = try Mutator(source, seed: own, victims: classes.runs.filter { $0.pageClass == .kernel }.map(\.range))
  }

  /// All by one thread: mutations are what runs side by side.
  static func classify(_ source: any DumpSource) -> (CrashedKernel, PageClassification) {
    let kernel = CrashedKernel(source)
    return (kernel, PageClassification(kernel, work: OrderedWork(threads: 1)))
  }

  static func findings(_ kernel: CrashedKernel, _ classes: PageClassification) -> Set<String> {
    Set((kernel.findings + classes.findings).map(\.description))
  }

  /// Whether every byte that a mutation changes lies in memory that was read, and at least one of them became
  /// another; or whether it is a key of VMCOREINFO that counts.
  func isHit(by mutation: Mutation) -> Bool {
    if mutation.isEmpty { return false }
    if mutation.vmcoreinfo != nil { return mutation.place.key.map(isConsulted) ?? false }
    let changed = mutation.patches.compactMap { PhysicalRange(start: $0.address.rawValue, count: UInt64($0.bytes.count)) }
    for range in mutation.unreadable where RangeSet.overlapping(consulted, range).isEmpty { return false }
    if mutation.unreadable.isEmpty {
      for range in changed where !wasRead(range) { return false }
    }
    let damaged = MutatedSource(source, mutation)
    return !mutation.unreadable.isEmpty
      || mutation.patches.contains { patch in
        (try? source.bytes(at: patch.address, count: patch.bytes.count))
          != (try? damaged.bytes(at: patch.address, count: patch.bytes.count))
      }
  }

  /// Whether all of a range is in one piece of what was read; by halves, since debug builds ask 4096 times.
  private func wasRead(_ range: PhysicalRange) -> Bool {
    var (low, high) = (0, consulted.count)
    while low < high {
      let middle = (low + high) / 2
      if consulted[middle].end <= range.start { low = middle + 1 } else { high = middle }
    }
    return low < consulted.count && consulted[low].start <= range.start && range.end <= consulted[low].end
  }

  /// Whether something else comes out without a key of VMCOREINFO, or with nonsense in its place: where
  /// classes, checks and findings stay what they are, nobody asked for it.
  func isConsulted(_ key: String) -> Bool {
    if let known = keys.known(key) { return known }
    guard let note = source.notes.first(where: \.isVMCoreInfo) else { return false }
    let lines = note.descriptor.split { $0 == UInt8(ascii: "\n") || $0 == 0 }
    let start = Array("\(key)=".utf8)
    let before = Array(classes.runs)
    let matters = [nil, "7"].contains { (value: String?) in
      let other = lines.compactMap { line in
        !line.starts(with: start) ? Array(line) : value.map { start + Array($0.utf8) }
      }
      let text = Array(other.joined(separator: [UInt8(ascii: "\n")]))
      let (_, found) = CampaignImage.classify(MutatedSource(source, Mutation(vmcoreinfo: text)))
      return found.checks != classes.checks || found.findings != classes.findings || Array(found.runs) != before
    }
    keys.learn(key, matters)
    return matters
  }
}

/// What is known of keys so far; the campaign's threads share it.
private final class Keys: Sendable {
  private let answers = Mutex<[String: Bool]>([:])
  func known(_ key: String) -> Bool? { answers.withLock { $0[key] } }
  func learn(_ key: String, _ matters: Bool) { answers.withLock { $0[key] = matters } }
}
