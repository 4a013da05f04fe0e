package import DumpBasics
internal import LinuxSystem

/// A line of /etc/mcore.devices: a block device that `mcore arm` saw put together of others, and that a crash
/// kernel puts together again.
///
///     array md127 2 md:UUID 2            the members with superblocks 1.2 and this UUID, and how many
///     mapped NAME 0 START LENGTH TYPE PARAMETERS
///                                        /dev/dm-0; of the parameters, pv:UUID and dev:NAME stand for disks.
///                                        Lines of one name that follow each other are one table
package struct DeviceAssembly: Sendable, Equatable {
  package enum Kind: Sendable, Equatable {
    case array(minorVersion: Int32, identity: String, members: Int)
    case mapped(minor: UInt32, table: [String])
  }
  package var name: String
  package var kind: Kind

  package init(_ name: String, _ kind: Kind) { (self.name, self.kind) = (name, kind) }

  /// The device's path, once it is there.
  package var path: String {
    switch kind {
    case .array: "/dev/\(name)"
    case .mapped(let minor, _): "/dev/dm-\(minor)"
    }
  }

  package var lines: [String] {
    switch kind {
    case .array(let version, let identity, let members): ["array \(name) \(version) \(identity) \(members)"]
    case .mapped(let minor, let table): table.map { "mapped \(name) \(minor) \($0)" }
    }
  }

  /// Lines that are not understood are passed over: what is missing then is told by the target.
  package static func parse(_ text: String) -> [DeviceAssembly] {
    var all: [DeviceAssembly] = []
    for line in text.utf8.split(separator: 0x0a) {
      let words = line.split(separator: 0x20, maxSplits: 3).map { String(Substring($0)) }
      guard words.count == 4 else { continue }
      if words[0] == "array", let version = Int32(words[2]) {
        let rest = words[3].utf8.split(separator: 0x20).map { String(Substring($0)) }
        guard rest.count == 2, let members = Int(rest[1]) else { continue }
        all.append(DeviceAssembly(words[1], .array(minorVersion: version, identity: rest[0], members: members)))
      } else if words[0] == "mapped", let minor = UInt32(words[2]) {
        if let last = all.last, last.name == words[1], case .mapped(minor, let table) = last.kind {
          all[all.count - 1].kind = .mapped(minor: minor, table: table + [words[3]])
        } else {
          all.append(DeviceAssembly(words[1], .mapped(minor: minor, table: [words[3]])))
        }
      }
    }
    return all
  }

  // MARK: in the crash kernel

  /// Puts it together, of what is there by now. Nothing is done where it is there already.
  /// - Parameter isLastTry: an array is begun with some of its members missing.
  package func assemble(isLastTry: Bool) throws(DumpError) {
    if isThere { return }
    switch kind {
    case .array(let version, let identity, let count):
      let members = DeviceAssembly.devices.filter { DeviceIdentity.ofArray("/dev/\($0.name)", minorVersion: version) == identity }
      if members.isEmpty || members.count < count && !isLastTry {
        throw DumpError("\(members.count) of \(count) members of this array are there", at: path)
      }
      // The node comes with the array, and the array with this (drivers/md/md.c, add_named_array).
      if System.blockDevice(path) == nil { try DeviceAssembly.write(name, to: "/sys/module/md_mod/parameters/new_array") }
      try System.assembleArray(path, minorVersion: version, members: members.map(\.number))
      // The disks are wanted for the dump; what a crash left unequal is made equal in the next boot.
      try? DeviceAssembly.write("frozen", to: "/sys/block/\(name)/md/sync_action")
    case .mapped(let minor, let table):
      var lines = ""
      for line in table { lines += try DeviceAssembly.filled(line) + "\n" }
      try System.createMapped(name, minor: minor, table: lines)
    }
  }

  private var isThere: Bool {
    guard System.blockDevice(path) != nil else { return false }
    // An array that was only begun has no size.
    let size = try? System.text(of: "/sys/block/\(String(Substring(path.utf8.dropFirst(5))))/size", limit: 32)
    return size.map { $0.utf8.first != 0x30 } ?? false
  }

  /// A line of the table with numbers for what stands for disks.
  private static func filled(_ line: String) throws(DumpError) -> String {
    var words: [String] = []
    for word in line.utf8.split(separator: 0x20).map({ String(Substring($0)) }) {
      if word.utf8.starts(with: "pv:".utf8) {
        guard let device = devices.first(where: { DeviceIdentity.ofPhysicalVolume("/dev/\($0.name)") == word }) else {
          throw DumpError("the physical volume \(word) is not there", at: "device mapper")
        }
        words.append(device.number.description)
      } else {
        words.append(word)
      }
    }
    return words.joined(separator: " ")
  }

  /// What the kernel has: arrays and mapped devices first, since one that lies at the end of a member looks
  /// the same there.
  private static var devices: [(name: String, number: DeviceNumber)] {
    let names = (try? System.names(in: "/sys/class/block")) ?? []
    let stacked = names.filter { $0.utf8.starts(with: "md".utf8) || $0.utf8.starts(with: "dm-".utf8) }
    return (stacked + names.filter { !stacked.contains($0) }).compactMap { name in
      System.blockDevice("/dev/\(name)").map { (name, $0) }
    }
  }

  private static func write(_ text: String, to path: String) throws(DumpError) {
    let file = try File(path, .write)
    try file.write(text)
  }
}
