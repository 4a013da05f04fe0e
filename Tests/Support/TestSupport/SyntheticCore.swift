public import CoreEncoding
public import DumpBasics
import Foundation

/// An ELF core made in a test: any program headers, any memory, any lie.
public struct SyntheticCore {
  public struct Segment {
    public var physical: UInt64
    public var virtual: UInt64
    public var bytes: [UInt8]
    public var memorySize: UInt64

    public init(_ physical: UInt64, virtual: UInt64? = nil, _ bytes: [UInt8], memorySize: UInt64? = nil) {
      self.physical = physical
      self.virtual = virtual ?? (0xffff_8880_0000_0000 + physical)
      self.bytes = bytes
      self.memorySize = memorySize ?? UInt64(bytes.count)
    }
  }

  public var identity = MachineIdentity(.x86_64, .little)
  public var notes: [DumpNote] = [
    DumpNote(name: "CORE", type: 1, descriptor: [UInt8](repeating: 0, count: 336)),
    DumpNote(name: "VMCOREINFO", type: 0, descriptor: Array("OSRELEASE=6.1.0-test\nPAGESIZE=4096\nCRASHTIME=1763866267\n".utf8)),
  ]
  public var segments: [Segment]
  /// Lets a test change the program headers before they are written.
  public var tamper: (inout [ELFProgramHeader]) -> Void = { _ in }

  public init(_ segments: [Segment]) { self.segments = segments }

  public func bytes() throws -> [UInt8] {
    // Where the memory begins depends on the sizes of what stands before it alone.
    let start = (try coreStart(identity, notes, loads(from: 0)).count + 4095) / 4096 * 4096
    var file = try coreStart(identity, notes, loads(from: UInt64(start)), tamper: tamper)
    file += [UInt8](repeating: 0, count: start - file.count)
    var data: [UInt8] = []
    for segment in segments {
      data += segment.bytes
      data += [UInt8](repeating: 0, count: (4096 - data.count % 4096) % 4096)
    }
    return file + data
  }

  /// PT_LOADs whose memory stands one behind the other, each from a page border of the file on.
  private func loads(from start: UInt64) -> [ELFProgramHeader] {
    var offset = start
    return segments.map { segment in
      defer { offset += (UInt64(segment.bytes.count) + 4095) / 4096 * 4096 }
      return ELFProgramHeader(
        type: ELFProgramHeader.load, flags: 7, offset: offset, virtualAddress: segment.virtual,
        physicalAddress: segment.physical, fileSize: UInt64(segment.bytes.count), memorySize: segment.memorySize)
    }
  }

  public func write(to path: String) throws { try Data(try bytes()).write(to: URL(fileURLWithPath: path)) }
}

/// A directory for one test, removed with it.
public final class Scratch {
  public let path: String
  public init() throws {
    path = NSTemporaryDirectory() + "/mcore-test-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  public func file(_ name: String) -> String { path + "/" + name }
}

/// Bytes that look random and are the same in every run (SplitMix64).
public func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    word ^= word >> 31
    withUnsafeBytes(of: word) { bytes.append(contentsOf: $0) }
  }
  return Array(bytes.prefix(count))
}
