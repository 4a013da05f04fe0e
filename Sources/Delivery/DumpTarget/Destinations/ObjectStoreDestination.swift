internal import DumpBasics
internal import LinuxSystem

/// A dump in an object store. Nothing can be renamed there: `dump.json` comes last and says whether it is
/// whole, and each object is there as a whole or not at all.
final class ObjectStoreDestination: Destination {
  let acceptsSideFiles = true
  private let store: ObjectStore
  /// What the names of the objects begin with; ends in a slash.
  private let directory: String
  private var sink: ObjectStoreSink?
  private var isComplete = false

  init(_ curl: Curl, in base: String, dumpName: String) throws(DumpError) {
    store = ObjectStore(curl)
    directory = try ObjectStoreDestination.claim(store, base, dumpName)
  }

  private static func claim(_ store: ObjectStore, _ base: String, _ dumpName: String) throws(DumpError) -> String {
    for number in 1...1000 {
      let directory = base + numbered(dumpName, number) + "/"
      let there = try store.statuses([directory + "dump.json", directory + "dmesg.txt"])
      if let elsewhere = there.first(where: { (300..<400).contains($0) }) { throw store.curl.refused(elsewhere, base) }
      // Who may not list what there is gets 403 for what is not there.
      if !there.contains(where: { (200..<300).contains($0) }) { return directory }
    }
    throw DumpError("there are 1000 dumps of this name", at: base, advice: "move some away")
  }

  var name: String { String(decoding: directory.utf8.dropLast(), as: UTF8.self) }

  func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    let made = ObjectStoreSink(store, directory + fileName)
    sink = made
    return made
  }

  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
    _ = try store.put(directory + fileName, bytes)
  }

  func complete() throws(DumpError) -> String {
    try sink?.finish()
    isComplete = true
    return name
  }

  func abandon(note: String) -> String {
    if !isComplete {
      sink?.giveUp()
      try? writeSideFile(DirectoryDestination.noteName, Array(note.utf8))
    }
    return name
  }

  /// An object is there when it is complete: what was taken so far is made one.
  func bytesThere() -> UInt64? { sink?.end() ?? 0 }
}

/// One object, written in parts (multipart upload): each is held until it is there. One that fits into a part
/// is put as it is.
final class ObjectStoreSink: DumpSink {
  let name: String
  private let store: ObjectStore
  private var part: [UInt8] = []
  /// Of the upload, which is begun with the second part.
  private var identifier = ""
  private var tags: [String] = []
  private var sent: UInt64 = 0
  private var isEnded = false
  /// A store takes 10,000 parts at most, of 5 MiB at least.
  private static let sizes = [
    (before: 2000, bytes: 8 << 20), (before: 6000, bytes: 32 << 20), (before: 10_000, bytes: 128 << 20),
  ]

  init(_ store: ObjectStore, _ url: String) {
    self.store = store
    name = url
  }

  private var partSize: Int { ObjectStoreSink.sizes.first { tags.count < $0.before }?.bytes ?? 128 << 20 }

  func write(_ bytes: UnsafeRawBufferPointer) throws(DumpError) {
    var done = 0
    while done < bytes.count {
      let count = min(bytes.count - done, partSize - part.count)
      unsafe part.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[done..<done + count]))
      done += count
      if part.count == partSize { try sendPart() }
    }
  }

  private func sendPart() throws(DumpError) {
    if identifier.isEmpty {
      let answer = try store.post(name + "?uploads=", "")
      guard let found = store.text(of: "UploadId", in: answer), !found.isEmpty else {
        throw DumpError(
          "the store begins no upload in parts", at: name, advice: "it has to speak S3: aws-sigv4 in the file of curl-config=")
      }
      identifier = found.utf8.reduce("") { $0 + ObjectStoreSink.encoded($1) }
    }
    let url = "\(name)?partNumber=\(tags.count + 1)&uploadId=\(identifier)"
    tags.append(try store.put(url, part))
    sent += UInt64(part.count)
    part.removeAll(keepingCapacity: true)
  }

  /// As a query has it (RFC 3986).
  private static func encoded(_ byte: UInt8) -> String {
    let isPlain =
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
      || [0x2d, 0x2e, 0x5f, 0x7e].contains(byte)
    if isPlain { return String(UnicodeScalar(byte)) }
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
  }

  func finish() throws(DumpError) {
    if isEnded { return }
    if identifier.isEmpty {
      _ = try store.put(name, part)
      sent = UInt64(part.count)
    } else {
      if !part.isEmpty { try sendPart() }
      let list = tags.enumerated().reduce("") {
        $0 + "<Part><PartNumber>\($1.offset + 1)</PartNumber><ETag>\($1.element)</ETag></Part>"
      }
      let answer = try store.post("\(name)?uploadId=\(identifier)", "<CompleteMultipartUpload>\(list)</CompleteMultipartUpload>")
      // It may begin to answer well, and fail then.
      if let problem = store.text(of: "Message", in: answer) {
        throw DumpError("the store does not put the parts together: \(printable(problem))", at: name)
      }
    }
    (part, isEnded) = ([], true)
  }

  /// On the way out of an error: bytes of the object, which has what was taken; 0 where it can't be had.
  func end() -> UInt64 {
    try? finish()
    return isEnded ? sent : 0
  }

  /// Parts of an object that never comes cost their room.
  func giveUp() {
    if end() == 0, !identifier.isEmpty { store.delete("\(name)?uploadId=\(identifier)") }
    isEnded = true
  }
}
