import DumpBasics
import Testing

@testable import DumpTarget

@Test func devicesAreTakenApart() throws {
  for (word, device, path) in [
    ("/dev/vda1:/var/crash", "/dev/vda1", "/var/crash"), ("/dev/vda:/", "/dev/vda", "/"),
    ("UUID=ab-12:/c", "UUID=ab-12", "/c"), ("LABEL=my disk:/c d", "LABEL=my disk", "/c d"),
    ("PARTUUID=7:/x", "PARTUUID=7", "/x"),
    ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1:/x", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "/x"),
    ("/dev/sda1:/a:/b", "/dev/sda1", "/a:/b"),
  ] {
    let target = try #require(try DeviceTarget(parsing: word))
    #expect(target.device.description == device)
    #expect(target.path == path)
  }
}

@Test(arguments: [
  "UUID=ab", "LABEL=x", "UUID=:/x", "/dev/vda1:var/crash", "/dev/vda1:/a/../b", "UUID=x:crash", "",
  "nsf:host:/x", "raww:/dev/vdb", "http://x",
])
func wrongWordsAreRefusedWithAdvice(word: String) throws {
  do {
    _ = try TargetSpec(word)
    Issue.record("\(word) was taken")
  } catch {
    #expect(error.kind == .usage)
    #expect(!error.advice.isEmpty || error.what.contains("missing"), "\(error)")
  }
}

@Test func farSidesAreTakenApart() throws {
  for (word, user, host, port, path) in [
    ("ssh:root@host:/var/crash", "root", "host", nil, "/var/crash"), ("ssh:host.example:/a:b", nil, "host.example", nil, "/a:b"),
    ("ssh:u@[fe80::1%eth0]:/c d", "u", "fe80::1%eth0", nil, "/c d"), ("ssh:u@[::1]:2222:/", "u", "::1", 2222, "/"),
    ("ssh:u@10.0.0.1:22:/x@y", "u", "10.0.0.1", 22, "/x@y"),
  ] as [(String, String?, String, UInt64?, String)] {
    let place = try #require(try SSHTarget(parsing: word)).place
    #expect(place.user == user && place.host == host && place.port == port && place.path == path, "\(word)")
    #expect(try TargetSpec(word).isRemote)
  }
  #expect(try #require(try NFSTarget(parsing: "nfs:[2001:db8::1]:/export/a")).place.inBrackets == "[2001:db8::1]")
  #expect(try HTTPTarget(parsing: "https://[::1]:8443/a/b/")?.base == "https://[::1]:8443/a/b/")
  #expect(try RawTarget(parsing: "raw:PARTUUID=7")?.device.description == "PARTUUID=7")
}

@Test(arguments: [
  "ssh:host", "ssh:host:relative", "ssh:-oProxyCommand=x@host:/x", "ssh:u@-host:/x", "ssh:u:password@host:/x", "ssh:@host:/x",
  "ssh:u@[::1:/x", "ssh:u@[host]:/x", "ssh:u@host:0:/x", "ssh:u@host:70000:/x", "ssh:u@host:/a\nb", "ssh:", "nfs:u@host:/x",
  "nfs:host:2049:/x", "nfs:host:x", "raw:vdb", "raw:/tmp/x", "raw:UUID=", "pipe:", "pipe:  ", "https://host", "https:///x/",
  "https://host/x", "https://host/x/?token=y", "https://host/a b/", "https://host/#/",
])
func wrongFarSidesAreRefused(word: String) throws {
  #expect { try TargetSpec(word) } throws: { ($0 as? DumpError)?.kind == .usage && ($0 as? DumpError)?.advice.isEmpty == false }
}

@Test(arguments: ["https://user:secret@host/path/", "https://user:secret@host", "https://host/x/?secret", "http://secret@host/"])
func whatIsSecretInAnAddressIsRefusedAndNotRepeated(word: String) {
  #expect { try TargetSpec(word) } throws: { error in !("\(error)").contains("secret") }
}

@Test func whatFollowsACommandIsNotShown() throws {
  #expect(try TargetSpec("pipe:curl -H token=secret x").shown == "pipe:curl ...")
  #expect(try TargetSpec("pipe:receiver").shown == "pipe:receiver")
  #expect(try TargetSpec("/var/crash").shown == "/var/crash")
}

@Test func windowsOfMemoryAreTakenApart() throws {
  #expect(try TargetSpec("memory:").nextKernel == .needed)
  #expect(try TargetSpec("memory:2M@4M").nextKernel == .usedIfThere)
  #expect(try TargetSpec("/var/crash").nextKernel == .none)
  #expect(
    try MemoryTarget(parsing: "memory:0x200000@0x40000000,256M@2G")?.windows?.ranges
      == [PhysicalRange(start: 0x4000_0000, count: 0x20_0000), PhysicalRange(start: 2 << 30, count: 256 << 20)].compactMap { $0 })
  for word in [
    "memory:x", "memory:1M", "memory:2M@0x100000", "memory:2M@2M,2M@2M", "memory:@4M", "memory:-2M@4M", "memory:2M@4MM",
    "memory:2M@4M,", "memory:2M@4M@6M", "memory:" + (1...9).map { "2M@\($0 * 4)M" }.joined(separator: ","),
  ] {
    #expect(throws: DumpError.self) { try TargetSpec(word) }
  }
  // Its place is known only when a crashed kernel was looked through.
  #expect(throws: DumpError.self) { try openTarget("memory:", dumpName: "d") }
}

