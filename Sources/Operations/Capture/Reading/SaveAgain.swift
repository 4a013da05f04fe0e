public import DumpBasics
internal import DumpSource
internal import PageSelection

/// `save` of a source that may be a dump: it says the level that it has when it is written, whatever was
/// asked for.
///
/// A dump of ours that was made at this level or a lower one is taken as it is: its pages are classified
/// already, and what it says of them stays.
public func saveAgain(
  _ request: SaveRequest, from paths: [String], _ reporter: any Reporter
) throws(DumpError) -> SaveResult {
  let source = try openDump(paths)
  var request = request
  if let stated = Level.stated(by: source), request.level != .all {
    let left = request.level.within(stated)
    if left != request.level {
      reporter.message("the source has level \(stated.name): what that left out can't come back")
      request.levelName = left.name
    }
    if source.statement != nil, left == stated { request.level = .all }
  }
  return try save(request, from: source, reporter)
}
