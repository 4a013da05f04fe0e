internal import DumpBasics
internal import PageClasses

/// Goes through memory and its classes side by side, both ascending.
struct ClassCursor {
  private var runs: ClassRuns.Iterator?
  private var current: ClassRun?
  private let pageSize: PageSize

  /// Without classes everything is the kernel's.
  init(_ classes: PageClassification?, _ pageSize: PageSize) {
    runs = classes?.runs.makeIterator()
    current = runs?.next()
    self.pageSize = pageSize
  }

  /// Calls `body` for each stretch of one class in `range`. Ranges have to come in ascending order.
  mutating func forEach(in range: PhysicalRange, _ body: (PhysicalRange, PageClass) -> Void) {
    var position = range.start
    while position < range.end {
      while let run = current, run.range.upperBound << pageSize.shift <= position { current = runs?.next() }
      var end = range.end
      var pageClass = PageClass.kernel
      if let run = current {
        let start = run.range.lowerBound << pageSize.shift
        if start <= position {
          end = min(end, run.range.upperBound << pageSize.shift)
          pageClass = run.pageClass
        } else {
          end = min(end, start)
        }
      }
      if let part = PhysicalRange(position, end) { body(part, pageClass) }
      position = end
    }
  }
}
