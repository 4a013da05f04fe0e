import CoreEncoding
@testable import CrashedKernel
import DumpBasics
import Testing

@testable import KernelReport

/// The report as a page of HTML.
@Suite struct PageTests {
  private func page(_ content: ReportContent, _ log: PageLog = PageLog(nil), _ map: MemoryMap? = nil) -> String {
    content.page(log, map, tool: "mcore test")
  }

  private static let hostile = "</style></script><script>alert(1)</script><img src=x onerror='a()'>\"&"

  @Test func nothingFromADumpIsMarkup() {
    var content = ReportContent(CrashedKernel(TinyKernel())) { false }
    let hostile = PageTests.hostile
    content.reason = hostile
    content.release = hostile
    content.version = hostile
    content.node = hostile
    content.machine = hostile
    content.commandLine = hostile
    content.taint = [hostile]
    content.modules = [hostile]
    content.notes = [hostile]
    content.cgroup = hostile
    content.load = [hostile, hostile, hostile]
    for index in content.waiting.indices {
      content.waiting[index].task.name = hostile
      content.waiting[index].lockName = hostile
    }
    var log = PageLog(nil)
    log.add(PageLog.Line(level: 3, time: "[    1.000000] ", text: hostile))
    log.add(PageLog.Line(level: nil, text: hostile))
    let page = page(content, log, MemoryMap(classes: [hostile], pageBytes: 4096, memory: [0..<1000]))
    #expect(page.contains("&lt;script&gt;alert(1)"))
    #expect(page.components(of: "<script>") == 2 && page.components(of: "</script>") == 2)
    #expect(page.components(of: "</style>") == 2)
    #expect(!page.contains("<img"))
    #expect(!page.contains("onerror='"))
  }

  @Test func controlsAndWhatTurnsTextAroundAreMadeVisible() {
    var markup = Markup()
    markup.text("a\u{1b}[31m\u{202e}b\u{0}\u{85}\nc<&>\"'")
    #expect(markup.html == "a\\u{1b}[31m\\u{202e}b\\u{0}\\u{85}\nc&lt;&amp;&gt;&quot;&#39;")
  }

  /// The policy names the script by its digest: it is the one that stands in the page.
  @Test func thePolicyLetsTheScriptOfThePageRunAndNothingElse() throws {
    guard let digest = Digest.of(Array(PageStyle.script.description.utf8)) else { return }
    let bytes = stride(from: 0, to: 64, by: 2).map { place in
      let start = digest.index(digest.startIndex, offsetBy: place)
      return UInt8(digest[start..<digest.index(start, offsetBy: 2)], radix: 16) ?? 0
    }
    #expect(base64(bytes) == PageStyle.scriptDigest.description)
    let page = page(ReportContent(CrashedKernel(TinyKernel())) { false })
    #expect(page.contains("default-src 'none'"))
    #expect(page.contains("script-src 'sha256-\(PageStyle.scriptDigest)'"))
    for word in ["http:", "https:", "src=", "@import", "url("] { #expect(!page.contains(word), "\(word)") }
  }

  private func base64(_ bytes: [UInt8]) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = (0..<3).map { start + $0 < bytes.count ? Int(bytes[start + $0]) : 0 }
      let bits = group[0] << 16 | group[1] << 8 | group[2]
      for place in 0..<4 { text.append(start + place > bytes.count ? "=" : letters[bits >> (18 - 6 * place) & 63]) }
    }
    return text
  }

  @Test func whatTheTextSaysIsOnThePage() {
    let content = ReportContent(CrashedKernel(TinyKernel())) { false }
    let page = page(content)
    for word in [
      "6.1.0-tiny", "tinyhost", "crash_me.isra.0", "DEADLOCK: ", "first (PID 102) waits for second (PID 103)", "user space",
      "D: kernel died before (oops or BUG)", "root=/dev/vda?[31m quiet", "waits for mutex",
    ] { #expect(page.contains(word), "\(word)") }
  }

  @Test func theLogOfThePageIsItsEnd() {
    let text = Array((0..<9000).map { "line \($0)\n" }.joined().utf8)
    let log = KernelLog(form: .raw, bytes: text, entries: [], records: 9000, unfinished: 0, damaged: 0, findings: [])
    let shown = PageLog(log)
    #expect(shown.lines.count == 8000)
    #expect(shown.leftOut == 1000)
    #expect(shown.lines.first?.text == "line 1000" && shown.lines.last?.text == "line 8999")
  }

  // MARK: the picture of memory

  @Test func everyPageIsCountedOnceAndGapsTakeNoRoom() {
    let memory: [Range<UInt64>] = [0x100000..<0x108000, 0..<0x8000]
    var map = MemoryMap(classes: ["kernel", "free"], pageBytes: 4096, memory: memory)
    #expect(map.parts == [0..<0x8000, 0x100000..<0x108000])
    map.add(0..<0x8000, 0)
    map.add(0x7000..<0x104000, 1)
    #expect(map.totals == [0x8000, 0x1000 + 0x4000])
    #expect(map.counts.map { $0.reduce(0, +) }.max() == 2 * map.pagesPerColumn)
    #expect(map.counts[0] == [256, 0] && map.counts[130] == [0, 256] && map.counts[255] == [0, 0])
    #expect(map.address(ofColumn: 0) == 0 && map.address(ofColumn: 128) == 0x1_0000_0000)
    #expect(map.gaps == [128])
  }

  @Test func aPictureOfWhateverRangesEnds() {
    let nasty: [Range<UInt64>] = [
      0..<0, 0..<1, 5..<UInt64.max, .max - 1 ..< .max, 1 << 51..<1 << 52, 1 << 52..<1 << 53, 3..<4,
    ]
    let scattered: [Range<UInt64>] = (0..<5000 as Range<UInt64>).map { ($0 * 1024)..<($0 * 1024 + 1) }
    let all: [[Range<UInt64>]] = [[], nasty, nasty.reversed(), scattered]
    for memory in all {
      var map = MemoryMap(classes: ["kernel", "free"], pageBytes: 1 << 16, memory: memory)
      #expect(map.parts.count <= 1024)
      for range in nasty {
        map.add(range, 0)
        map.add(range, 7)
      }
      var markup = Markup()
      markup.chart(map)
      #expect(markup.html.utf8.count < 100_000)
    }
  }
}

extension String {
  /// Pieces between occurrences of `word`: one more than there are of it.
  fileprivate func components(of word: String) -> Int {
    var count = 1
    var rest = utf8[...]
    while !rest.isEmpty {
      if rest.starts(with: word.utf8) { count += 1 }
      rest = rest.dropFirst()
    }
    return count
  }
}
