import Foundation
import TestSupport

/// Damage to a file: bytes that are others, sectors that a disk tore, an end that is missing.
public struct FileMutation: Sendable, CustomStringConvertible {
  /// Bytes of the file from `offset` on.
  public struct Patch: Sendable {
    public var offset: Int
    public var bytes: [UInt8]
  }

  public enum Kind: Int, CaseIterable, Sendable {
    /// One bit, or one whole word, of a program header.
    case programHeaderBit, programHeaderWord
    /// One bit or byte of the ELF header, or of as much of a compressed file.
    case elfHeader
    /// One byte of the notes; the header of one note.
    case noteByte, noteHeader
    /// One bit or byte of the headers of a kdump-compressed file, of its bitmap of pages, of a page
    /// descriptor.
    case kdumpHeader, kdumpBitmap, kdumpDescriptor
    /// One byte of the first or of the last 64 KiB.
    case edgeByte
    /// One byte anywhere.
    case anyByte
    /// A sector of 512 or 4096 bytes that is zeros, or noise.
    case tornSector
    /// An end that is missing.
    case prefix

    /// Whether only a kdump-compressed file has what this damages, or only another one; nil for all files.
    var isOfKdump: Bool? {
      switch self {
      case .kdumpHeader, .kdumpBitmap, .kdumpDescriptor: true
      case .programHeaderBit, .programHeaderWord, .elfHeader, .noteByte, .noteHeader: false
      case .edgeByte, .anyByte, .tornSector, .prefix: nil
      }
    }
  }

  public var kind: Kind
  public var patches: [Patch] = []
  /// Bytes that stay, where the rest is cut off.
  public var length: Int?

  public var description: String {
    length.map { "\(kind), \($0) bytes" }
      ?? "\(kind), \(patches.map { "\($0.bytes.count) bytes at 0x\(String($0.offset, radix: 16))" }.joined(separator: ", "))"
  }
}

/// Draws mutations of one file. The same number gives the same mutation.
struct FileMutator {
  let file: FileImage
  let seed: UInt64

  func mutation(_ number: Int, _ kind: FileMutation.Kind) -> FileMutation? {
    var random = SystemOfNumbers(seed &* 1_000_003 &+ UInt64(number))
    var mutation = FileMutation(kind: kind)
    func flipped(_ offset: Int) -> FileMutation.Patch? {
      guard let byte = file.bytes(offset, 1).first else { return nil }
      return .init(offset: offset, bytes: [byte ^ 1 << UInt8(random.below(8))])
    }
    func changed(_ offset: Int) -> FileMutation.Patch? {
      guard let byte = file.bytes(offset, 1).first else { return nil }
      return .init(offset: offset, bytes: [byte &+ UInt8(1 + random.below(255))])
    }
    switch kind {
    case .programHeaderBit, .programHeaderWord:
      guard file.programHeaders > 1 else { return nil }
      // p_type, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz: flags and alignment say nothing.
      let fields = [(0, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8)]
      let field = fields[random.below(fields.count)]
      let start = 64 + 56 * random.below(file.programHeaders) + field.0
      if kind == .programHeaderBit {
        mutation.patches = [flipped(start + random.below(field.1))].compactMap { $0 }
      } else {
        let words: [[UInt8]] = [
          [UInt8](repeating: 0, count: field.1), [UInt8](repeating: 0xff, count: field.1),
          (0..<field.1).map { _ in UInt8(random.below(256)) },
          file.bytes(64 + 56 * random.below(file.programHeaders) + field.0, field.1),
        ]
        mutation.patches = [.init(offset: start, bytes: words[random.below(words.count)])]
      }
    case .elfHeader:
      mutation.patches = [random.below(2) == 0 ? flipped(random.below(64)) : changed(random.below(64))].compactMap { $0 }
    case .noteByte:
      guard !file.notes.isEmpty else { return nil }
      mutation.patches = [changed(file.notes.lowerBound + random.below(file.notes.count))].compactMap { $0 }
    case .noteHeader:
      guard !file.noteOffsets.isEmpty else { return nil }
      let offset = file.noteOffsets[random.below(file.noteOffsets.count)] + random.below(24)
      mutation.patches = [changed(offset)].compactMap { $0 }
    case .kdumpHeader, .kdumpBitmap, .kdumpDescriptor:
      guard let kdump = file.kdump else { return nil }
      let place =
        switch kind {
        case .kdumpHeader: kdump.headers[random.below(kdump.headers.count)]
        case .kdumpBitmap: kdump.bitmap
        default: kdump.descriptors
        }
      let offset = place.lowerBound + random.below(place.count)
      mutation.patches = [random.below(2) == 0 ? flipped(offset) : changed(offset)].compactMap { $0 }
    case .edgeByte:
      let edge = min(file.size, 64 << 10)
      mutation.patches = [changed(random.below(2) == 0 ? random.below(edge) : file.size - 1 - random.below(edge))].compactMap {
        $0
      }
    case .anyByte: mutation.patches = [changed(random.below(file.size))].compactMap { $0 }
    case .tornSector:
      let size = random.below(2) == 0 ? 512 : 4096
      let offset = random.below(max(1, file.size / size)) * size
      let count = min(size, file.size - offset)
      let isNoise = random.below(2) == 0
      mutation.patches = [.init(offset: offset, bytes: (0..<count).map { _ in isNoise ? UInt8(random.below(256)) : 0 })]
    case .prefix: mutation.length = random.below(file.size)
    }
    // What changes nothing is no mutation.
    if mutation.length == nil, mutation.patches.allSatisfy({ file.bytes($0.offset, $0.bytes.count) == $0.bytes }) { return nil }
    return mutation
  }
}

/// SplitMix64.
struct SystemOfNumbers {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func below(_ limit: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((word ^ (word >> 31)) % UInt64(max(1, limit)))
  }
}