@Test func whatLooksLikeNothingElseIsAPath() throws {
  for word in ["/var/crash", "dump.elf", "./nsf:x", "a/b:c", "C:x", "/dev/shm", "-x"] { _ = try TargetSpec(word) }
}

@Test func mountTablesAreRead() {
  let table = MountTable.parse(
    """
    22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
    30 22 254:2 / /mnt/my\\040disk ro,relatime - xfs /dev/vda2 rw
    31 22 254:2 /sub /bind rw shared:2 master:3 - xfs /dev/vda2 ro
    32 22 0:40 / /b\\134x rw - btrfs /dev/vdb rw
    nonsense
    33 22 x:y / /c rw - ext4 /dev/c rw
    34 22 1:2 / /c rw
    """)
  #expect(table.count == 4)
  #expect(
    table[0]
      == Mount(
        device: .init(major: 254, minor: 1), root: "/", point: "/", isWritable: true, type: "ext4", source: "/dev/vda1",
        options: "rw,errors=remount-ro"))
  #expect(table[1].point == "/mnt/my disk" && !table[1].isWritable)
  #expect(table[2].root == "/sub" && !table[2].isWritable)
  #expect(table[3].point == "/b\\x")
}

/// A word names a subvolume of btrfs in brackets.
@Test func aSubvolumeStandsInBrackets() throws {
  for (word, subvolume, path) in [
    ("/dev/vda2[/@home]:/crash", "/@home", "/crash"), ("UUID=ab-c[/]:/@/var", "/", "/@/var"), ("LABEL=x[/a/b]:/", "/a/b", "/"),
    ("/dev/vda2:/crash", nil, "/crash"), ("/dev/vda2[x]:/crash", nil, "/crash"),
  ] as [(String, String?, String)] {
    let spec = try TargetSpec(word)
    #expect(spec.subvolume == subvolume && spec.deviceAndPath?.path == path)
  }
  #expect(try TargetSpec("UUID=ab-c[/@]:/x").deviceAndPath?.device == "UUID=ab-c")
}

/// Which mount of a disk a target means, where its file system is mounted in parts.
@Test func theMountThatIsMeantIsFound() throws {
  func table(_ lines: String) -> [Mount] { MountTable.parse(lines) }
  func meant(_ mounts: [Mount], _ subvolume: String?, _ directories: Set<String> = []) throws -> String? {
    try MountTable.meant(mounts, subvolume: subvolume, path: "/var/crash", device: "/dev/vdb") { directories.contains($0) }?.point
  }
  let parts = table(
    """
    32 22 0:40 /@ / rw - btrfs /dev/vdb rw,space_cache=v2,subvolid=256,subvol=/@
    33 32 0:40 /@home /home rw - btrfs /dev/vdb rw,subvolid=257,subvol=/@home
    34 32 0:40 /@/opt/x /bound rw - btrfs /dev/vdb rw,subvolid=256,subvol=/@
    35 32 0:40 /@ /again rw - btrfs /dev/vdb rw,subvolid=256,subvol=/@
    """)
  #expect(parts.map(\.isWholeSubvolume) == [true, true, false, true])
  #expect(try meant(parts, "/@home") == "/home")
  #expect(try meant(parts, "/@snapshots") == nil)
  // The directory is there in one of them; a directory that is bound elsewhere is none of them.
  #expect(try meant(parts, nil, ["/var/crash"]) == "/")
  #expect(try meant(parts, nil, ["/home/var/crash", "/bound/var/crash"]) == "/home")
  #expect(try meant([parts[1], parts[2]], nil) == "/home")
  for directories in [[], ["/var/crash", "/home/var/crash"]] as [Set<String>] {
    let error = #expect(throws: DumpError.self) { try meant(parts, nil, directories) }
    #expect(error?.advice.contains("/dev/vdb[/@]:/var/crash, /dev/vdb[/@home]:/var/crash") == true)
  }
  // The whole file system is what a word without brackets means, unless the directory is in one of its subvolumes alone.
  let whole = table("36 22 0:40 / /mnt rw - btrfs /dev/vdb rw,subvolid=5,subvol=/\n")
  #expect(try meant(parts + whole, nil) == "/mnt")
  #expect(try meant(parts + whole, nil, ["/mnt/var/crash", "/var/crash"]) == "/mnt")
  #expect(try meant(parts + whole, nil, ["/var/crash", "/again/var/crash"]) == "/")
  #expect(try meant(parts + whole, nil, ["/var/crash", "/home/var/crash"]) == "/mnt")
  // Of other file systems a directory that is bound is nothing that a disk's path means.
  #expect(try meant(table("37 22 8:1 /srv /mnt rw - ext4 /dev/sda1 rw\n"), nil, ["/mnt/var/crash"]) == nil)
}

/// What may be secret is not shown.
@Test(arguments: [
  ("pipe:gzip", "pipe:gzip"), ("pipe:curl -H SECRET", "pipe:curl ..."), ("pipe:TOKEN=SECRET sh", "pipe:..."),
  ("pipe:curl\t-H\tSECRET", "pipe:..."), ("pipe:(SECRET=a sh)", "pipe:..."), ("pipe:'SECRET'", "pipe:..."),
])
func aCommandIsShownByItsProgram(word: String, shown: String) throws { #expect(try TargetSpec(word).shown == shown) }

@Test func aLoginInAnAddressIsNeverShown() {
  #expect(TargetSpec.withoutLogin("https://user:SECRET@host/x/") == "https://...@host/x/")
  #expect(TargetSpec.withoutLogin("https://user:SE@CRET@host/x/") == "https://...@host/x/")
  #expect(TargetSpec.withoutLogin("/var/crash") == "/var/crash")
}
