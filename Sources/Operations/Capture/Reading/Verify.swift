internal import CoreEncoding
internal import CrashedKernel
public import DumpBasics
public import DumpSource
internal import LinuxSystem
internal import Workers

/// What `mcore verify` found.
public struct Verification: Sendable {
  /// The number is the exit status.
  public enum Verdict: Int32, Sendable {
    case whole = 0
    case corrupt = 1
    /// What is there is sound, but it ends too early, or something else is wrong with the file.
    case incomplete = 3
  }
  public var verdict: Verdict
  /// What was checked and what is wrong, one line each.
  public var lines: [String]
}

/// Re-reads the whole dump: every block's checksum, every group's against the trailer, the structure, the
/// counts.
///
/// `witness` says whether VMCOREINFO and the kernel's types agree.
public func verify(
  _ path: String, threads: Int, witness: (any KernelWitness)? = nil, _ reporter: any Reporter
) throws(DumpError) -> Verification {
  try verify([path], threads: threads, witness: witness, reporter)
}

/// The same of one dump, or of the parts of a set.
public func verify(
  _ paths: [String], threads: Int, witness: (any KernelWitness)? = nil, _ reporter: any Reporter
) throws(DumpError) -> Verification {
  var result = try verifyFiles(paths, threads: threads, reporter)
  guard let explanation = witness?.explain(CrashedKernel(try openDump(paths))) else { return result }
  if explanation.agreed > 0 {
    result.lines.append("VMCOREINFO and the kernel's types agree in \(explanation.agreed) places and numbers")
  }
  result.lines += explanation.findings
  if !explanation.findings.isEmpty, result.verdict == .whole { result.verdict = .incomplete }
  return result
}

private func verifyFiles(_ paths: [String], threads: Int, _ reporter: any Reporter) throws(DumpError) -> Verification {
  let source = try openDump(paths)
  let work = OrderedWork(threads: threads > 0 ? threads : System.usableCPUs)
  guard let elf = source as? ELFSource else { return try verifyPages(source, work, reporter) }
  var check = try ContentCheck(elf, work) { reporter.progress(done: $0, total: elf.contentSize) }
  check.compareCounts(elf)

  var lines = ["read \(humanBytes(elf.contentSize)) of content in \(check.groups) groups"]
  lines += check.problems
  let findings = DumpFindings(source)
  lines += findings.lines
  let cut = elf.shortfall != nil || (elf.metadata != nil && elf.metadata?.trailer == nil)
  if cut, let note = elf.metadata?.note {
    lines += PassProgress.of(note, present: elf.contentSize).map(\.text)
  }
  let verdict: Verification.Verdict =
    !check.problems.isEmpty || elf.isCorrupt ? .corrupt : cut || !findings.now.isEmpty ? .incomplete : .whole
  if elf.bytesBehind > 0 { lines.append(DumpFacts.text(behind: elf.bytesBehind)) }
  if elf.metadata == nil { lines.append("not written by mcore: it has no checksums of its own to compare with") }
  return Verification(verdict: verdict, lines: lines)
}

/// What is wrong with a dump beside its pages.
struct DumpFindings {
  /// What is wrong with the file, and with the kernel in it where nobody has looked before.
  let now: [String]
  /// What a dump of ours says of itself since it was made. It is as it was then: that is no damage.
  let then: [String]

  init(_ source: any DumpSource, _ kernel: @autoclosure () -> CrashedKernel) {
    let kernel = source.statement == nil ? kernel().findings : []
    now = (source.findings + kernel).map(\.description)
    then = source.statement?.findings ?? []
  }

  init(_ source: any DumpSource) { self.init(source, CrashedKernel(source)) }

  /// As `info` says them, and a dump carries them on.
  var all: [String] { now + then }

  var lines: [String] { now + then.map { "found when the dump was written: \($0)" } }
}

/// What the trailer's checksums say of a dump of ours whose blocks have none of their own: what is copied
/// from it must not become sound by that. A line for each group that is damaged.
public func damagedGroups(_ source: any DumpSource, threads: Int) -> [String] {
  guard let elf = source as? ELFSource, elf.metadata?.trailer != nil, !elf.hasBlockChecksums else { return [] }
  let work = OrderedWork(threads: threads > 0 ? threads : System.usableCPUs)
  do throws(DumpError) {
    return try ContentCheck(elf, work) { _ in Activity.step() }.problems.map { "the dump that was read is damaged: \($0)" }
  } catch { return ["the dump that was read could not be checked: \(error)"] }
}

/// The walk over the whole content.
private struct ContentCheck {
  private(set) var problems: [String] = []
  private(set) var groups = 0
  /// In the hole and elsewhere.
  private var zeroPages: UInt64 = 0
  private static let problemLimit = 20

