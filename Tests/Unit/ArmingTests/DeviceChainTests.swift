import DumpBasics
import Foundation
import TestSupport
import Testing

@testable import Arming
@testable import DumpTarget
@testable import LinuxSystem

/// LVM on RAID 1, as Debian's installer makes it: /dev/dm-0 on md127 on two disks of two controllers.
@Suite(.serialized) struct DeviceChainTests {
  private let fake: FakeMachine
  private static let physicalVolume = "abcdefGHIJKL0123456789mnopqrstUV"

  init() throws {
    fake = try FakeMachine()
    let modules = "/lib/modules/6.1.0-test"
    for (path, text) in [
      (
        "\(modules)/modules.dep",
        "k/ahci.ko:\nk/sd_mod.ko:\nk/nvme.ko: k/nvme-core.ko\nk/nvme-core.ko:\nk/md-mod.ko:\nk/raid1.ko: k/md-mod.ko\nk/dm-mod.ko:\n"
          + "k/ext4.ko:\n"
      ), ("/sys/devices/pci0/ata1/1:0:0:0/block/sda/sda2/partition", "2\n"),
      ("/sys/devices/pci0/ata1/1:0:0:0/block/sda/sda2/dev", "8:2\n"),
      ("/sys/devices/pci1/nvme/nvme0/nvme0n1/nvme0n1p2/partition", "2\n"),
      ("/sys/devices/pci1/nvme/nvme0/nvme0n1/nvme0n1p2/dev", "259:2\n"),
      ("/sys/devices/virtual/block/md127/md/level", "raid1\n"), ("/sys/devices/virtual/block/md127/md/metadata_version", "1.2\n"),
      ("/sys/devices/virtual/block/md127/dev", "9:127\n"), ("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n"),
      ("/sys/devices/virtual/block/dm-0/dm/uuid", "LVM-xyz\n"), ("/sys/devices/virtual/block/dm-0/dev", "253:0\n"),
      ("/proc/self/mountinfo", "20 1 253:0 / / rw - ext4 /dev/mapper/vg-root rw\n"), ("/dev/dm-0", ""),
      ("/sys/bus/pci/drivers/ahci/x", ""), ("/sys/bus/pci/drivers/nvme/x", ""), ("/sys/bus/scsi/drivers/sd/x", ""),
    ] { try fake.write(path, text) }
    try link("/sys/dev/block/8:2", "../../devices/pci0/ata1/1:0:0:0/block/sda/sda2")
    try link("/sys/dev/block/259:2", "../../devices/pci1/nvme/nvme0/nvme0n1/nvme0n1p2")
    try link("/sys/dev/block/9:127", "../../devices/virtual/block/md127")
    try link("/sys/dev/block/253:0", "../../devices/virtual/block/dm-0")
    try link("/sys/devices/virtual/block/md127/slaves/sda2", "../../../../pci0/ata1/1:0:0:0/block/sda/sda2")
    try link("/sys/devices/virtual/block/md127/slaves/nvme0n1p2", "../../../../pci1/nvme/nvme0/nvme0n1/nvme0n1p2")
    try link("/sys/devices/virtual/block/dm-0/slaves/md127", "../../md127")
    try link("/sys/devices/pci0/driver", "../../bus/pci/drivers/ahci")
    try link("/sys/devices/pci1/driver", "../../bus/pci/drivers/nvme")
    try link("/sys/devices/pci0/ata1/1:0:0:0/driver", "../../../../bus/scsi/drivers/sd")
    try link("/sys/bus/pci/drivers/ahci/module", "../../../../module/ahci")
    try link("/sys/bus/pci/drivers/nvme/module", "../../../../module/nvme")
    try link("/sys/bus/scsi/drivers/sd/module", "../../../../module/sd_mod")
    var member = [UInt8](repeating: 0, count: 8192)
    member.replaceSubrange(4096..<4104, with: [0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0])
    member.replaceSubrange(4112..<4128, with: 0x10...0x1f)
    var volume = [UInt8](repeating: 0, count: 4096)
    volume.replaceSubrange(512..<520, with: Array("LABELONE".utf8))
    volume.replaceSubrange(532..<544, with: [32, 0, 0, 0] + Array("LVM2 001".utf8))
    volume.replaceSubrange(544..<576, with: Array(DeviceChainTests.physicalVolume.utf8))
    for (name, bytes) in [("sda2", member), ("nvme0n1p2", member), ("md127", volume)] {
      try Data(bytes).write(to: URL(fileURLWithPath: fake.request.root + "/dev/\(name)"))
    }
  }

