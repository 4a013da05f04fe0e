public import CoreEncoding
public import DumpBasics

/// Where a crashed machine's memory is read from: `/proc/vmcore`, or a dump file of any format.
///
/// Reading is random-access and safe from any number of threads at a time.
public protocol DumpSource: AnyObject, Sendable {
  /// The path, for messages.
  var name: String { get }
  var identity: MachineIdentity { get }
  /// The pieces of memory, in the order in which the source lists them (program headers, for ELF). They can
  /// overlap: kernel text stands twice in /proc/vmcore, by its own mapping and in the direct map.
  var segments: [MemorySegment] { get }
  /// All notes, verbatim and in order.
  var notes: [DumpNote] { get }
  /// Notes that are too large to be held: they stay in the source (`readLargeNote`).
  var largeNotes: [LargeNote] { get }
  /// Fills `buffer` with the bytes of a large note's descriptor from `offset` on.
  func readLargeNote(_ note: LargeNote, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError)
  /// Where the source ended too early: what its headers promise and it does not hold. Nil when it is whole.
  var shortfall: Shortfall? { get }
  /// What is wrong with the source and did not keep it from being opened.
  var findings: [DumpError] { get }
  /// Bytes of the file behind the dump's end, as raw disks and transfers leave them: no part of it.
  var bytesBehind: UInt64 { get }
  /// What mcore itself wrote into the dump, where it did.
  var metadata: MCoreMetadata? { get }
  /// What mcore said of the dump when it was written. In a format that is not ELF this is all there is: what
  /// its metadata says of the file's layout holds for no other.
  var statement: MCoreNote? { get }
  /// The format's name, as `--format` takes it, or one like it.
  var format: String { get }
  /// Whether reading inflates blocks: then much is better read in one go than in pieces.
  var isCompressed: Bool { get }
  /// Whether the kernel runs on while it is read (/proc/kcore): its memory does not hold still.
  var isLive: Bool { get }
  /// Memory that existed and that the source's writer left out, where the format tells. A dump of ours says
  /// it in its metadata.
  var leftOut: AbsentRanges { get }
  /// Its writer's `-d`, where the format tells.
  var dumpLevel: Int? { get }
  /// What the file's header says of the crash, where the format has such a header.
  var crashStatement: CrashStatement? { get }

  /// All memory of the source, each byte once, in ascending order: overlapping segments (kernel text stands
  /// twice) are merged, the one that begins first wins.
  func coverage() -> [Coverage]

  /// Fills `buffer` with the memory from `address` on. Throws when any byte of it is not in the source (left
  /// out, no such memory, cut off) or can't be read; what `buffer` holds then is undefined.
  func read(at address: PhysicalAddress, into buffer: UnsafeMutableRawBufferPointer) throws(DumpError)
}

/// One piece of the crashed machine's memory that the source holds.
public struct MemorySegment: Sendable, Equatable {
  /// The physical memory it describes (`p_paddr`, `p_memsz`).
  public var physical: PhysicalRange
  /// The virtual address it is mapped at (`p_vaddr`), as the source says. Kernels and loaders have written
  /// wrong ones.
  public var virtualAddress: UInt64
  /// `p_flags` of the ELF program header.
  public var flags: UInt32
  /// Where its data begins in the (decompressed) source.
  public var fileOffset: UInt64
  /// How many bytes of data there are; the rest of `physical` reads as zeros (`p_filesz` < `p_memsz`).
  public var fileSize: UInt64

  public init(physical: PhysicalRange, virtualAddress: UInt64, flags: UInt32, fileOffset: UInt64, fileSize: UInt64) {
    self.physical = physical
    self.virtualAddress = virtualAddress
    self.flags = flags
    self.fileOffset = fileOffset
    self.fileSize = fileSize
  }
}

/// How a source ended before its headers say it should.
public struct Shortfall: Sendable, Equatable {
  /// Bytes of the (decompressed) source that its headers promise.
  public var expected: UInt64
  /// Bytes that can be read.
  public var present: UInt64
  public init(expected: UInt64, present: UInt64) {
    self.expected = expected
    self.present = present
  }
}

extension DumpSource {
  public var largeNotes: [LargeNote] { [] }
  public func readLargeNote(
    _ note: LargeNote, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DumpError) {
    throw DumpError("this source has no large notes", at: name)
  }
  /// Memory that reads as zeros since there is no data for it: zero, or left out by the tool that wrote the
  /// file. A dump of ours says of itself what it took over from such a file.
  public var withoutData: [PhysicalRange] {
    if let statement { return statement.withoutData.map(\.range) }
    return RangeSet.joined(coverage().lazy.filter { $0.kind == .zeros }.map(\.range))
  }
  public var bytesBehind: UInt64 { 0 }
  public var findings: [DumpError] { [] }
  public var metadata: MCoreMetadata? { nil }
  public var statement: MCoreNote? { metadata?.note }
  public var format: String { "unknown" }
  public var isCompressed: Bool { false }
  public var isLive: Bool { false }
  public var leftOut: AbsentRanges { AbsentRanges() }
  public var dumpLevel: Int? { nil }
  public var crashStatement: CrashStatement? { nil }

  /// `count` bytes of memory from `address` on.
  public func bytes(at address: PhysicalAddress, count: Int) throws(DumpError) -> [UInt8] {
    unsafe try [UInt8].filled(count) { (buffer) throws(DumpError) in unsafe try read(at: address, into: buffer) }
  }
}
