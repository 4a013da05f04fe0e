import PageClasses

/// Pages whose class became another.
struct ClassChange {
  var range: Range<UInt64>
  var before: PageClass
  var after: PageClass
}

/// Both have all pages of the same dump, in runs.
func changes(from before: ClassRuns, to after: ClassRuns) -> [ClassChange] {
  var result: [ClassChange] = []
  var (old, new) = (before.makeIterator(), after.makeIterator())
  var (first, second) = (old.next(), new.next())
  while let a = first, let b = second {
    let part = max(a.range.lowerBound, b.range.lowerBound)..<min(a.range.upperBound, b.range.upperBound)
    precondition(a.range.lowerBound == b.range.lowerBound || part.lowerBound < part.upperBound, "the runs have other pages")
    if a.pageClass != b.pageClass { result.append(ClassChange(range: part, before: a.pageClass, after: b.pageClass)) }
    first = a.range.upperBound > part.upperBound ? ClassRun(part.upperBound..<a.range.upperBound, a.pageClass) : old.next()
    second = b.range.upperBound > part.upperBound ? ClassRun(part.upperBound..<b.range.upperBound, b.pageClass) : new.next()
  }
  precondition(first == nil && second == nil, "the runs have other pages")
  return result
}
