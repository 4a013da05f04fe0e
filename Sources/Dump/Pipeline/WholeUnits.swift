internal import DumpBasics
internal import DumpTarget

extension DumpSink {
  /// Runs `body`, which keeps account of how many bytes of the file are whole. Whatever ends it early, the
  /// file is cut after these.
  func keepingWhole<Result>(_ body: (inout UInt64) throws(DumpError) -> Result) throws(DumpError) -> Result {
    var whole: UInt64 = 0
    do throws(DumpError) { return try body(&whole) } catch {
      // What ended the run is what is told.
      try? cut(to: whole)
      throw error
    }
  }
}
