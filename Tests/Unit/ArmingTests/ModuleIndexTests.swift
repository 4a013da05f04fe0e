import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming

/// What depmod wrote, as it is in Debian's 6.1 and 6.12.
@Suite struct ModuleIndexTests {
  private let scratch: Scratch

  init() throws {
    scratch = try Scratch()
    for (name, text) in [
      (
        "modules.dep",
        "kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz\n"
          + "kernel/fs/jbd2/jbd2.ko.xz:\nkernel/fs/mbcache.ko.xz:\nkernel/lib/crc16.ko.xz:\n"
          + "kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko\n"
          + "kernel/drivers/virtio/virtio.ko:\nkernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko\n"
          + "kernel/crypto/crc32c_generic.ko.zst:\nkernel/arch/x86/crypto/crc32c-intel.ko:\nkernel/drivers/scsi/broken.ko: kernel/gone.ko\n"
      ),
      (
        "modules.softdep",
        "# made by depmod\nsoftdep ext4 pre: crc32c nothing post: late\nsoftdep virtio_blk crc16\n"
          + "softdep mbcache pre: crypto-crc32c virtio-ring\n"
      ),
      ("modules.builtin", "kernel/fs/binfmt_script.ko\nkernel/drivers/scsi/sd-mod.ko\n"),
      (
        "modules.alias",
        "alias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\nalias fs-ext4 ext4\nalias virtio:d00000002v* virtio_blk\n"
          + "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_gone\n"
      ),
    ] { try text.write(toFile: scratch.file(name), atomically: true, encoding: .utf8) }
  }

  private func order(_ names: String..., loaded: [String] = []) throws -> [String] {
    try ModuleIndex(scratch.path, loaded: loaded).loadOrder(names).map { ModuleIndex.name(ofFile: $0) }
  }

  @Test func whatIsNeededComesFirst() throws {
    #expect(try order("virtio-blk") == ["virtio", "virtio_ring", "virtio_blk"])
    #expect(
      try order("ext4") == ["crc32c_generic", "crc32c_intel", "jbd2", "virtio", "virtio_ring", "mbcache", "crc16", "ext4"])
    #expect(try order("virtio_blk", "ext4", "virtio").count == 9)
    // Aliases with hyphens, as 6.12 has them.
    #expect(try order("mbcache") == ["crc32c_generic", "virtio", "virtio_ring", "mbcache"])
    // What the machine uses is enough.
    #expect(try order("ext4", loaded: ["crc32c_intel", "ext4"]).prefix(2) == ["crc32c_intel", "jbd2"])
    #expect(try order("sd_mod", "binfmt-script") == [])
    #expect(
      try ModuleIndex(scratch.path).loadOrder(["virtio"]) == ["kernel/drivers/virtio/virtio.ko"])
  }

  @Test func whatIsMissingIsNamed() throws {
    for name in ["nothing", "broken"] {
      let error = #expect(throws: DumpError.self) { try order(name) }
      #expect(error?.what.contains(name == "broken" ? "module gone" : "module nothing") == true)
    }
    #expect(throws: DumpError.self) { try ModuleIndex(scratch.file("elsewhere")) }
  }

  @Test func aliasesArePatterns() throws {
    let index = try ModuleIndex(scratch.path)
    #expect(index.modules(forAlias: "virtio:d00000002v00001AF4") == ["virtio_blk"])
    #expect(index.modules(forAlias: "virtio:d00000003v00001AF4") == [])
    #expect(index.modules(forAlias: "pci:v00001AF4d00001042sv0sd0bc01sc00i00") == [])
    #expect(index.has("sd-mod") && index.has("crc32c_intel") && !index.has("gone"))
    for (text, pattern, expected) in [
      ("abc", "a*c", true), ("abcbc", "a*bc", true), ("abd", "a*c", false), ("", "*", true), ("", "?", false), ("a", "a**", true),
      ("x5", "x[0-9]", true), ("xb", "x[0-9]", false), ("xb", "x[abc]", true), ("x", "x[", false), ("x[", "x[", true),
      ("ab", "a", false),
      ("a", "ab", false), ("a-", "a[a-]", true),
    ] { #expect(matches(Array(text.utf8), Array(pattern.utf8)) == expected, "\(text) \(pattern)") }
  }

  @Test func namesOfFiles() {
    #expect(ModuleIndex.name(ofFile: "kernel/crypto/crc32c-intel.ko.xz") == "crc32c_intel")
    #expect(ModuleIndex.name(ofFile: "a.kobold.ko") == "a.kobold" && ModuleIndex.name(ofFile: "") == "")
  }
}
