internal import CLinux
public import DumpBasics

/// Block devices that are put together of others: by the device mapper, and RAID.
extension System {
  /// The table of the mapped device `name`: lines `START LENGTH TYPE PARAMETERS`.
  public static func mapperTable(_ name: String) throws(DumpError) -> String {
    var text = [CChar](repeating: 0, count: 64 << 10)
    let code = unsafe mcore_mapper_table(name, &text, text.count)
    if code != 0 { throw failure(.ioctl, -code, "/dev/mapper/\(name)") }
    return String(decoding: text.prefix { $0 != 0 }.lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Makes the mapped device `name` with this table. It is /dev/dm-MINOR.
  public static func createMapped(_ name: String, minor: UInt32, table: String) throws(DumpError) {
    let code = unsafe mcore_mapper_create(name, minor, table)
    if code != 0 { throw failure(.ioctl, -code, "/dev/mapper/\(name)") }
  }

  /// Puts an array together of the members that are there. Its superblocks are of version 1.`minorVersion`.
  public static func assembleArray(
    _ path: String, minorVersion: Int32, members: [DeviceNumber]
  ) throws(DumpError) {
    let array = try File(path, .readWrite)
    let numbers = members.flatMap { [UInt32(clamping: $0.major), UInt32(clamping: $0.minor)] }
    let code = unsafe mcore_array_assemble(array.descriptor, minorVersion, numbers, members.count)
    if code != 0 { throw failure(.ioctl, -code, path) }
  }
}
