package import CrashedKernel
public import DumpBasics
package import DumpSource
internal import DumpTarget
internal import LinuxSystem
internal import PageSelection

/// The facts of a dump that exists, of any format and maker.
package func inspect(
  _ source: any DumpSource, _ path: String, vmcoreInfo: VMCoreInfo? = nil, witness: (any KernelWitness)? = nil
) throws(DumpError) -> DumpFacts {
  let kernel = CrashedKernel(source, vmcoreinfo: vmcoreInfo)
  let log = try? kernel.log()
  var facts = DumpFacts(kernel, log: log, machine: source.identity)
  facts.fileBytes = try fileSize(path)
  facts.findings = DumpFindings(source, kernel).all
  facts.take(witness?.explain(kernel))
  facts.format = source.format
  let coverage = source.coverage()
  let present = coverage.filter { $0.kind != .cut }.map(\.range)
  facts.memoryBytes = present.reduce(0) { $0 + $1.count }
  if let metadata = source.metadata {
    facts.take(metadata.note)
    facts.take(zeroPages: metadata.trailer.map { clampedSum(metadata.note.zeroPages, $0.zeroPages ?? 0) })
    facts.sharedPages = facts.pages(source.sharedMemory().map(\.range))
    facts.unreadable = metadata.trailer?.unreadable ?? []
    facts.sampledPages = metadata.trailer?.sampledPages ?? 0
    facts.changed = metadata.trailer?.changed ?? []
  } else {
    if let statement = source.statement {
      facts.take(statement)
    } else {
      facts.level = source.dumpLevel.flatMap { Level(dumpLevel: $0)?.name } ?? "unknown"
    }
    facts.zeroOrLeftOutPages = facts.pages(source.withoutData)
    let there = facts.pages(coverage.lazy.filter { $0.kind != .cut }.map(\.range))
    facts.keptPages = there - min(there, facts.zeroOrLeftOutPages)
    let cut = coverage.lazy.filter { $0.kind == .cut }.map { AbsentRange($0.range, .sourceCut) }
    facts.absent = source.leftOut.merged(with: cut)
  }
  facts.otherNotes = OtherNote.of(source)
  facts.bytesBehind = source.bytesBehind
  if let note = source.metadata?.note, source.metadata?.trailer == nil, let elf = source as? ELFSource {
    facts.take(cutOff: RangeSet.joined(coverage.filter { $0.kind == .cut }.map(\.range)), note, present: elf.contentSize)
  }
  facts.settle(cut: source.shortfall != nil || (source.metadata != nil && source.metadata?.trailer == nil))
  return facts
}

/// Of what comes through a pipe, all of it.
private func fileSize(_ path: String) throws(DumpError) -> UInt64 {
  try File.seekable(try dumpFile(path)).size()
}

/// The text of VMCOREINFO in a file: what the note holds, as `KEY=value` lines. Nil for no file.
///
/// - Throws: when it can't be read, or holds no such line.
package func readVMCoreInfo(_ path: String?) throws(DumpError) -> VMCoreInfo? {
  guard let path else { return nil }
  let info = VMCoreInfo(Array(try System.text(of: path).utf8))
  guard info.osRelease != nil else {
    throw DumpError(.usage, "this is no VMCOREINFO: it has no line OSRELEASE=", at: path)
  }
  return info
}

public func info(
  _ path: String, json: Bool, vmcoreInfo: String? = nil, witness: (any KernelWitness)? = nil
) throws(DumpError) -> String {
  try info([path], json: json, vmcoreInfo: vmcoreInfo, witness: witness)
}

/// `mcore info`: lines for a person, or JSON. `paths` are one dump, or the parts of a set; `vmcoreInfo` is a
/// file, as in `SaveRequest`.
public func info(
  _ paths: [String], json: Bool, vmcoreInfo: String? = nil, witness: (any KernelWitness)? = nil
) throws(DumpError) -> String {
  let text = try readVMCoreInfo(vmcoreInfo)
  var facts = try inspect(try openDump(paths), paths.first ?? "", vmcoreInfo: text, witness: witness)
  for path in paths.dropFirst() { facts.fileBytes = clampedSum(facts.fileBytes, try fileSize(path)) }
  return json ? facts.json().text() : facts.text().joined(separator: "\n")
}

/// The crashed kernel's log, from its memory alone.
public func dmesg(_ path: String) throws(DumpError) -> String {
  let source = try openDump(path)
  return try CrashedKernel(source).log().text
}

/// `mcore last`: what the last resort holds, and whether it holds anything.
public func lastResort(_ disk: String) throws(DumpError) -> (text: String, isEmpty: Bool) {
  let contents = try LastResort(disk, forWriting: false).contents()
  var text = ""
  for (index, content) in contents.enumerated() {
    switch content {
    case .nothing: continue
    case .text(let bytes): text += "--- \(index + 1) of at most \(contents.count)\n" + String(decoding: bytes, as: UTF8.self)
    case .damaged: text += "--- \(index + 1) of at most \(contents.count): damaged, its checksum is wrong\n"
    case .foreign(let offset):
      throw DumpError(
        "this is no last resort: mcore did not write what stands there", at: "\(disk), offset \(hex(offset))",
        advice: "name the disk that last= names")
    }
    if text.utf8.last != 0x0a { text += "\n" }
  }
  return (text, text.isEmpty)
}

/// `mcore last --clear`: makes room for the next ones.
public func clearLastResort(_ disk: String) throws(DumpError) { try LastResort(disk, forWriting: true).clear() }
