public import DumpSource

extension Level {
  /// What a dump says that it was made with; nil for one that says nothing.
  public static func stated(by source: any DumpSource) -> Level? {
    source.statement.flatMap { Level(stated: $0.level) } ?? source.dumpLevel.flatMap { Level(dumpLevel: $0) }
  }
}
