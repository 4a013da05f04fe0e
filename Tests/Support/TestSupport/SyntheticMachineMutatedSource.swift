public import DumpBasics
public import DumpSource

/// A dump with damage: some bytes of memory are others, some can't be read, VMCOREINFO says something else.
public final class MutatedSource: DumpSource {
  private let base: any DumpSource
  /// Sorted; of patches that overlap the later counts.
  private let patches: [Mutation.Patch]
  private let unreadable: [PhysicalRange]
  /// No patch is longer.
  private let longestPatch: UInt64
  public let notes: [DumpNote]

  public var name: String { base.name + ", damaged" }
  public var identity: MachineIdentity { base.identity }
  public var segments: [MemorySegment] { base.segments }
  public var shortfall: Shortfall? { base.shortfall }
  public var findings: [DumpError] { base.findings }
  public var metadata: MCoreMetadata? { base.metadata }

  public init(_ base: any DumpSource, _ mutations: [Mutation]) {
    self.base = base
    patches = mutations.flatMap(\.patches).enumerated()
      .sorted { ($0.element.address, $0.offset) < ($1.element.address, $1.offset) }.map(\.element)
    longestPatch = patches.map { UInt64($0.bytes.count) }.max() ?? 0
    unreadable = RangeSet.joined(mutations.flatMap(\.unreadable))
    let text = mutations.compactMap(\.vmcoreinfo).last
    notes = base.notes.map { note in
      guard let text, note.isVMCoreInfo else { return note }
      return DumpNote(name: note.name, type: note.type, descriptor: text)
    }
  }

  public convenience init(_ base: any DumpSource, _ mutation: Mutation) { self.init(base, [mutation]) }

  public func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError) {
    guard let range = PhysicalRange(start: address.rawValue, count: UInt64(buffer.count)) else { return }
    if let bad = RangeSet.overlapping(unreadable, range).first {
      throw DumpError(.system(5), "physical memory \(bad) can't be read", at: name)
    }
    try base.read(at: address, into: buffer)
    var index = patches.partitionPoint { $0.address.rawValue + longestPatch <= range.start }
    while index < patches.count, patches[index].address.rawValue < range.end {
      let patch = patches[index]
      for offset in max(patch.address.rawValue, range.start)..<max(range.start, min(patch.end, range.end))
      where offset >= patch.address.rawValue {
        buffer[Int(offset - range.start)] = patch.bytes[Int(offset - patch.address.rawValue)]
      }
      index += 1
    }
  }
}
