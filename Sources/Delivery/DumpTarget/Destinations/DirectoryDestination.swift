internal import DumpBasics
internal import LinuxSystem

/// A dump directory, `<dumpName>/`: the dump, `dmesg.txt`, `dump.json`. It is called `<dumpName>.incomplete/`
/// until all of it is on the disk.
final class DirectoryDestination: Destination {
  /// Beside a dump that is not whole: how far it got.
  static let noteName = "INCOMPLETE.txt"
  /// Bytes that are set aside for the note when the directory is made, since a full disk takes no new file.
  private static let noteSize = 4096
  /// Holds room for `dump.json` while the dump is written: that says what is missing of a dump that a full
  /// disk cut short.
  private static let reserveName = ".reserve"
  private static let reserveSize = 128 << 10
  /// Dumps of the same second and kernel that may lie side by side.
  private static let nameLimit = 1000

  let name: String
  let acceptsSideFiles = true
  var dumpPath: String? { sink?.path }
  var room: UInt64? { System.freeBytes(of: directory) }
  private let parent: String
  /// Where it is now, and where it will be.
  private var directory: String
  private let finalDirectory: String
  private var sink: FileSink?

  /// Makes the directory in `parent`, which exists. Where the name is taken, `-2`, `-3` … is appended.
  init(in parent: String, dumpName: String) throws(DumpError) {
    self.parent = parent
    finalDirectory = try DirectoryDestination.claim(parent, dumpName)
    directory = finalDirectory + incompleteSuffix
    name = finalDirectory
    // Without its note a dump is still a dump: what makes this fail will show again if it matters.
    try? reserveNote()
    try? System.synchronizeDirectory(parent)
  }

  /// mkdir decides who gets a name: it works for one of several writers only.
  private static func claim(_ parent: String, _ dumpName: String) throws(DumpError) -> String {
    for number in 1...nameLimit {
      let candidate = joined(parent, numbered(dumpName, number))
      if System.kind(of: candidate) != nil { continue }
      if try System.mkdir(candidate + incompleteSuffix, mode: 0o700) { return candidate }
    }
    throw DumpError("there are \(nameLimit) dumps of this name", at: joined(parent, dumpName), advice: "move some away")
  }

  func openDump(fileName: String) throws(DumpError) -> any DumpSink { try openFile(fileName) }

  func openFile(_ fileName: String) throws(DumpError) -> FileSink {
    let opened = try FileSink(creating: joined(directory, fileName))
    sink = opened
    // A disk that has no room for this will show that soon enough.
    try? reserve()
    return opened
  }

  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
    try? giveBackReserve()
    try System.replaceFile(joined(directory, fileName), with: bytes)
  }

  func complete() throws(DumpError) -> String {
    try sink?.finish()
    try giveBackReserve()
    try removeNote()
    try System.synchronizeDirectory(directory)
    try System.rename(directory, finalDirectory)
    directory = finalDirectory
    try System.synchronizeDirectory(parent)
    return finalDirectory
  }

  func abandon(note: String) -> String {
    sink?.abandon()
    try? giveBackReserve()
    // Renamed, but not safely on the disk: it must not pass for whole.
    if directory == finalDirectory, (try? System.rename(directory, directory + incompleteSuffix)) != nil {
      directory += incompleteSuffix
    }
    // This is the way of an error already: another one changes nothing.
    try? writeNote(note, isLast: true)
    try? System.synchronizeDirectory(directory)
    return directory
  }

  // MARK: the reserve

  private var reservePath: String { joined(directory, DirectoryDestination.reserveName) }

  private func reserve() throws(DumpError) {
    let file = try File(reservePath, .create)
    try file.write([UInt8](repeating: 0, count: DirectoryDestination.reserveSize))
    // Until then a file system may only have promised the room.
    try file.synchronize()
  }

  private func giveBackReserve() throws(DumpError) {
    if System.kind(of: reservePath) != nil { try System.unlink(reservePath) }
  }

  // MARK: the note

  private var notePath: String { joined(directory, DirectoryDestination.noteName) }

  private func reserveNote() throws(DumpError) {
    try writeNote("This dump is being written, or the machine stopped while it was. What is there can be read.\n")
  }

  /// Writes over what is reserved. Blanks fill it up, so that a later note finds its place even on a full
  /// disk. The last note gives the blanks back.
  private func writeNote(_ text: String, isLast: Bool = false) throws(DumpError) {
    var bytes = Array(text.utf8.prefix(DirectoryDestination.noteSize - 1))
    let length = UInt64(bytes.count)
    bytes += repeatElement(0x20, count: DirectoryDestination.noteSize - 1 - bytes.count) + [0x0a]
    let file = System.kind(of: notePath) == nil ? try File(notePath, .create) : try File(notePath, .readWrite)
    try file.write(bytes)
    if isLast { try file.truncate(to: length) }
    try file.synchronize()
  }

  private func removeNote() throws(DumpError) {
    if System.kind(of: notePath) != nil { try System.unlink(notePath) }
  }
}

/// What a name ends in until the dump is whole and on the disk.
let incompleteSuffix = ".incomplete"
