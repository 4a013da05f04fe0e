import DumpBasics
import Foundation
import Testing

@testable import DumpTarget
@testable import LinuxSystem

/// A machine with one disk, whose table sfdisk writes, below a directory.
private struct DiskMachine {
  let scratch: Scratch
  var root: String { scratch.path }

  init(_ table: String, partitions: Int) throws {
    scratch = try Scratch()
    try write("dev/vdx", "")
    #expect(truncate(scratch.file("dev/vdx"), 16 << 20) == 0)
    let sfdisk = try System.run(
      Command("sh", ["-c", "printf '\(table)' | sfdisk -q \(scratch.file("dev/vdx"))"], output: .collect))
    #expect(sfdisk.end == .exited(0), "\(sfdisk.output)")
    try write("sys/devices/vdx/size", "1")
    for number in 1...partitions { try write("sys/devices/vdx/vdx\(number)/partition", "\(number)\n") }
    try link("sys/class/block/vdx", "../../devices/vdx")
    for number in 1...partitions { try link("sys/class/block/vdx\(number)", "../../devices/vdx/vdx\(number)") }
  }

  func write(_ name: String, _ text: String) throws {
    let url = URL(fileURLWithPath: scratch.file(name))
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: url, atomically: true, encoding: .utf8)
  }

  func link(_ name: String, _ target: String) throws {
    let url = URL(fileURLWithPath: scratch.file(name))
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: url.path, withDestinationPath: target)
  }

  func partition(uuid: String) -> String? { BlockDevices.partition(root: root) { $0.uuid == uuid } }
}

/// The tables are sfdisk's, and the UUIDs what it was told.
@Test func aPartitionIsFoundByItsTable() throws {
  let uuid = "0fc63daf-8483-4772-8e79-3d69d8477de4"
  let machine = try DiskMachine(
    "label: gpt\\nsize=2048, name=first\\nsize=4096, uuid=\(uuid), name=\"crash dumps\"\\n", partitions: 2)
  #expect(machine.partition(uuid: uuid) == "/dev/vdx2")
  #expect(BlockDevices.partition(root: machine.root) { $0.label == "crash dumps" } == "/dev/vdx2")
  #expect(BlockDevices.partition(root: machine.root) { $0.label == "first" } == "/dev/vdx1")
  #expect(machine.partition(uuid: "0fc63daf-8483-4772-8e79-3d69d8477de5") == nil)
  // What the kernel does not have is not found, whatever the table says.
  try FileManager.default.removeItem(atPath: machine.scratch.file("sys/class/block/vdx2"))
  #expect(machine.partition(uuid: uuid) == nil)
}

@Test func aPartitionOfADosTableIsFoundByTheSignature() throws {
  let machine = try DiskMachine("label: dos\\nlabel-id: 0x1234abcd\\nsize=2048\\nsize=2048\\n", partitions: 2)
  #expect(machine.partition(uuid: "1234abcd-02") == "/dev/vdx2")
  #expect(machine.partition(uuid: "1234abcd-03") == nil)
}

/// A table is a claim like everything else on a disk.
@Test func aTableThatIsNoTableHasNoPartitions() throws {
  let machine = try DiskMachine("label: gpt\\nsize=2048\\n", partitions: 1)
  let disk = machine.scratch.file("dev/vdx")
  #expect(PartitionTable(disk).entries.count == 1)
  let header = 512
  for (offset, bytes) in [
    (72, [UInt8](repeating: 0xff, count: 8)), (80, [0xff, 0xff, 0xff, 0xff]), (84, [1, 0, 0, 0]), (84, [0xff, 0xff, 0xff, 0xff]),
  ] {
    let before = try File(disk, .read).bytes(at: UInt64(header + offset), count: bytes.count)
    try File(disk, .readWrite).write(bytes, at: UInt64(header + offset))
    #expect(PartitionTable(disk).entries.count <= 1)
    try File(disk, .readWrite).write(before, at: UInt64(header + offset))
  }
  #expect(truncate(disk, 600) == 0)
  #expect(PartitionTable(disk).entries.isEmpty)
  #expect(PartitionTable(machine.scratch.file("nothing")).entries.isEmpty)
}

@Test func aDiskIsFoundByWhatItSaysOfItself() throws {
  let machine = try DiskMachine("label: dos\\nsize=2048\\n", partitions: 1)
  #expect(BlockDevices.id(ofDisk: "vdx", root: machine.root) == nil)
  try machine.write("sys/devices/vdx/serial", "  ")
  #expect(BlockDevices.id(ofDisk: "vdx", root: machine.root) == nil)
  try machine.write("sys/devices/vdx/serial", " S3 X1  \n")
  #expect(BlockDevices.id(ofDisk: "vdx", root: machine.root) == "S3 X1")
  #expect(BlockDevices.disk(id: "S3 X1", root: machine.root) == "/dev/vdx")
  // Two ways to one disk, or two that claim to be one: neither is it.
  try machine.write("sys/devices/vdy/device/wwid", "S3 X1\n")
  try machine.link("sys/class/block/vdy", "../../devices/vdy")
  #expect(BlockDevices.disk(id: "S3 X1", root: machine.root) == nil)
  #expect(try RawTarget(parsing: "raw:DISKID=S3 X1")?.device == .tag(.diskID, "S3 X1"))
}
