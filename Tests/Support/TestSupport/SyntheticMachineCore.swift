internal import CoreEncoding
internal import DumpBasics
import Foundation

extension SyntheticMachine {
  /// Writes the machine as an ELF core, sparse where pages are zero. For small machines: the file is as large
  /// as the memory.
  public func writeCore(to path: String) throws {
    let start = try coreStart(
      identity, notes.map { DumpNote(name: $0.name, type: $0.type, descriptor: $0.descriptor) },
      segments.map {
        ELFProgramHeader(
          type: ELFProgramHeader.load, flags: $0.flags, offset: $0.fileOffset, virtualAddress: $0.virtualAddress,
          physicalAddress: $0.physical.start, fileSize: $0.fileSize, memorySize: $0.physical.count)
      })
    precondition(start.count <= SyntheticMachine.dataOffset)
    _ = FileManager.default.createFile(atPath: path, contents: Data(start))
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    defer { try? file.close() }
    let zeros = [UInt8](repeating: 0, count: 4096)
    for segment in segments {
      for address in stride(from: segment.physical.start, to: segment.physical.end, by: 4096) {
        let page = try bytes(at: PhysicalAddress(address), count: 4096)
        if page == zeros { continue }
        try file.seek(toOffset: segment.fileOffset + (address - segment.physical.start))
        try file.write(contentsOf: page)
      }
    }
    try file.truncate(atOffset: segments.map { $0.fileOffset + $0.fileSize }.max() ?? 0)
  }
}
