internal import DumpBasics
internal import LinuxSystem

/// What depmod says of the modules of one kernel (modules.dep(5), modprobe.d(5)): which there are, what each
/// needs, and by which names they are called for.
final class ModuleIndex {
  /// Where they lie, such as `/lib/modules/6.1.0-56-amd64`.
  let directory: String
  /// By name: the path below `directory`.
  private var paths: [String: String] = [:]
  /// By name: what has to be loaded before, each before the next.
  private var needs: [String: [String]] = [:]
  /// By name: what should be loaded before. Names of modules, or aliases as they are written: with hyphens
  /// (crypto-crc32c).
  private var wishes: [String: [String]] = [:]
  private var builtIn: Set<String> = []
  /// In the order of the file, since several may fit. Read when they are first asked for: there are tens of
  /// thousands.
  private lazy var aliases: [(pattern: [UInt8], module: String)] = readAliases()
  /// What the running kernel has loaded: of several that fit one alias, these are preferred.
  private let loaded: Set<String>

  private static let fileLimit = 32 << 20

  /// - Parameter loaded: names under /sys/module.
  init(_ directory: String, loaded: [String] = []) throws(DumpError) {
    self.directory = directory
    self.loaded = Set(loaded)
    for (path, needed) in try ModuleIndex.lines("\(directory)/modules.dep").compactMap({ ModuleIndex.entry($0) }) {
      let name = ModuleIndex.name(ofFile: path)
      paths[name] = path
      // depmod lists what is needed last first.
      needs[name] = needed.reversed().map { ModuleIndex.name(ofFile: $0) }
    }
    for line in (try? ModuleIndex.lines("\(directory)/modules.builtin")) ?? [] {
      builtIn.insert(ModuleIndex.name(ofFile: String(line)))
    }
    for line in (try? ModuleIndex.lines("\(directory)/modules.softdep")) ?? [] { readSoftDependency(line) }
  }

  /// Paths below `directory` of all that these modules need, and they, in the order of loading. What is built
  /// in needs nothing.
  /// - Throws: where a module, or one that it can't do without, is not there.
  func loadOrder(_ wanted: [String]) throws(DumpError) -> [String] {
    var order: [String] = []
    var visited: Set<String> = []
    for name in wanted { try visit(ModuleIndex.canonical(name), &order, &visited) }
    return order
  }

  /// Names of modules that an alias stands for: those that are loaded, where there are any, else all. Empty
  /// where nothing is to be loaded for it.
  func modules(forAlias alias: String) -> [String] {
    let text = Array(alias.utf8)
    var found: [String] = []
    for (pattern, module) in aliases where matches(text, pattern) && !found.contains(module) && paths[module] != nil {
      found.append(module)
    }
    let used = found.filter { loaded.contains($0) }
    return used.isEmpty ? found : used
  }

  func has(_ name: String) -> Bool {
    let name = ModuleIndex.canonical(name)
    return paths[name] != nil || builtIn.contains(name)
  }

  // MARK: order

  private func visit(_ name: String, _ order: inout [String], _ visited: inout Set<String>) throws(DumpError) {
    if !visited.insert(name).inserted || builtIn.contains(name) { return }
    guard let path = paths[name] else {
      throw DumpError(
        "the module \(name) is not there, and not built in", at: directory, advice: "install the modules of the running kernel")
    }
    for wish in wishes[name] ?? [] {
      let module = ModuleIndex.canonical(wish)
      let names = paths[module] != nil ? [module] : builtIn.contains(module) ? [] : modules(forAlias: wish)
      // What is only wished for may be missing.
      for name in names {
        var tried = order
        var seen = visited
        if (try? visit(name, &tried, &seen)) != nil { (order, visited) = (tried, seen) }
      }
    }
    for needed in needs[name] ?? [] { try visit(needed, &order, &visited) }
    order.append(path)
  }

  // MARK: files

  private func readAliases() -> [(pattern: [UInt8], module: String)] {
    ((try? ModuleIndex.lines("\(directory)/modules.alias")) ?? []).compactMap { line in
      let words = line.utf8.split(separator: 0x20)
      guard words.count == 3, words[0].elementsEqual("alias".utf8) else { return nil }
      return (Array(words[1]), ModuleIndex.canonical(String(Substring(words[2]))))
    }
  }

  /// `softdep NAME pre: A B post: C`.
  private func readSoftDependency(_ line: Substring) {
    let words = line.utf8.split(separator: 0x20).map { String(Substring($0)) }
    guard words.count > 2, words[0] == "softdep", let start = words.firstIndex(of: "pre:") else { return }
    let before = words[(start + 1)...].prefix { $0 != "post:" }
    wishes[ModuleIndex.canonical(words[1]), default: []] += before
  }

  private static func lines(_ path: String) throws(DumpError) -> [Substring] {
    try System.text(of: path, limit: fileLimit).utf8.split(separator: 0x0a).map { Substring($0) }
  }

  /// `kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko ...`
  private static func entry(_ line: Substring) -> (path: String, needed: [String])? {
    guard let colon = line.utf8.firstIndex(of: 0x3a) else { return nil }
    let needed = line.utf8[line.utf8.index(after: colon)...].split(separator: 0x20)
    return (String(Substring(line.utf8[..<colon])), needed.map { String(Substring($0)) })
  }

  /// kernel/fs/ext4/ext4.ko.xz is ext4.
  static func name(ofFile path: String) -> String {
    let file = path.utf8.split(separator: 0x2f).last.map { Array($0) } ?? []
    let suffix = Array(".ko".utf8)
    let end = file.indices.last { file[$0...].starts(with: suffix) } ?? file.count
    return canonical(String(decoding: file[..<end], as: UTF8.self))
  }

  /// The kernel takes - and _ in names for the same.
  static func canonical(_ name: String) -> String {
    String(decoding: name.utf8.map { $0 == 0x2d ? 0x5f : $0 }, as: UTF8.self)
  }
}

/// Whether `text` is what the pattern says, in which `*`, `?` and `[abc]`, `[a-c]` stand for others, as in
/// modules.alias.
func matches(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
  var (t, p) = (0, 0)
  /// Where the last `*` stood, and how far it reached.
  var star: (pattern: Int, text: Int)?
  while t < text.count {
    if p < pattern.count, pattern[p] == 0x2a {
      star = (p, t)
      p += 1
    } else if p < pattern.count, let next = step(text[t], pattern, p) {
      (t, p) = (t + 1, next)
    } else if let (place, reach) = star {
      star = (place, reach + 1)
      (t, p) = (reach + 1, place + 1)
    } else {
      return false
    }
  }
  return pattern[p...].allSatisfy { $0 == 0x2a }
}

/// Where the pattern goes on behind one byte, or nil where that does not fit.
private func step(_ byte: UInt8, _ pattern: [UInt8], _ p: Int) -> Int? {
  switch pattern[p] {
  case 0x3f: return p + 1
  case 0x5b:
    guard let end = pattern[p...].firstIndex(of: 0x5d) else { return byte == 0x5b ? p + 1 : nil }
    var index = p + 1
    var isIn = false
    while index < end {
      let isRange = index + 2 < end && pattern[index + 1] == 0x2d
      let last = isRange ? pattern[index + 2] : pattern[index]
      if pattern[index] <= last, (pattern[index]...last).contains(byte) { isIn = true }
      index += isRange ? 3 : 1
    }
    return isIn ? end + 1 : nil
  default: return pattern[p] == byte ? p + 1 : nil
  }
}
