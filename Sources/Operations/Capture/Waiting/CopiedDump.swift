internal import CoreEncoding
internal import DumpBasics
internal import DumpSource
internal import DumpTarget

/// A finished dump file that was copied to a target from where it waited: memory, a raw disk.
struct CopiedDump {
  let fileName: String
  let bytes: UInt64
  let sha256: String?
  let isWhole: Bool
  /// The targets that did not take it: `attempts` of the manifest.
  var failed: [JSON] = []
  /// Nil where nobody is there to ask.
  var witness: (any KernelWitness)?

  /// The log and the manifest, from the dump that was just written. They are not worth failing for, and can't
  /// be had where the dump can't be read again, as on a far side.
  func writeSideFiles(to destination: any Destination, travelled: JSON, _ findings: inout [String]) -> SaveStatus {
    guard destination.acceptsSideFiles, let path = destination.dumpPath else { return .complete }
    do throws(DumpError) {
      var files = [(fileName, fileEntry(bytes, sha256))]
      if let log = try? dmesg(path) {
        let text = Array(log.utf8)
        try destination.writeSideFile("dmesg.txt", text)
        files.append(("dmesg.txt", fileEntry(UInt64(text.count), Digest.of(text))))
      }
      var facts = try inspect(try openDump(path), path, witness: witness)
      for file in facts.explanation?.files ?? [] {
        try destination.writeSideFile(file.name, file.bytes)
        files.append((file.name, fileEntry(UInt64(file.bytes.count), Digest.of(file.bytes))))
      }
      if !isWhole { facts.status = .cut }
      guard case .object(var members) = facts.json(files: .object(files)) else { return .complete }
      if !failed.isEmpty { members.append(("attempts", .array(failed))) }
      members.append(("travelled", travelled))
      try destination.writeSideFile("dump.json", Array((JSON.object(members).text() + "\n").utf8))
      return facts.status == .findings ? .findings : .complete
    } catch {
      findings.append("dmesg.txt and dump.json could not be made: \(error)")
      return .findings
    }
  }

  /// A claim of what the dump waited in: only a name that mcore may have written becomes a file.
  static func fileName(_ name: String) -> String {
    let isPlain = name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x2d }
    return isPlain && name.utf8.starts(with: "vmcore.".utf8) ? name : "vmcore.elf.gz"
  }
}
