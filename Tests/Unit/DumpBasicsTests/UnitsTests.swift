import DumpBasics
import Testing

@Test func pageSizesOfLinuxAreAcceptedAndOthersNot() {
  #expect(PageSize(bytes: 4096)?.shift == 12)
  #expect(PageSize(bytes: 65536)?.shift == 16)
  #expect(PageSize(bytes: 5000) == nil)
  #expect(PageSize(bytes: 1 << 20) == nil)
}
