internal import Capture
internal import CoreEncoding
internal import CrashedKernel
public import DumpBasics
internal import DumpSource
internal import LinuxSystem

/// Writes `report.txt` and `report.json` into a dump directory that lacks them, and the signature into its
/// `dump.json`: the crash kernel could not make them, or was told not to. Returns whether it wrote anything.
///
/// Only dumps of mcore that are finished: whole, or given up. A directory with anything else in it is left
/// alone. Each file comes into being whole or not at all, and the dump itself is only read.
public func writeMissingReport(_ dump: ListedDump) throws(DumpError) -> Bool {
  let manifest = "\(dump.path)/dump.json"
  let names = try System.names(in: dump.path)
  let isFinished = dump.isWhole || names.contains(abandonedName)
  guard dump.isOurs, isFinished, names.contains("dump.json"), names.allSatisfy(isOwnName),
    !ReportWitness.fileNames.contains(where: names.contains)
  else { return false }
  var text = ManifestText(try System.text(of: manifest, limit: manifestLimit))
  let explanation = ReportWitness(writesFiles: true).explain(CrashedKernel(try openDump(dump.path)))
  for (name, bytes) in explanation.files {
    try System.replaceFile("\(dump.path)/\(name)", with: bytes)
    text?.addFile(name, UInt64(bytes.count), Digest.of(bytes))
  }
  text?.add(explanation.members)
  if let text { try System.replaceFile(manifest, with: Array(text.text.utf8)) }
  return true
}

/// The signature that stands in a dump directory's manifest; nil where there is none.
func recordedSignature(_ directory: String) -> String? {
  let path = "\(directory)/dump.json"
  // A pipe of that name would never be read to its end.
  guard System.kind(of: path) == .regular, let text = try? System.text(of: path, limit: manifestLimit) else { return nil }
  return ManifestText(text)?.signature
}

/// A manifest lists ranges: of a dump with many unreadable pages it is large.
private let manifestLimit = 16 << 20

/// Beside a dump that was given up.
let abandonedName = "INCOMPLETE.txt"

/// The text of a `dump.json` that mcore wrote: two spaces a level, a member a line. Members are put in
/// without reading the rest, since mcore has no reader of JSON, and strings have no newlines in them.
struct ManifestText {
  private(set) var text: String
  private static let filesStart = "\n  \"files\": {\n"
  private static let signatureStart = "\n  \"signature\": "

  /// Nil for a text that has another form.
  init?(_ text: String) {
    guard text.utf8.starts(with: "{\n  \"version\": \"1.".utf8), text.hasSuffix("\n}\n") else { return nil }
    self.text = text
  }

  /// Names a file under `files`, where that is and does not name it yet.
  mutating func addFile(_ name: String, _ bytes: UInt64, _ sha256: String?) {
    let entry = JSON.object([("bytes", .unsigned(bytes)), ("sha256", .optional(sha256))]).text(indent: "    ")
    let line = "    \(JSON.string(name).text()): "
    guard let place = text.end(of: ManifestText.filesStart), text.end(of: "\n" + line) == nil else { return }
    text.insert(contentsOf: "\(line)\(entry),\n", at: place)
  }

  /// Adds members at the end; one that is there already stays as it is.
  mutating func add(_ members: [(String, JSON)]) {
    for (name, value) in members {
      let start = "  \(JSON.string(name).text()): "
      if text.end(of: "\n" + start) != nil { continue }
      text.removeLast(3)
      text += ",\n" + start + value.text(indent: "  ") + "\n}\n"
    }
  }

  /// 16 hex digits. What stands there is a claim like all else in a file.
  var signature: String? {
    guard let start = text.end(of: ManifestText.signatureStart) else { return nil }
    let hash = text[start...].utf8.prefix(64).split(separator: UInt8(ascii: "\""))
    guard hash.count > 3, hash[1].elementsEqual("hash".utf8), hash[3].count == 16,
      hash[3].allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { return nil }
    return String(decoding: hash[3], as: UTF8.self)
  }
}

extension String {
  /// Where the first `part` in it ends. (What the standard library has for that comes with all of its regular
  /// expressions: 1.1 MB.)
  fileprivate func end(of part: String) -> Index? {
    let wanted = Array(part.utf8)
    guard let first = wanted.first else { return startIndex }
    var rest = utf8[...]
    while let start = rest.firstIndex(of: first) {
      rest = rest[start...]
      if rest.starts(with: wanted) { return rest.index(start, offsetBy: wanted.count) }
      rest = rest.dropFirst()
    }
    return nil
  }
}