  private func link(_ path: String, _ target: String) throws {
    let url = URL(fileURLWithPath: fake.request.root + path)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
  }

  private func chain(_ table: String) throws(DumpError) -> DeviceChain {
    let machine = Machine(root: fake.request.root)
    let index = try ModuleIndex(fake.request.root + "/lib/modules/6.1.0-test")
    var chain = DeviceChain(machine, index, tables: { _ in table })
    try chain.add(DeviceNumber(major: 253, minor: 0))
    return chain
  }

  @Test func whatLiesBelowComesFirst() throws {
    let chain = try chain("0 8192 linear 9:127 2048\n8192 4096 striped 2 128 9:127 10240 9:127 20480\n")
    #expect(Set(chain.modules) == ["ahci", "sd_mod", "nvme", "md_mod", "raid1", "dm_mod"] && chain.modules.last == "dm_mod")
    let pv = "pv:\(DeviceChainTests.physicalVolume)"
    let lines = [
      "array md127 2 md:101112131415161718191a1b1c1d1e1f 2", "mapped vg-root 0 0 8192 linear \(pv) 2048",
      "mapped vg-root 0 8192 4096 striped 2 128 \(pv) 10240 \(pv) 20480",
    ]
    #expect(chain.assemblies.flatMap(\.lines) == lines)
    // As the crash kernel reads it.
    #expect(DeviceAssembly.parse(lines.joined(separator: "\n") + "\nodd\narray md1 2 x\n") == chain.assemblies)
    #expect(chain.assemblies.map(\.path) == ["/dev/md127", "/dev/dm-0"])
  }

  @Test func whatCanNotBePutTogetherIsSaid() throws {
    func reason(_ table: String = "0 8192 linear 9:127 2048") -> String {
      do throws(DumpError) {
        _ = try chain(table)
        return ""
      } catch { return error.description }
    }
    #expect(reason() == "")
    #expect(reason("0 8192 thin 253:3 1").contains("kind thin"))
    try fake.write("/sys/devices/virtual/block/md127/md/level", "raid5\n")
    #expect(reason().contains("raid5 is not put together"))
    try fake.write("/sys/devices/virtual/block/md127/md/level", "raid1\n")
    try fake.write("/sys/devices/virtual/block/md127/md/metadata_version", "0.90\n")
    #expect(reason().contains("version 0.90"))
    try fake.write("/sys/devices/virtual/block/md127/md/metadata_version", "1.2\n")
    try Data([UInt8](repeating: 0, count: 8192)).write(to: URL(fileURLWithPath: fake.request.root + "/dev/sda2"))
    #expect(reason().contains("do not all carry"))
    try Data([UInt8](repeating: 0, count: 8192)).write(to: URL(fileURLWithPath: fake.request.root + "/dev/md127"))
    #expect(reason().contains("no label of LVM"))
    try fake.write("/sys/devices/virtual/block/dm-0/dm/uuid", "mpath-1\n")
    #expect(reason().contains("not LVM"))
  }

  @Test func superblocksAtEachPlaceAreKnown() throws {
    let path = fake.scratch.file("member")
    for (version, offset, size) in [(0 as Int32, 57344, 65536), (1, 0, 65536), (2, 4096, 65536)] {
      var bytes = [UInt8](repeating: 0, count: size)
      bytes.replaceSubrange(offset..<offset + 8, with: [0xfc, 0x4e, 0x2b, 0xa9, 1, 0, 0, 0])
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      for other in 0...3 as ClosedRange<Int32> {
        #expect(
          DeviceIdentity.ofArray(path, minorVersion: other)
            == (other == version ? "md:" + String(repeating: "0", count: 32) : nil))
      }
    }
    try Data([UInt8](repeating: 0x41, count: 100)).write(to: URL(fileURLWithPath: path))
    #expect(DeviceIdentity.ofPhysicalVolume(path) == nil && DeviceIdentity.ofArray(path, minorVersion: 2) == nil)
  }
}
