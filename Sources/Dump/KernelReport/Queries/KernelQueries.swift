public import CrashedKernel
public import DumpBasics

/// Small questions to a dump: tasks, stacks, names, types, values.
///
/// Each kind of question is a file of its own without types of its own: what mcore-capture does not ask, it
/// does not hold.
public struct KernelQueries {
  let view: KernelView
  let places: CodePlaces

  /// - Throws: when there is no way to the kernel's memory.
  public init(_ kernel: CrashedKernel) throws(DumpError) {
    guard let view = KernelView(kernel, isOver: { false }) else {
      throw kernel.findings.first ?? DumpError("there is no way to the kernel's memory")
    }
    self.view = view
    places = CodePlaces(view)
  }

  /// What could not be had.
  public var notes: [String] { view.notes }

  /// Whether a list that was gone through was not whole, or the dump itself is not.
  public var isPartial: Bool { view.isPartial }

  /// An answer, and what is wrong with it.
  public struct Answer: Sendable {
    public var text: String
    public var problems: [DumpError]
  }

  /// Which stacks.
  public enum Choice: Sendable, Equatable { case crashed, all, cpus, cpu(Int), pid(Int32) }

  func failure(_ what: String) -> DumpError {
    DumpError(what, at: view.kernel.source.name, advice: view.notes.joined(separator: "; "))
  }
}

/// `text` at the right end of `width` letters.
func right(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.utf8.count)) + text }
