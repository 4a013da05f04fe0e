#if Kdump
  internal import CoreEncoding
  internal import CoreFormat
  internal import CrashedKernel
  internal import DumpBasics
  internal import DumpPlan
  internal import DumpSource
  internal import DumpTarget
  internal import LinuxSystem
  internal import PageSelection
  internal import Pipeline
  internal import Workers

  /// Writes a kdump-compressed file.
  func writePages(
    _ plan: DumpPlan, _ source: any DumpSource, _ kernel: CrashedKernel, _ format: OutputFormat, _ work: OrderedWork,
    to sink: any DumpSink, _ destination: any Destination, limit: (UInt64, UInt64) -> DumpError?, _ reporter: any Reporter
  ) throws(DumpError) -> Pipeline.Outcome {
    let pipeline = try KdumpPipeline(plan, source, zstd: isZstd(format), kernel: described(kernel, level: plan.note.level), work)
    let total = pipeline.total
    var outcome = try pipeline.run(source, to: sink, limit: limit) { done, _ in
      Activity.step()
      reporter.progress(done: done, total: total)
    }
    // The file was not written from start to end, so its digest is made of what stands there now.
    if destination.acceptsSideFiles, let path = destination.dumpPath { outcome.sha256 = try digest(of: path) }
    return outcome
  }

  /// What a kdump-compressed file has that its writer could not finish; nil where it is of no use. Its pages
  /// have no passes, so that the file itself is asked.
  func factsOfCutPages(_ destination: any Destination) -> DumpFacts? {
    guard let path = destination.dumpPath, let source = try? openDump(path), source.shortfall != nil,
      let facts = try? inspect(source, path), facts.keptPages > 0
    else { return nil }
    return facts
  }

  private func isZstd(_ format: OutputFormat) -> Bool {
    #if Zstd
      return format == .kdumpZstd
    #else
      return false
    #endif
  }

  private func described(_ kernel: CrashedKernel, level: String) -> KdumpKernel {
    var described = KdumpKernel()
    described.names = kernel.names ?? ["Linux", "", kernel.release ?? ""]
    // x86_64 has moved by it; on arm64 makedumpfile puts the start of memory there.
    let key = kernel.source.identity.architecture == .x86_64 ? "phys_base" : "PHYS_OFFSET"
    described.physicalBase = kernel.vmcoreinfo?.word(key) ?? 0
    described.dumpLevel = Int32((0...31).first { Level(dumpLevel: $0)?.name == level } ?? (level == Level.all.name ? 0 : 31))
    described.cpus = kernel.cpuCount
    return described
  }

  private func digest(of path: String) throws(DumpError) -> String? {
    guard var digest = Digest() else { return nil }
    let file = try File(path, .read)
    var offset: UInt64 = 0
    while true {
      let bytes = try file.bytes(at: offset, count: 1 << 20)
      if bytes.isEmpty { return digest.finish() }
      unsafe bytes.withUnsafeBytes { unsafe digest.update($0) }
      offset += UInt64(bytes.count)
    }
  }
#endif
