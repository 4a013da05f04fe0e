import DumpBasics
import Testing

@Test func pageSizesOfLinuxAreAcceptedAndOthersNot() {
  #expect(PageSize(bytes: 4096)?.shift == 12)
  #expect(PageSize(bytes: 65536)?.shift == 16)
  #expect(PageSize(bytes: 5000) == nil)
  #expect(PageSize(bytes: 1 << 20) == nil)
}

@Test func whatSteersATerminalIsMadeVisible() {
  #expect(printable("a\u{1b}b\u{202e}c\u{2069}d\n\u{e4}\u{5d0}") == "a\\x1bb\\u202ec\\u2069d\\x0a\u{e4}\u{5d0}")
}
