import CoreFormat
import DumpBasics
import DumpTarget
import Foundation
import PageSelection
import Testing

@testable import CaptureInit

private func settings(file: String = "", kernel: String = "", _ arguments: String...) -> Settings {
  Settings(Words.ofFile(file, "/etc/mcore.conf") + Words.ofKernelCommandLine(kernel) + Words.ofArguments(arguments))
}

@Test func nothingGivesTheDefaults() {
  let none = settings()
  #expect(none.problems.isEmpty && none.targets.isEmpty)
  #expect(none.source.value == "/proc/vmcore" && none.wait.value == 30 && none.threads.value == 0)
  #expect(none.final == nil && none.failure == nil && !none.shell.value)
}

@Test func laterPlacesWin() {
  let all = settings(
    file: "threads=1 wait=1 format=elf", kernel: "quiet mcore.threads=2 threads=9 mcore.wait=2", "threads=3")
  #expect(all.problems.isEmpty)
  #expect(all.threads == Placed(3, from: "argument 1"))
  #expect(all.wait == Placed(2, from: "kernel command line"))
  #expect(all.format == Placed(.elf, from: "/etc/mcore.conf, line 1"))
  // The place decides, not the order in which words were handed over.
  let reversed = Settings(Words.ofArguments(["wait=3"]) + Words.ofFile("wait=1", "f"))
  #expect(reversed.wait.value == 3)
}

@Test func targetsAddUpInOnePlaceAndReplaceThoseOfAnEarlierOne() {
  let both = settings(file: "target=/a target=/b\ntarget=/c", kernel: "mcore.target=/d")
  #expect(both.targets.map(\.value) == ["/d"])
  #expect(settings(file: "target=/a target=/b\ntarget=/c").targets.map(\.value) == ["/a", "/b", "/c"])
  #expect(settings(file: "target=/a", kernel: "mcore.level=all").targets == [Placed("/a", from: "/etc/mcore.conf, line 1")])
  // A wrong word in a later place does not cost the right ones of an earlier.
  let wrong = settings(file: "target=/a", kernel: "mcore.target=nsf:host:/x")
  #expect(wrong.targets.isEmpty == false)
  #expect(wrong.problems.count == 1)
}

