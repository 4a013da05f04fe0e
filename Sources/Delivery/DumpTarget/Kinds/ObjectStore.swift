internal import CoreEncoding
internal import DumpBasics
internal import LinuxSystem

/// Requests to an object store that speaks S3: the system's curl signs them (`aws-sigv4` in the file of
/// `curl-config=`). Bodies are handed over whole, since the store wants their length before.
struct ObjectStore: Sendable {
  let curl: Curl
  private static let etag = "etag:"
  /// A store under load asks for patience (503 SlowDown), and a link may fail for a moment.
  private static let tries = 4

  init(_ curl: Curl) { self.curl = curl }

  /// Whether a file of options for curl has requests signed.
  static func isSigned(_ config: String?) -> Bool {
    guard let config, let text = try? System.text(of: config) else { return false }
    return text.utf8.split(separator: 0x0a).contains { Curl.option($0)?.option == "aws-sigv4" }
  }

  /// Puts an object, or a part of one; returns its tag.
  func put(_ url: String, _ body: [UInt8]) throws(DumpError) -> String {
    let words = ["--request", "PUT", "--dump-header", "-", "--output", "/dev/null"]
    let answer = try send(words, "application/octet-stream", url, body)
    let tag = answer.utf8.split(separator: 0x0a).compactMap { String(Substring($0)).droppingIgnoringCase(ObjectStore.etag) }.last
    return tag.map { String(Substring($0.utf8.drop { $0 == 0x20 }.prefix { $0 != 0x0d })) } ?? ""
  }

  /// What the store says in return.
  func post(_ url: String, _ body: String) throws(DumpError) -> String {
    try send(["--request", "POST"], "application/xml", url, Array(body.utf8))
  }

  func delete(_ url: String) {
    _ = try? curl.statuses(["--request", "DELETE", "--max-time", "15"] + ObjectStore.digest(of: []), [url])
  }

  /// The status codes of HEAD.
  func statuses(_ urls: [String]) throws(DumpError) -> [UInt64] {
    try curl.statuses(["--head"] + ObjectStore.digest(of: []), urls)
  }

  /// S3 wants the digest of the body in a header of its own, and signed: curl has it there since 8.1 alone.
  private static func digest(of body: [UInt8]) -> [String] {
    ["--header", "x-amz-content-sha256: \(Digest.of(body) ?? "UNSIGNED-PAYLOAD")"]
  }

  private func send(_ words: [String], _ type: String, _ url: String, _ body: [UInt8]) throws(DumpError) -> String {
    var pause: Int32 = 1000
    for attempt in 1...ObjectStore.tries {
      do throws(DumpError) {
        return try sendOnce(words, type, url, body)
      } catch {
        // What is refused is refused again.
        let mayPass = [System.unreachable, System.timedOut, System.busy].contains { error.kind == .system($0) }
        if attempt == ObjectStore.tries || !mayPass { throw error }
        Activity.step()
        System.pause(milliseconds: pause)
        pause *= 2
      }
    }
    throw DumpError("it was not tried", at: url)
  }

  private func sendOnce(_ words: [String], _ type: String, _ url: String, _ body: [UInt8]) throws(DumpError) -> String {
    let stall = curl.transfer.stallSeconds
    var all = words + ["--header", "Content-Type: \(type)"] + ObjectStore.digest(of: body)
    all += ["--data-binary", body.isEmpty ? "" : "@-"] + Curl.writeOut + [url]
    let child = try PipedChild(curl.command(all))
    do throws(DumpError) {
      unsafe try body.lent { (bytes) throws(DumpError) in unsafe try child.write(bytes, stall: stall) }
    } catch {
      // It has closed its input: mostly it says why, and ends.
      guard error.kind == .system(System.brokenPipe) else { throw error }
    }
    let result = try child.wait(stall: stall)
    guard result.end == .exited(0) else { throw curl.reason(result, url) }
    let status = Curl.codes(result.output).last ?? 0
    if (200..<300).contains(status) { return result.output }
    let refused = curl.refused(status, url)
    let said = text(of: "Message", in: result.output) ?? text(of: "Code", in: result.output)
    throw DumpError(
      [500, 502, 503, 504].contains(status) ? .system(System.busy) : refused.kind,
      refused.what + (said.map { ": \(printable($0))" } ?? ""), at: url, advice: refused.advice)
  }

  /// What stands in an element of XML that has no others in it.
  func text(of element: String, in answer: String) -> String? {
    answer.split(atFirst: "<\(element)>")?.after.split(atFirst: "</\(element)>")?.before
  }
}

extension String {
  fileprivate func droppingIgnoringCase(_ prefix: String) -> String? {
    utf8.count >= prefix.utf8.count && zip(utf8, prefix.utf8).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
      ? String(Substring(utf8.dropFirst(prefix.utf8.count))) : nil
  }
}
