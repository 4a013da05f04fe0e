public import DumpBasics
public import DumpSource

/// The crashed kernel behind a dump: what it says of itself, its memory by its own addresses, its log.
///
/// Never fails to come into being: of a kernel that is damaged beyond everything it still says how many CPUs
/// had registers. What is missing is in `findings`.
public struct CrashedKernel: Sendable {
  public let source: any DumpSource
  /// Nil when the dump has no VMCOREINFO note.
  public let vmcoreinfo: VMCoreInfo?
  /// Nil when there is no way to translate addresses.
  public let memory: KernelMemory?
  /// PAGESIZE of VMCOREINFO; the architecture's default where that is missing or absurd.
  public let pageSize: PageSize
  /// `uname -r`: OSRELEASE of VMCOREINFO, else from `init_uts_ns` in memory, else what the file's header
  /// says. From the dump: may hold anything.
  public let release: String?
  /// The notes of the dump, with the VMCOREINFO that is used before any other.
  public let notes: [DumpNote]
  /// What could not be had, and why.
  public let findings: [DumpError]

  /// `vmcoreinfo`: where somebody knows better than the dump; its own otherwise.
  public init(_ source: any DumpSource, vmcoreinfo given: VMCoreInfo? = nil) {
    self.source = source
    let choice = VMCoreInfoChoice(source, given: given)
    var findings = choice.findings
    var pageSize = source.identity.architecture.defaultPageSize
    var memory: KernelMemory?
    let info = choice.info
    if let info {
      findings += info.findings
      do throws(DumpError) {
        pageSize = try info.pageSize(source.identity.architecture)
      } catch {
        var finding = error
        finding.advice = "\(pageSize) is taken"
        findings.append(finding)
      }
      do throws(DumpError) {
        let made = try KernelMemory(source, info, pageSize: pageSize)
        findings += made.findings
        memory = made
      } catch {
        findings.append(error.inside("kernel memory"))
      }
    } else {
      findings.append(
        DumpError(
          "the dump has no VMCOREINFO note, and none is in its memory", at: source.name,
          advice:
            "\(source.crashStatement == nil ? "kernel, " : "")log and page classes are unknown; --vmcoreinfo FILE gives one"))
    }
    if let stated = info?.osRelease, let own = CrashedKernel.ownRelease(info, memory), own != stated {
      findings.append(
        DumpError(
          "VMCOREINFO is of kernel \(printable(stated)), and the kernel in memory says that it is \(printable(own))",
          at: source.name, advice: "one of them is another kernel's"))
    }
    vmcoreinfo = info
    notes = choice.notes
    self.memory = memory
    self.pageSize = pageSize
    release = info?.osRelease ?? CrashedKernel.releaseInMemory(info, memory) ?? source.crashStatement?.release
    self.findings = findings
  }

  /// Seconds since 1970 (UTC): CRASHTIME of VMCOREINFO, else what the file's header says.
  public var crashTime: Int64? { vmcoreinfo?.crashTime ?? source.crashStatement?.crashTime }

  /// CPUs that left registers: NT_PRSTATUS notes.
  public var cpuCount: Int { source.notes.count { $0.isProcessorStatus } }

  /// The process that each of those CPUs was running, by its NT_PRSTATUS; 0 is the idle task. Nil: the note
  /// is too short.
  public var currentPIDs: [Int32?] {
    source.notes.filter(\.isProcessorStatus).map { note in
      ByteReader(note.descriptor, source.identity.byteOrder).u32(source.identity.architecture.prstatusPidOffset)
        .map { Int32(bitPattern: $0) }
    }
  }

  /// Reads the log, anew with each call.
  ///
  /// - Throws: when there is no way to it.
  public func log() throws(DumpError) -> KernelLog {
    guard let vmcoreinfo else {
      throw DumpError(
        "no log: the dump has no VMCOREINFO note", at: source.name, advice: "crash finds it by the kernel's debug symbols")
    }
    if let memory { return try KernelLog.render(memory, vmcoreinfo) }
    // This fails again, and so says why.
    return try KernelLog.render(KernelMemory(source, vmcoreinfo, pageSize: pageSize), vmcoreinfo)
  }

  static func releaseInMemory(_ info: VMCoreInfo?, _ memory: KernelMemory?) -> String? {
    names(info, memory).flatMap { $0[2].isEmpty ? nil : $0[2] }
  }

  /// What the kernel itself says: in `init_uts_ns`, else in the first line of its log, while that is there.
  static func ownRelease(_ info: VMCoreInfo?, _ memory: KernelMemory?) -> String? {
    if let release = releaseInMemory(info, memory) { return release }
    guard let info, let memory, let log = try? KernelLog.render(memory, info) else { return nil }
    // init/version.c: "Linux version %s (…"
    let banner = "Linux version "
    for line in log.lines.prefix(64) {
      let bytes = Array(line.utf8)
      guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: banner.utf8) }) else { continue }
      return String(decoding: bytes[(start + banner.utf8.count)...].prefix { $0 != 0x20 }, as: UTF8.self)
    }
    return nil
  }

  /// The six strings of `init_uts_ns.name`, else those of the file's header: sysname, nodename, release,
  /// version, machine, domainname. From the dump: may hold anything.
  public var names: [String]? { CrashedKernel.names(vmcoreinfo, memory) ?? source.crashStatement?.names }

  /// struct new_utsname is six strings of 65 bytes (include/uapi/linux/utsname.h).
  private static func names(_ info: VMCoreInfo?, _ memory: KernelMemory?) -> [String]? {
    guard let info, let memory, let namespace = info.symbol("init_uts_ns"),
      // OFFSET(uts_namespace.name) since 5.11; before, the name followed a 4-byte reference count.
      let name = namespace.advanced(by: UInt64(info.offset("uts_namespace.name") ?? 4)),
      let bytes = try? memory.read(name, count: 6 * 65)
    else { return nil }
    let reader = ByteReader(bytes, .little)
    let names = (0..<6).map { reader.text($0 * 65, limit: 65) ?? "" }
    return names[0] == "Linux" ? names : nil
  }
}
