import Foundation
import ReaderFuzz

/// libFuzzer's own `main` calls this; SwiftPM puts the one of this file in its place.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>, _ words: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// By this name libFuzzer is linked.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  ReaderFuzz().read(UnsafeBufferPointer(start: data, count: count))
  return 0
}

var count = CommandLine.argc
var words = CommandLine.unsafeArgv
exit(runDriver(&count, &words, { fuzzOneInput($0, $1) }))
