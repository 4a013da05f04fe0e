public import DumpBasics
public import KernelReport
internal import LinuxSystem

/// Finds the vmlinux with debug information for a crashed kernel.
public struct DebugFileSearch: Sendable {
  /// `uname -r` of the crashed kernel, where it is known.
  public var release: String?
  public var buildID: KernelBuildID
  public var machine: Architecture
  /// A directory in place of `/`.
  public var root = ""
  /// Whether a file that is not this kernel's is taken when it is named.
  public var force = false
  /// Told what takes long.
  public var progress: @Sendable (String) -> Void = { _ in }

  public init(release: String?, buildID: KernelBuildID, machine: Architecture) {
    self.release = release
    self.buildID = buildID
    self.machine = machine
  }

  /// A file that a person named.
  ///
  /// - Throws: when it can't be read, or is another kernel's.
  public func named(_ path: String) throws(DumpError) -> DebugFile {
    let file = try DebugFile(path)
    if let reason = refusal(file), !force {
      throw DumpError(.usage, reason, at: path, advice: "--force takes it all the same")
    }
    return file
  }

  /// The first file of this kernel: in the places where packages put it, then by debuginfod.
  public func find() throws(DumpError) -> DebugFile {
    var refused: [String] = []
    for path in places where System.kind(of: path) == .regular {
      do throws(DumpError) {
        let file = try DebugFile(path)
        guard let reason = refusal(file) else { return file }
        refused.append("\(path): \(reason)")
      } catch {
        refused.append(error.description)
      }
    }
    do throws(DumpError) {
      if let file = try fromServer() { return file }
    } catch {
      refused.append(error.description)
    }
    throw DumpError(
      "no vmlinux with debug information for \(kernelName)", at: refused.joined(separator: "; "), advice: advice)
  }

  /// Where it may lie, the most certain place first.
  var places: [String] {
    var places: [String] = []
    for id in [buildID.inMemory, buildID.noted].compactMap({ $0 }) where id.utf8.count > 2 {
      let place = "\(root)/usr/lib/debug/.build-id/\(id.prefix(2))/\(id.dropFirst(2)).debug"
      if !places.contains(place) { places.append(place) }
    }
    // The release is the dump's word: it must not lead anywhere else.
    if let release, !release.isEmpty, release != ".", release != "..", !release.utf8.contains(0x2f), !release.utf8.contains(0) {
      places += [
        "\(root)/usr/lib/debug/boot/vmlinux-\(release)", "\(root)/usr/lib/debug/lib/modules/\(release)/vmlinux",
        "\(root)/usr/lib/debug/usr/lib/modules/\(release)/vmlinux", "\(root)/lib/modules/\(release)/build/vmlinux",
      ]
    }
    return places
  }

  /// Why a file is not the one; nil where it is, or nothing speaks against it.
  private func refusal(_ file: DebugFile) -> String? {
    if let other = file.machine, other != machine { return "it is of \(other), the dump of \(machine)" }
    if let wanted = buildID.best, let id = file.buildID, id != wanted, id != buildID.noted || buildID.inMemory != nil {
      return "it is another kernel: its build ID is \(id), that of the dump \(wanted)"
    }
    if !file.hasDebugInformation { return "it has no debug information (no .debug_info)" }
    return nil
  }

  private var kernelName: String {
    "\(release ?? "a kernel of unknown release")\(buildID.best.map { ", build ID \($0)" } ?? "")"
  }

  private var advice: String {
    let name = release ?? "RELEASE"
    return """
      install linux-image-\(name)-dbg (Debian, Ubuntu: linux-image-\(name)-dbgsym) or kernel-debuginfo (Fedora, RHEL, SUSE), \
      set DEBUGINFOD_URLS and install debuginfod, or name one by --vmlinux FILE
      """
  }

  /// A kernel's debug information is some hundred MiB.
  private static let serverSeconds: UInt64 = 3600

  /// By debuginfod-find of elfutils, which keeps what it fetched. Nil where no server is set.
  private func fromServer() throws(DumpError) -> DebugFile? {
    guard let urls = System.environment("DEBUGINFOD_URLS"), !urls.isEmpty, let id = buildID.best else { return nil }
    let program = "debuginfod-find"
    guard System.program(named: program) != nil else {
      throw DumpError("DEBUGINFOD_URLS is set, and \(program) is not installed", advice: "install debuginfod")
    }
    progress("asking debuginfod for the debug information of build ID \(id): this can take minutes")
    let result = try System.run(
      Command(program, ["debuginfo", id], output: .collect), limitSeconds: DebugFileSearch.serverSeconds)
    let lines = result.output.split(separator: "\n")
    guard result.end == .exited(0), let path = lines.last(where: { $0.utf8.first == 0x2f }) else {
      throw DumpError("debuginfod has nothing for it: \(lines.last ?? "\(result.end)")")
    }
    let file = try DebugFile(String(path))
    if let reason = refusal(file) { throw DumpError(reason, at: file.path) }
    return file
  }
}
