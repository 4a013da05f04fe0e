internal import DumpBasics
internal import LinuxSystem

/// `/dev/vda1:/var/crash`, `UUID=…:/path`, `LABEL=…:/path`: a directory on a file system, which is mounted
/// for the dump unless it is mounted already. The directory is made where it is missing.
/// `/dev/vda1[/@]:/path` is in a subvolume of btrfs.
struct DeviceTarget: TargetKind {
  static let form = "/dev/DISK:/path, UUID=...:/path, LABEL=...:/path, PARTUUID=...:/path"

  let word: String
  let device: BlockDeviceName
  /// Of btrfs; nil where none is named.
  let subvolume: String?
  let path: String

  init?(parsing word: String) throws(DumpError) {
    // Names such as /dev/disk/by-path/pci-0000:00:1f.2-ata-1 hold colons: the path begins at a colon with a
    // slash.
    let (disk, subvolume) = Subvolume.split(word.split(atFirst: ":/")?.before ?? word)
    guard let device = BlockDeviceName(disk) else { return nil }
    guard let (_, path) = word.split(atFirst: ":/") else {
      // A path under /dev may be a directory, such as /dev/shm; with a tag there is no doubt.
      if case .path = device, word.split(atFirst: ":") == nil { return nil }
      throw DumpError(
        .usage, "a directory on the disk is missing", at: word, advice: "append its path: \(device):/var/crash")
    }
    if case .tag(_, "") = device { throw DumpError(.usage, "the value after = is missing", at: word) }
    if word.utf8.contains(0) { throw DumpError(.usage, "a path can't hold a NUL byte", at: word) }
    if path.utf8.split(separator: 0x2f).contains(where: { $0.elementsEqual("..".utf8) }) {
      throw DumpError(.usage, "the path on the disk has a .. in it", at: word, advice: "write it without")
    }
    self.word = word
    self.device = device
    self.subvolume = subvolume
    self.path = "/" + path
  }

  func isPresent() -> Bool { device.resolve() != nil }

  func open(_ dump: any DumpOffer) throws(DumpError) -> any Destination {
    guard let found = device.resolve() else {
      throw DumpError(
        .usage, "there is no such disk", at: device.description,
        advice: "is its driver loaded, and does it need more time to appear (wait=SECONDS)?")
    }
    let fileSystem = try MountedFileSystem(found, subvolume: subvolume, for: path, limit: dump.transfer.stallSeconds)
    let shown = "\(device)\(subvolume.map { "[\($0)]" } ?? ""):"
    do throws(DumpError) {
      let directory = try fileSystem.directory(path)
      return MountedDestination(try DirectoryDestination(in: directory, dumpName: dump.directoryName), fileSystem, shownAs: shown)
    } catch {
      fileSystem.release()
      throw fileSystem.told(error, as: shown)
    }
  }
}

/// A dump directory on a file system that may have been mounted for it. Paths are shown as they are on the
/// disk, since the mount point is gone afterwards.
final class MountedDestination: Destination {
  private let inner: DirectoryDestination
  private let fileSystem: MountedFileSystem
  private let prefix: String

  init(_ inner: DirectoryDestination, _ fileSystem: MountedFileSystem, shownAs prefix: String) {
    self.inner = inner
    self.fileSystem = fileSystem
    self.prefix = prefix
  }

  var name: String { shown(inner.name) }
  var acceptsSideFiles: Bool { inner.acceptsSideFiles }
  var dumpPath: String? { inner.dumpPath }
  var room: UInt64? { inner.room }

  func openDump(fileName: String) throws(DumpError) -> any DumpSink {
    do throws(DumpError) {
      let sink = try inner.openFile(fileName)
      sink.name = shown(sink.path)
      return sink
    } catch { throw fileSystem.told(error, as: prefix) }
  }

  func writeSideFile(_ fileName: String, _ bytes: [UInt8]) throws(DumpError) {
    do throws(DumpError) { try inner.writeSideFile(fileName, bytes) } catch { throw fileSystem.told(error, as: prefix) }
  }

  func complete() throws(DumpError) -> String {
    let path: String
    do throws(DumpError) { path = try inner.complete() } catch { throw fileSystem.told(error, as: prefix) }
    fileSystem.release()
    return shown(path)
  }

  func abandon(note: String) -> String {
    let path = inner.abandon(note: note)
    fileSystem.release()
    return shown(path)
  }

  private func shown(_ path: String) -> String { fileSystem.shown(path, as: prefix) }
}
