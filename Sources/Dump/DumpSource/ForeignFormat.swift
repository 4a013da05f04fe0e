internal import DumpBasics

/// Files that people take for dumps of this kind, by how they begin: what they are, and what reads them.
enum ForeignFormat {
  private struct Known {
    var offset = 0
    var magic: [UInt8]
    var name: String
    var reader: String

    init(_ magic: String, at offset: Int = 0, _ name: String, _ reader: String) {
      self.init(Array(magic.utf8), at: offset, name, reader)
    }

    init(_ magic: [UInt8], at offset: Int = 0, _ name: String, _ reader: String) {
      self.offset = offset
      self.magic = magic
      self.name = name
      self.reader = reader
    }
  }

  /// Bytes of a file's start that are looked at: a page, which is where a swap header has its signature.
  static let startSize = 4096 + 16

  /// DUMP_MAGIC_NUMBER of LKCD, as a little-endian machine writes it.
  private static let lkcd: [UInt8] = [0xed, 0x23, 0x8f, 0x61, 0x73, 0x01, 0x19, 0xa8]

  private static let known: [Known] = [
    Known("KDUMP   ", "a kdump-compressed dump of makedumpfile", "crash, drgn and makedumpfile read it"),
    Known("DISKDUMP", "a diskdump of before 2005", "crash reads it"),
    Known("makedumpfile\0", "a flattened dump of makedumpfile -F", "makedumpfile -R makes a plain one of it"),
    Known("EMiL", "memory in the format of LiME", "volatility and avml-convert read it"),
    Known([0x41, 0x56, 0x4d, 0x4c], "memory in the format of AVML", "avml-convert reads it"),
    Known("PAGEDU64", "a crash dump of Windows", "WinDbg reads it"),
    Known("PAGEDUMP", "a crash dump of 32-bit Windows", "WinDbg reads it"),
    Known(
      "LibvirtQemudSave", "a saved state of virsh save, or of virsh dump without --memory-only", "take virsh dump --memory-only"),
    Known("LibvirtQemudPart", "a saved state of virsh that is not finished", "take virsh dump --memory-only"),
    Known("QEVM", "a migration stream of QEMU", "take QEMU's dump-guest-memory"),
    Known("S1SUSPEND\0", at: 4096 - 10, "a hibernation image of Linux", "the kernel that wrote it resumes from it"),
    Known("SWAPSPACE2", at: 4096 - 10, "a swap area of Linux", "a hibernated kernel would begin with S1SUSPEND"),
    Known([0xd0, 0xbe, 0xd2, 0xbe], "a snapshot of VMware (vmss)", "vmss2core converts it"),
    Known([0xd1, 0xba, 0xd1, 0xba], "a snapshot of VMware (vmsn)", "vmss2core converts it"),
    Known([0xd2, 0xbe, 0xd2, 0xbe], "a snapshot of VMware (vmss)", "vmss2core converts it"),
    Known([0xa8, 0x19, 0x0c, 0x3d], "a dump of s390", "crash for s390x reads it"),
    Known([0xa8, 0x19, 0x09, 0x0c], "a dump of s390", "crash for s390x reads it"),
    Known([0xa8, 0x09, 0x19, 0x0c], "a dump of s390", "crash for s390x reads it"),
    Known([0xa8, 0x19, 0x01, 0x73, 0x61, 0x8f, 0x23, 0xfd], "a dump of s390", "crash reads it"),
    Known(
      lkcd, "a dump of LKCD, of a kernel before 2006", "a build of mcore with the trait Kdump reads it, and crash"),
    Known(
      lkcd.reversed(), "a dump of LKCD, of a big-endian machine", "crash built for that machine reads it"),
    Known([0x73, 0x61, 0x64, 0x75], "a dump of SADUMP", "crash and makedumpfile read it"),
    Known([0xc0, 0xdb, 0xab, 0x0f], "LZ4 blocks", "decompress it with lz4 -d"),
    Known([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], "compressed by xz", "decompress it with xz -d"),
    Known([0x04, 0x22, 0x4d, 0x18], "compressed by lz4", "decompress it with lz4 -d"),
    Known("BZh", "compressed by bzip2", "decompress it with bzip2 -d"),
    Known([0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a], "compressed by lzop", "decompress it with lzop -d"),
    Known([0x5d, 0x00, 0x00], "compressed by lzma", "decompress it with lzma -d"),
    Known("PK\u{3}\u{4}", "a zip archive", "unpack it with unzip"),
    Known("ustar", at: 257, "a tar archive", "unpack it with tar -xf"),
    Known([0xed, 0xab, 0xee, 0xdb], "an RPM package", "a dump has another form"),
    Known("!<arch>\n", "an archive of ar, such as a Debian package", "a dump has another form"),
    Known("QFI\u{fb}", "a disk image of QEMU (qcow2)", "look for a dump in its file systems: guestfish, qemu-nbd"),
    Known([0x51, 0x46, 0x49, 0xfb], "a disk image of QEMU (qcow2)", "look for a dump in its file systems: guestfish, qemu-nbd"),
    Known([0x55, 0xaa], at: 510, "a disk or its boot sector", "name the dump in its file system, or raw:/dev/DISK"),
  ]

  /// What a file is that begins with `start`, as an error; nil where that is not known. `isAllZero`: nothing
  /// else was found in its first page.
  static func named(_ start: [UInt8], _ path: String) -> DumpError? {
    for format in known where start.count >= format.offset + format.magic.count {
      if start[format.offset..<format.offset + format.magic.count].elementsEqual(format.magic) {
        return DumpError("this is \(format.name), not a dump that mcore reads", at: path, advice: format.reader)
      }
    }
    if start.count >= 4096, start[..<4096].allSatisfy({ $0 == 0 }) {
      return DumpError(
        "the file begins with a page of zeros: raw memory, a disk, or a dump of which only the size was written", at: path,
        advice: "mcore reads ELF cores (plain, elf.gz, elf.zst), kdump-compressed files and LKCD's")
    }
    return nil
  }
}
