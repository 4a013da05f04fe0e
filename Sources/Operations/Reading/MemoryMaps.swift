internal import CrashedKernel
internal import DumpBasics
internal import DumpSource
internal import KernelReport
internal import LinuxSystem
internal import PageClasses
internal import Workers

/// What the machine's memory was used for, by address: what the dump left out has its class in the dump, and
/// what it holds is classified. Nil where there is no way to the page map.
func memoryMap(_ kernel: CrashedKernel) -> MemoryMap? {
  let classes = PageClassification(kernel, work: OrderedWork(threads: System.usableCPUs))
  if classes[.layout].failed > 0 { return nil }
  // In the picture from the bottom: what can't be left out first.
  let order: [PageClass] = [.kernel, .user, .cache, .cachePrivate, .free, .offline, .hwpoison]
  let size = kernel.pageSize
  func frames(_ range: PhysicalRange) -> Range<UInt64>? {
    let (first, end) = (range.start / size.bytes, range.end / size.bytes)
    return first < end ? first..<end : nil
  }
  let leftOut = kernel.source.statement?.leftOut ?? kernel.source.leftOut
  let held = kernel.source.coverage().lazy.filter { $0.kind != .cut }.compactMap { frames($0.range) }
  let memory = [AnySequence(held), AnySequence(leftOut.lazy.compactMap { frames($0.range) })].joined()
  var map = MemoryMap(classes: order.map(\.name), pageBytes: size.bytes, memory: memory)
  for entry in leftOut {
    guard let pageClass = PageClass(rawValue: UInt8(clamping: entry.pageClass)), let number = order.firstIndex(of: pageClass),
      let frames = frames(entry.range)
    else { continue }
    map.add(frames, number)
  }
  for run in classes.runs {
    if let number = order.firstIndex(of: run.pageClass) { map.add(run.range, number) }
  }
  return map
}
