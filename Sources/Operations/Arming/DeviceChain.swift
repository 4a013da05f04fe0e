internal import DumpBasics
internal import DumpTarget
internal import LinuxSystem

/// What a crash kernel needs to have a block device of this machine: the modules of everything between it and
/// the processor, and what has to be put together of other devices. Found in sysfs (Documentation/ABI of
/// Linux): the disk, its controller, the bus.
struct DeviceChain {
  /// Names, each with what stands below it first.
  private(set) var modules: [String] = []
  /// What is put together, in order.
  private(set) var assemblies: [DeviceAssembly] = []
  private let machine: Machine
  private let index: ModuleIndex
  private var visited: Set<DeviceNumber> = []
  /// The table of a mapped device; tests have their own.
  private let tables: (String) throws(DumpError) -> String

  /// Devices on devices on devices: more than this is no machine.
  private static let depthLimit = 16

  init(
    _ machine: Machine, _ index: ModuleIndex,
    tables: @escaping (String) throws(DumpError) -> String = { (name) throws(DumpError) in try System.mapperTable(name) }
  ) {
    self.machine = machine
    self.index = index
    self.tables = tables
  }

  /// Adds what this device needs.
  /// - Throws: why a crash kernel can't have it.
  mutating func add(_ device: DeviceNumber, depth: Int = 0) throws(DumpError) {
    if !visited.insert(device).inserted { return }
    guard depth < DeviceChain.depthLimit, let path = System.realPath("\(machine.root)/sys/dev/block/\(device)") else {
      throw DumpError("the kernel knows no such block device", at: "/sys/dev/block/\(device)")
    }
    let name = DeviceChain.name(path)
    // A partition lies where its disk does.
    let disk = System.kind(of: "\(path)/partition") == nil ? path : parentDirectory(of: path)
    if System.kind(of: "\(disk)/dm") == .directory { return try addMapped(disk, depth) }
    if System.kind(of: "\(disk)/md") == .directory { return try addArray(disk, depth) }
    let place = String(Substring(path.utf8.dropFirst(machine.root.utf8.count)))
    if let subsystem = DeviceChain.part(of: path, after: "/devices/virtual/nvme-subsystem/") {
      return try addControllers(of: subsystem, name)
    }
    guard DeviceChain.part(of: path, after: "/devices/virtual/") == nil else {
      throw DumpError(reason(ofVirtual: name, disk), at: "/dev/\(name)")
    }
    if let step = place.utf8.split(separator: 0x2f).first(where: { $0.starts(with: "session".utf8) }) {
      throw DumpError(
        "this disk is on the network (iSCSI, \(Substring(step))), which a crash kernel does not have", at: "/dev/\(name)")
    }
    addDrivers(of: disk)
  }

  /// Adds what a network device needs: its driver, that of its transceiver, and what they hang on.
  /// - Throws: where it is none of this machine's.
  mutating func add(networkDevice name: String) throws(DumpError) {
    let link = "\(machine.root)/sys/class/net/\(name)"
    guard let path = System.realPath(link) else { throw DumpError("the kernel knows no such network device", at: name) }
    guard DeviceChain.part(of: path, after: "/devices/virtual/") == nil, System.kind(of: "\(link)/device") == .directory else {
      throw DumpError("this network device is no hardware, so that a crash kernel does not have it", at: name)
    }
    addDrivers(of: path)
    if let transceiver = System.realPath("\(link)/phydev") { addDrivers(of: transceiver) }
  }

  mutating func add(module: String) { if !modules.contains(module) { modules.append(module) } }

  // MARK: hardware

  /// The drivers of a device and of all that it hangs on, that next to the processor first.
  private mutating func addDrivers(of path: String) {
    var steps: [String] = []
    var place = path
    while place.utf8.count > machine.root.utf8.count, DeviceChain.name(place) != "devices", place != "/" {
      steps.append(place)
      place = parentDirectory(of: place)
    }
    for step in steps.reversed() {
      if let module = System.linkTarget(of: "\(step)/driver/module") {
        add(module: DeviceChain.name(module))
      } else if System.kind(of: "\(step)/driver") == nil, let alias = line("\(step)/modalias"), !DeviceChain.isBridge(alias) {
        for module in index.modules(forAlias: alias) { add(module: module) }
      }
    }
  }

  /// With several ways to one NVMe disk it lies below none of them (nvme_core.multipath).
  private mutating func addControllers(of subsystem: String, _ name: String) throws(DumpError) {
    let directory = "\(machine.root)/sys/devices/virtual/nvme-subsystem/\(subsystem)"
    var isFound = false
    for controller in (try? System.names(in: directory)) ?? [] {
      guard let path = System.realPath("\(directory)/\(controller)"), line("\(path)/transport") == "pcie" else { continue }
      addDrivers(of: path)
      isFound = true
    }
    if !isFound {
      throw DumpError(
        "this disk is on the network (NVMe over fabrics), which a crash kernel does not have", at: "/dev/\(name)")
    }
  }

  private func reason(ofVirtual name: String, _ disk: String) -> String {
    if let file = line("\(disk)/loop/backing_file") { return "it is a file that is used as a disk: \(file)" }
    if name.utf8.starts(with: "zram".utf8) || name.utf8.starts(with: "ram".utf8) {
      return "this disk is memory, and gone after a restart"
    }
    return "it is no disk of this machine, so that a crash kernel does not have it"
  }

  // MARK: device mapper and RAID

  private static let advice = "its dump goes by way of memory: write target=memory: behind it"