  init(_ source: ELFSource, _ work: OrderedWork, progress: (UInt64) -> Void) throws(DumpError) {
    let groupSize = UInt64(DumpTrailer.groupSize)
    let size = source.contentSize
    let trailer = source.metadata?.trailer
    // Checksums cover the file up to the trailer, which has its own.
    let covered = trailer == nil ? size : min(size, source.metadata?.note.trailerOffset ?? size)
    let checksums = trailer?.groupChecksums
    let pages = MemoryInFile(source)
    groups = Int(DumpTrailer.groups(in: covered))
    if let checksums, checksums.count != groups {
      problems.append("the trailer has \(checksums.count) checksums for \(groups) groups")
    }
    var found: [String] = []
    var zeros: UInt64 = 0
    try work.run(
      count: groups, makeWorker: { GroupBuffer() }, makeSlot: { GroupResult() },
      work: { group, buffer, result throws(DumpError) in
        let start = UInt64(group) * groupSize
        buffer.check(source, start, Int(min(groupSize, covered - start)), pages, result)
      },
      consume: { group, result throws(DumpError) in
        if let problem = result.problem {
          found.append(problem)
        } else if let checksums, group < checksums.count, checksums[group] != result.checksum {
          found.append(
            "group \(group), offset \(hex(UInt64(group) * groupSize)): checksum is \(hex(UInt64(result.checksum))), "
              + "the trailer says \(hex(UInt64(checksums[group])))")
        }
        zeros += result.zeroPages
        progress(min(covered, UInt64(group + 1) * groupSize))
      })
    zeroPages = zeros + pages.holePages
    if found.count > ContentCheck.problemLimit {
      let more = found.count - ContentCheck.problemLimit
      found = Array(found.prefix(ContentCheck.problemLimit)) + ["and \(more) more"]
    }
    problems += found
  }

  /// The numbers that the dump states against those that were counted.
  mutating func compareCounts(_ source: ELFSource) {
    guard let metadata = source.metadata, let trailer = metadata.trailer, problems.isEmpty else { return }
    let kept = RangeSet.joined(source.coverage().map(\.range)).reduce(UInt64(0)) {
      $0 + metadata.note.pageSize.pages(in: $1)
    }
    if kept != metadata.note.keptPages {
      problems.append("the program headers hold \(kept) pages, the note says \(metadata.note.keptPages)")
    }
    let stated = clampedSum(metadata.note.zeroPages, trailer.zeroPages ?? 0)
    if zeroPages != stated {
      problems.append("\(zeroPages) pages are zero, note and trailer say \(stated)")
    }
    if metadata.fileSize != source.contentSize {
      problems.append("the content has \(source.contentSize) bytes, the footer says \(metadata.fileSize ?? 0)")
    }
  }
}

/// Where in the file memory stands: to count its zero pages while passing by.
private struct MemoryInFile: Sendable {
  /// Data by file offset, disjoint.
  private let pieces: [(start: UInt64, end: UInt64, memory: UInt64)]
  private let pageSize: PageSize
  /// Pages whose data is the shared hole.
  let holePages: UInt64

  init(_ source: ELFSource) {
    let note = source.metadata?.note
    let hole = PhysicalRange(start: note?.holeOffset ?? 0, count: note?.holeSize ?? 0)
    // It matters only for dumps of ours, whose counts are compared.
    let pageSize = note?.pageSize ?? .fourKiB
    var pieces: [(start: UInt64, end: UInt64, memory: UInt64)] = []
    var holePages: UInt64 = 0
    for piece in source.coverage() {
      guard case .data(let offset) = piece.kind else { continue }
      if let hole, hole.contains(offset) {
        holePages += pageSize.pages(in: piece.range)
      } else if let last = pieces.last, last.end == offset, last.memory + (last.end - last.start) == piece.range.start {
        // Two program headers may share a page: those of the crashed kernel end where its memory map does
        // (setup_data of kexec).
        pieces[pieces.count - 1].end += piece.range.count
      } else {
        pieces.append((offset, offset + piece.range.count, piece.range.start))
      }
    }
    // Memory that shares a place of the file counts once, and none of it is zero.
    var end: UInt64 = 0
    self.pieces = pieces.sorted { $0.start < $1.start }.compactMap { piece in
      let start = max(piece.start, end)
      guard start < piece.end else { return nil }
      end = piece.end
      return (start, piece.end, piece.memory + (start - piece.start))
    }
    self.pageSize = pageSize
    self.holePages = holePages
  }

  /// Zero pages that begin in `bytes`, which stand at `start` of the file.
  func zeroPages(in bytes: UnsafeRawBufferPointer, at start: UInt64) -> UInt64 {
    let end = start + UInt64(bytes.count)
    var zeros = ZeroCount(pageSize)
    var index = pieces.partitionPoint { $0.end <= start }
    while index < pieces.count, pieces[index].start < end {
      let piece = pieces[index]
      let (first, stop) = (max(piece.start, start), min(piece.end, end))
      let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[Int(first - start)..<Int(stop - start)])
      unsafe zeros.add(part, at: piece.memory + (first - piece.start), isLast: stop == piece.end)
      index += 1
    }
    return zeros.pages
  }
}

private final class GroupResult {
  var problem: String?
  var checksum: UInt32 = 0
  var zeroPages: UInt64 = 0
}

@safe private final class GroupBuffer {
  private let memory: UnsafeMutableRawBufferPointer
  init() { unsafe memory = .allocate(byteCount: DumpTrailer.groupSize, alignment: 4096) }
  deinit { unsafe memory.deallocate() }

  func check(_ source: ELFSource, _ start: UInt64, _ count: Int, _ pages: MemoryInFile, _ result: GroupResult) {
    let buffer = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[0..<count])
    result.problem = nil
    do throws(DumpError) {
      unsafe try source.readContent(at: start, into: buffer)
      result.checksum = unsafe CRC32.of(UnsafeRawBufferPointer(buffer))
      result.zeroPages = unsafe pages.zeroPages(in: UnsafeRawBufferPointer(buffer), at: start)
    } catch {
      result.problem = error.description
    }
  }
}
