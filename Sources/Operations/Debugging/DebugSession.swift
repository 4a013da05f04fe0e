internal import CrashedKernel
public import DumpBasics
internal import DumpSource
internal import KernelReport
internal import LinuxSystem
internal import Mounting

/// `mcore crash`, `mcore drgn`, `mcore gdb`: one of these programs on a dump of any format.
public struct DebugSession: Sendable {
  public var tool: DebugTool
  /// A dump, or the parts of a set.
  public var dumps: [String]
  /// A vmlinux; nil: it is searched for.
  public var vmlinux: String?
  /// Takes `vmlinux` though it is another kernel's.
  public var force = false
  /// The person's own words for the program.
  public var words: [String] = []
  /// Memory for what was decompressed.
  public var cacheBytes: UInt64
  /// Told what is being done.
  public var progress: @Sendable (String) -> Void = { _ in }

  public init(_ tool: DebugTool, _ dumps: [String], cacheBytes: UInt64) {
    self.tool = tool
    self.dumps = dumps
    self.cacheBytes = cacheBytes
  }

  /// Returns when the program has ended: with its exit status, or 128 and the signal that ended it.
  public func run() throws(DumpError) -> Int32 {
    guard !dumps.contains("-") else {
      throw DumpError(.usage, "\(tool) needs standard input for itself", at: "-", advice: "name a dump file")
    }
    guard let program = System.program(named: tool.rawValue) else {
      throw DumpError(.usage, "\(tool) is not installed", advice: tool.package)
    }
    var paths: [String] = []
    for dump in dumps { paths.append(try dumpFile(dump)) }
    let source = try openDump(paths)
    let kernel = CrashedKernel(source)
    let file = try debugFile(kernel, source.identity.architecture)
    let offset = kernel.vmcoreinfo?.value("KERNELOFFSET").flatMap { UInt64($0, radix: 16) } ?? 0
    let physicalOffset = kernel.vmcoreinfo.flatMap(DebugTool.physicalOffset)
    func arguments(_ core: String) -> [String] {
      tool.arguments(vmlinux: file.path, core: core, offset: offset, physicalOffset: physicalOffset, words)
    }
    progress("\(tool) with \(file.path)")
    if tool == .gdb, source.segments.allSatisfy({ $0.virtualAddress == 0 }) {
      progress("this dump has no virtual addresses, and gdb knows no others: it sees registers and symbols alone")
    }
    System.holdSignals()
    if paths.count == 1, let path = paths.first, tool.reads(kind(path, source)) {
      return try start(program, arguments(path))
    }
    return try mounted(source) { (core) throws(DumpError) in
      try start(program, arguments(core))
    }
  }

  private func debugFile(_ kernel: CrashedKernel, _ machine: Architecture) throws(DumpError) -> DebugFile {
    // Names are looked up in some megabytes at most; a damaged table must not take for ever.
    let deadline = System.monotonicNanoseconds + 30_000_000_000
    let buildID = KernelBuildID(kernel) { System.monotonicNanoseconds > deadline }
    var search = DebugFileSearch(release: kernel.release, buildID: buildID, machine: machine)
    search.force = force
    search.progress = progress
    if let vmlinux { return try search.named(vmlinux) }
    return try search.find()
  }

  private func kind(_ path: String, _ source: any DumpSource) -> DebugTool.FileKind {
    // What is damaged or cut mcore reads where others may not.
    if let elf = source as? ELFSource, !elf.isCompressed, elf.format == "elf", !elf.isCorrupt { return .elf }
    let start = (try? File(path, .read).bytes(at: 0, count: 8)) ?? []
    if start.elementsEqual("KDUMP   ".utf8), source.shortfall == nil, source.findings.isEmpty { return .kdump }
    return .other
  }

  private func start(_ program: String, _ arguments: [String]) throws(DumpError) -> Int32 {
    if let signal = System.heldSignal { return 128 + signal }
    switch try System.runInForeground(Command(program, arguments)) {
    case .exited(let status): return status
    case .killed(let signal): return 128 + signal
    case .timedOut: return 1
    }
  }

  /// Runs `body` with the path of the dump as a plain ELF core, which is there for it alone.
  private func mounted(
    _ source: any DumpSource, _ body: (String) throws(DumpError) -> Int32
  ) throws(DumpError) -> Int32 {
    #if FUSE
      do throws(DumpError) { try checkFUSE() } catch {
        var refusal = error
        refusal.advice +=
          "; without it: mcore convert --format elf \(dumps.joined(separator: " ")) vmcore, then \(tool) with vmcore, in \(humanBytes(source.memoryBytes))"
        throw refusal
      }
      let directory = try System.makePrivateDirectory(in: System.environment("TMPDIR") ?? "/tmp")
      defer { try? System.rmdir(directory) }
      // Where this is allowed the mount is gone with the last process that uses it, however that ends.
      try? System.separateMounts()
      let mount = try BackgroundMount(source, on: directory, cacheBytes: cacheBytes)
      defer { mount.end() }
      return try body("\(directory)/vmcore")
    #else
      throw DumpError(
        .unsupported, "this build of mcore can't mount, and \(tool) does not read this dump as it is", at: source.name,
        advice: "mcore convert --format elf \(dumps.joined(separator: " ")) vmcore")
    #endif
  }
}

extension DumpSource {
  fileprivate var memoryBytes: UInt64 {
    coverage().reduce(0) { $1.kind == .cut ? $0 : clampedSum($0, $1.range.count) }
  }
}