  /// LVM, linear and striped: the table is recorded, with what stands on each disk in place of its number.
  private mutating func addMapped(_ path: String, _ depth: Int) throws(DumpError) {
    let node = DeviceChain.name(path)
    let uuid = line("\(path)/dm/uuid") ?? ""
    let name = line("\(path)/dm/name") ?? node
    let shown = "/dev/mapper/\(name)"
    if uuid.utf8.starts(with: "CRYPT-".utf8) {
      throw DumpError(
        .unsupported, "it is encrypted, and a crash kernel does not open it", at: shown, advice: DeviceChain.advice)
    }
    guard uuid.utf8.starts(with: "LVM-".utf8), !name.utf8.contains(0x20),
      let minor = line("\(path)/dev").flatMap({ UInt32(String(Substring($0.utf8.split(separator: 0x3a).last ?? $0.utf8[...]))) })
    else {
      throw DumpError(
        .unsupported, "a device of the device mapper that is not LVM is not put together in a crash kernel", at: shown,
        advice: DeviceChain.advice)
    }
    var table: [String] = []
    for line in try tables(name).utf8.split(separator: 0x0a) { table.append(try recorded(String(Substring(line)), shown)) }
    try addParts(path, depth)
    add(module: "dm_mod")
    add(DeviceAssembly(name, .mapped(minor: minor, table: table)))
  }

  /// `0 8192 linear 254:2 2048`, `0 8192 striped 2 128 8:16 2048 8:32 2048`: with `pv:UUID` for `8:16`.
  private func recorded(_ line: String, _ shown: String) throws(DumpError) -> String {
    var words = line.utf8.split(separator: 0x20).map { String(Substring($0)) }
    let type = words.count > 2 ? words[2] : ""
    let places: StrideTo<Int>
    switch type {
    case "linear": places = stride(from: 3, to: min(4, words.count), by: 2)
    case "striped": places = stride(from: 5, to: words.count, by: 2)
    default:
      throw DumpError(
        .unsupported, "a volume of the kind \(type) is not put together in a crash kernel (linear and striped ones are)",
        at: shown, advice: DeviceChain.advice)
    }
    for place in places {
      guard let path = System.realPath("\(machine.root)/sys/dev/block/\(words[place])"),
        let volume = DeviceIdentity.ofPhysicalVolume("\(machine.root)/dev/\(DeviceChain.name(path))")
      else {
        throw DumpError(
          .unsupported, "the disk \(words[place]) below it has no label of LVM", at: shown, advice: DeviceChain.advice)
      }
      words[place] = volume
    }
    return words.joined(separator: " ")
  }

  /// RAID 1, with superblocks of version 1.
  private mutating func addArray(_ path: String, _ depth: Int) throws(DumpError) {
    let name = DeviceChain.name(path)
    let level = line("\(path)/md/level") ?? "RAID"
    guard level == "raid1" else {
      throw DumpError(
        .unsupported, "\(level) is not put together in a crash kernel (raid1 is)", at: "/dev/\(name)", advice: DeviceChain.advice)
    }
    let version = line("\(path)/md/metadata_version") ?? ""
    guard version.utf8.starts(with: "1.".utf8), let minor = Int32(String(Substring(version.utf8.dropFirst(2)))) else {
      throw DumpError(
        .unsupported, "an array with superblocks of version \(version) is not put together in a crash kernel (1.0 to 1.2 are)",
        at: "/dev/\(name)", advice: DeviceChain.advice)
    }
    let members = (try? System.names(in: "\(path)/slaves")) ?? []
    let identities = Set(members.map { DeviceIdentity.ofArray("\(machine.root)/dev/\($0)", minorVersion: minor) })
    guard identities.count == 1, let identity = identities.first ?? nil else {
      throw DumpError("its members do not all carry its superblock", at: "/dev/\(name)", advice: DeviceChain.advice)
    }
    try addParts(path, depth)
    add(module: "md_mod")
    add(module: level)
    add(DeviceAssembly(name, .array(minorVersion: minor, identity: identity, members: members.count)))
  }

  private mutating func addParts(_ path: String, _ depth: Int) throws(DumpError) {
    for part in try System.names(in: "\(path)/slaves") {
      let words = (line("\(path)/slaves/\(part)/dev") ?? "").utf8.split(separator: 0x3a).map { UInt64(String(Substring($0))) }
      guard words.count == 2, let major = words[0], let minor = words[1] else {
        throw DumpError("the kernel does not say which device this is", at: "/dev/\(part)")
      }
      try add(DeviceNumber(major: major, minor: minor), depth: depth + 1)
    }
  }

  private mutating func add(_ assembly: DeviceAssembly) { if !assemblies.contains(assembly) { assemblies.append(assembly) } }

  // MARK: names

  /// The kernel's name of the device: `/` in it stands as `!` (kobject_set_name_vargs).
  static func name(_ path: String) -> String {
    let last = path.utf8.split(separator: 0x2f).last.map { Array($0) } ?? []
    return String(decoding: last.map { $0 == 0x21 ? 0x2f : $0 }, as: UTF8.self)
  }

  /// Bridges need no driver to lead on (class 06 of PCI).
  private static func isBridge(_ alias: String) -> Bool {
    alias.utf8.starts(with: "pci:".utf8) && matches(Array(alias.utf8), Array("*bc06*".utf8))
  }

  /// The first name behind `prefix` in a path, or nil where that is not in it.
  private static func part(of path: String, after prefix: String) -> String? {
    let (bytes, wanted) = (Array(path.utf8), Array(prefix.utf8))
    guard let start = bytes.indices.first(where: { bytes[$0...].starts(with: wanted) }) else { return nil }
    return String(decoding: bytes[(start + wanted.count)...].prefix { $0 != 0x2f }, as: UTF8.self)
  }

  private func line(_ path: String) -> String? {
    guard let text = try? System.text(of: path, limit: 4096) else { return nil }
    return String(Substring(text.utf8.prefix { $0 != 0x0a }))
  }
}
