import ReaderFuzz

private let fuzz = ReaderFuzz()

/// What libFuzzer calls with each input. scripts/fuzz.sh builds it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  fuzz.read(UnsafeBufferPointer(start: data, count: count))
  return 0
}