@Test func everyKeyIsUnderstood() {
  let all = settings(
    kernel: "mcore.target=/d mcore.level=header mcore.format=elf mcore.threads=4 mcore.source=/s mcore.final=halt "
      + "mcore.failure=shell mcore.shell=yes mcore.modules=/m mcore.wait=0 "
      + "mcore.max-time=15m mcore.max-size=2G mcore.attempts=0")
  #expect(all.problems.isEmpty)
  #expect(all.level.value == .header && all.format.value == .elf && all.threads.value == 4 && all.source.value == "/s")
  #expect(all.final?.value == HandOffs("halt") && all.failure?.value == HandOffs("shell") && all.shell.value)
  #expect(all.modules.value == "/m" && all.wait.value == 0 && all.attempts.value == 0)
  #expect(all.maxTime.value == 900 && all.maxSize.value == 2 << 30)
  for key in SettingKey.all { #expect(Help.text.contains("  \(key.name) ")) }
}

@Test(arguments: [
  ("tarhet=/x", ["'tarhet'", "argument 1", "did you mean target="]), ("levle=all", ["'levle'", "did you mean level="]),
  ("level=al", ["level=al", "allowed", "header", "argument 1"]), ("threads=-1", ["threads=-1", "0 to 1024"]),
  ("threads=1025", ["0 to 1024"]), ("threads=99999999999999999999", ["0 to 1024"]), ("wait=", ["wait=", "0 to 3600"]),
  ("wait=+5", ["0 to 3600"]), ("shell", ["'shell'", "shell=VALUE", "yes, no"]), ("shell=maybe", ["yes, no"]),
  ("/dev/vda1", ["'/dev/vda1'", "key=value"]), ("=x", ["there are target"]),
  ("target=nsf:h:/x", ["nsf:", "no kind of target", "argument 1"]),
  ("target=UUID=7", ["target=UUID=7", "missing"]), ("final=restart", ["reboot, poweroff, halt, kexec, shell, exit"]),
  ("failure=shell:soon", ["shell:TIME"]), ("failure=reboot:5s", ["shell:TIME"]), ("final=", ["up to 8"]),
  ("final=kexec,,reboot", ["commas"]), ("final=halt,halt,halt,halt,halt,halt,halt,halt,halt", ["up to 8"]),
  ("source=", ["a path"]), ("max-time=0", ["max-time=0", "15m"]), ("max-time=5x", ["s, m or h"]),
  ("max-size=1.5G", ["max-size=1.5G", "K, M, G or T"]), ("max-size=-1", ["none"]),
  ("max-size=99999999999999999999T", ["K, M, G or T"]),
  ("zzzzzzz=1", ["there are target, level"]),
])
func aWrongWordIsNamedWithItsPlaceAndWhatIsAllowed(word: String, parts: [String]) throws {
  let result = settings(word)
  #expect(result.problems.count == 1)
  let problem = try #require(result.problems.first).description
  for part in parts { #expect(problem.contains(part), "\(problem)") }
  // Everything else holds.
  #expect(settings(word, "wait=7").wait.value == 7)
}

@Test func farWordsGetNoHint() {
  #expect(nearestMatch("zzzzzzz", SettingKey.all.map(\.name)) == nil)
  #expect(nearestMatch("tagret", SettingKey.all.map(\.name)) == "target")
  #expect(nearestMatch("", SettingKey.all.map(\.name)) == nil)
}

@Test func wordsAreSplitAsTheKernelDoes() {
  let kernel = "BOOT_IMAGE=/x mcore.target=\"LABEL=my disk:/c d\" \"mcore.source=/a b\" mcore.wait=5 xmcore.wait=6 mcore.x"
  #expect(Words.ofKernelCommandLine(kernel).map(\.text) == ["target=LABEL=my disk:/c d", "source=/a b", "wait=5", "x"])
  #expect(Words.split(Array("a\t\"b".utf8)) == ["a", "b"])
}

@Test func filesHaveLinesWordsAndComments() {
  let words = Words.ofFile("# comment\n\ntarget=/a#b wait=5 # more=1\r\n  level=all\n", "/f")
  #expect(words.map(\.text) == ["target=/a#b", "wait=5", "level=all"])
  #expect(words.map(\.origin) == ["/f, line 3", "/f, line 3", "/f, line 4"])
}

@Test func theFirstProcessTakesOnlyWhatIsMeantForIt() {
  let arguments = ["splash", "single", "level=header", "mcore.level=all", "-s"]
  #expect(FirstProcess.ownArguments(arguments) == ["level=header"])
  #expect(FirstProcess.arguments("/init\0splash\0wait=3\0") == ["splash", "wait=3"])
  #expect(FirstProcess.arguments("").isEmpty)
}

@Test func theChildGetsTheSameSettings() {
  let given = settings(
    file: "target=LABEL=my\"x:/a level=header", kernel: "mcore.target=\"/c d\" mcore.target=/e mcore.threads=2 mcore.wait=9",
    "format=elf", "max-size=5M", "attempts=7")
  let child = Settings(Words.ofArguments(FirstProcess.childWords(given)))
  #expect(child.problems.isEmpty)
  #expect(child.targets.map(\.value) == given.targets.map(\.value))
  #expect(child.level.value == given.level.value && child.format.value == given.format.value)
  #expect(child.maxSize.value == 5 << 20 && child.maxTime.value == 0)
  #expect(
    child.attempts.value == 7 && child.threads.value == 2 && child.wait.value == 9 && child.source.value == given.source.value)
}

/// A key that the child never hears of would do nothing.
@Test func everyKeyReachesTheChildOrIsOfSomebodyElse() {
  let ofPID1: Set = ["final", "failure", "shell", "modules", "network", "hook-time"]
  let ofTheRunningSystem = Set(RunningSettings.names)
  // The child gets these classes as a level.
  let asAnother: Set = ["exclude"]
  let given = settings(
    "target=/a", "mirror=/b", "max-time=1m", "max-size=1M", "max-rate=1M", "ssh-key=/k", "ssh-known-hosts=/h", "curl-config=/c",
    "region=0x200000@0x40000000", "nonce=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", "last=/dev/x")
  #expect(given.problems.isEmpty)
  let words = FirstProcess.childWords(given).map { String($0.prefix { $0 != "=" }) }
  let names = Set(SettingKey.all.map(\.name))
  #expect(Set(words).isSubset(of: names))
  #expect(names.subtracting(words) == ofPID1.union(ofTheRunningSystem).union(asAnother))
}

@Test func theChildGetsHowDumpsTravel() {
  let given = settings(
    kernel: "mcore.mirror=/a mcore.mirror=ssh:h:/b mcore.stall-time=90s mcore.max-rate=2M mcore.ssh-key=/k", "force=yes",
    "ssh-known-hosts=/h", "curl-config=/c", "wait=7")
  #expect(given.problems.isEmpty)
  let child = Settings(Words.ofArguments(FirstProcess.childWords(given)))
  #expect(child.problems.isEmpty)
  #expect(child.transfer == given.transfer && child.mirrors.map(\.value) == ["/a", "ssh:h:/b"])
  var expected = TransferOptions()
  expected.stallSeconds = 90
  expected.maxRate = 2 << 20
  expected.waitSeconds = 7
  (expected.sshKey, expected.sshKnownHosts, expected.curlConfig, expected.force) = ("/k", "/h", "/c", true)
  #expect(child.transfer == expected)
  let unlimited = Settings(Words.ofArguments(FirstProcess.childWords(settings(kernel: "mcore.stall-time=none"))))
  #expect(unlimited.problems.isEmpty && unlimited.transfer.stallSeconds == 0)
  #expect(settings("mirror=memory:").problems.count == 1 && settings("force=maybe").problems.count == 1)
}

@Test func theChildGetsWhereADumpWaitsInMemory() {
  let given = settings(
    kernel: "mcore.region=0x200000@0x40000000,0x400000@0x50000000 mcore.nonce=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
    "source=memory:", "normal=/n")
  #expect(given.problems.isEmpty)
  let child = Settings(Words.ofArguments(FirstProcess.childWords(given)))
  #expect(child.problems.isEmpty)
  #expect(child.region?.value == "0x200000@0x40000000,0x400000@0x50000000" && child.normal.value == "/n")
  #expect(child.nonce?.value.description == "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0" && child.source.value == "memory:")
  #expect(settings("region=1@2").problems.count == 1 && settings("nonce=12").problems.count == 1)
}

@Test func theChildGetsExcludedClassesAndTrust() {
  let given = settings(file: "level=used", kernel: "mcore.trust=metadata", "exclude=user,cache")
  let child = Settings(Words.ofArguments(FirstProcess.childWords(given)))
  #expect(child.problems.isEmpty)
  #expect(child.level.value.name == "exclude:cache,user" && child.trust.value == .metadata)
}

@Test func aLevelIsANameOrANumber() {
  #expect(settings("level=31").level.value == .kern)
  #expect(settings("exclude=free", "level=17").level.value == .used)
  for word in ["level=32", "level=-1", "level=exclude:free", "exclude=kernel", "trust=yes"] {
    let refused = settings(word)
    #expect(refused.problems.count == 1 && refused.level.value == .kern && refused.trust.value == .checked)
  }
}

@Test func moduleListsHaveParametersAndComments() {
  let modules = EarlySystem.modules("# list\n/lib/a.ko\n\n/lib/b.ko x=1 y=2 # why\n")
  #expect(modules.map(\.path) == ["/lib/a.ko", "/lib/b.ko"])
  #expect(modules.map(\.parameters) == ["", "x=1 y=2"])
}

@Test func aModuleThatFailsDoesNotStopTheNext() throws {
  let path = NSTemporaryDirectory() + "mcore-modules-\(UUID().uuidString)"
  try "/nowhere/a.ko\n/nowhere/b.ko\n".write(toFile: path, atomically: true, encoding: .utf8)
  defer { try? FileManager.default.removeItem(atPath: path) }
  #expect(EarlySystem.loadModules(Placed(path)).count == 2)
  #expect(EarlySystem.loadModules(Placed("/nowhere/list")).isEmpty)
  #expect(EarlySystem.loadModules(Placed("/nowhere/list", from: "argument 1")).count == 1)
}
