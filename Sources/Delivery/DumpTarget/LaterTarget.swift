internal import DumpBasics

/// Kinds that are planned. They are refused by name, so that none of them is taken for the name of a file;
/// and so is everything else that looks like a kind.
struct LaterTarget: TargetKind {
  static let form = ""
  private static let planned = ["raw", "nfs", "ssh", "pipe"]

  init?(parsing word: String) throws(DumpError) {
    guard let (kind, _) = word.split(atFirst: ":"), !kind.isEmpty, kind.utf8.allSatisfy({ (0x61...0x7a).contains($0) })
    else { return nil }
    if LaterTarget.planned.contains(kind) {
      throw DumpError(
        .unsupported, "targets of the kind \(kind): are not in this version", at: word,
        advice: "use a directory, a file, or a device with a path, such as /dev/vda1:/var/crash")
    }
    throw DumpError(
      .usage, "there is no kind of target \(kind):", at: word, advice: "for a file of that name write ./\(word)")
  }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    throw DumpError(.unsupported, "this kind of target is not in this version")
  }
}
