internal import Capture
internal import DumpBasics
internal import DumpTarget

/// One target of the settings, and how the crash kernel gets there.
struct TargetPlan {
  /// As it was written, and where.
  var word: String
  var origin: String
  /// As the crash kernel is told; nil where it can't be reached.
  var crashWord: String?
  /// Why not.
  var reason: DumpError?
  var isMemory = false
  /// On another machine.
  var isRemote = false
  var memoryWindows: String?
  /// Names of kernel modules, without what they depend on.
  var modules: [String] = []
  /// What may be otherwise in another kernel.
  var warning: String?
  /// What is put together before.
  var assemblies: [DeviceAssembly] = []

  init(_ word: String, _ origin: String) {
    (self.word, self.origin) = (word, origin)
  }

  /// Where modules can't be found, nothing can be said of disks; of memory it can.
  init(_ word: String, _ origin: String, without error: DumpError) {
    self.init(word, origin)
    if let spec = try? TargetSpec(word), spec.waitsInMemory {
      (isMemory, crashWord, memoryWindows) = (true, word, spec.memoryWindows?.text)
    } else {
      reason = error
    }
  }

  /// For people.
  var line: String {
    let shown = shownTarget(word)
    guard let crashWord else {
      let why = reason.map { origin.isEmpty ? $0 : $0.inside(origin) }
      return "\(shown) can't be reached: \(why?.description ?? "it is not known why")"
    }
    return isMemory ? "\(shown) (the soft boot)" : crashWord == word ? shown : "\(shown) as \(crashWord)"
  }
}
