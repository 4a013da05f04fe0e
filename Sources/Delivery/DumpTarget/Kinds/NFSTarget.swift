internal import DumpBasics
internal import LinuxSystem

/// `nfs:host:/export/path`: a dump directory on an NFS server, which the system's mount.nfs mounts.
struct NFSTarget: TargetKind {
  static let form = "nfs:HOST:/export/path"
  let place: RemoteHost

  init?(parsing word: String) throws(DumpError) {
    guard let text = word.dropping(prefix: "nfs:") else { return nil }
    place = try RemoteHost(text, in: word, form: NFSTarget.form)
    if place.user != nil || place.port != nil {
      throw DumpError(.usage, "NFS has neither users nor ports in its names", at: word, advice: "write \(NFSTarget.form)")
    }
  }

  var isRemote: Bool { true }
  var host: String? { place.host }

  /// `soft`: a server that went away is an error, after `timeo` tenths of a second and `retrans` more tries.
  /// `nolock`: nobody else writes there, and a crash kernel has no rpc.statd.
  static func options(stall: UInt64) -> String {
    let tenths = min(600, max(10, (stall == 0 ? TransferOptions.standardStall : stall) * 10 / 4))
    return "soft,timeo=\(tenths),retrans=2,nolock,retry=0"
  }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    let source = "\(place.inBrackets):\(place.path)"
    let stall = dump.transfer.stallSeconds
    let fileSystem: MountedFileSystem
    do throws(DumpError) {
      fileSystem = try MountedFileSystem(remote: source, type: "nfs", options: NFSTarget.options(stall: stall), limit: stall)
    } catch {
      for word in ["timed out", "refused", "No route", "unreachable"] where error.what.split(atFirst: word) != nil {
        throw DumpError(.system(System.unreachable), error.what, at: "nfs:\(source)")
      }
      throw DumpError(error.kind, error.what, at: "nfs:\(source)", advice: "does the server export it to this machine?")
    }
    do throws(DumpError) {
      return MountedDestination(
        try DirectoryDestination(in: fileSystem.point, dumpName: dump.directoryName), fileSystem, shownAs: "nfs:\(source)")
    } catch {
      fileSystem.release()
      throw fileSystem.told(error, as: "nfs:\(source)")
    }
  }
}
