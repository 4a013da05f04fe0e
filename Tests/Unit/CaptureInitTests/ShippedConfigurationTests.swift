import DumpBasics
import Foundation
import Testing

@testable import CaptureInit

/// What is installed as /etc/mcore.conf: right as it stands, with every key in it.
@Test func theShippedConfigurationHasEveryKey() throws {
  let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).joined(separator: "/")
  let text = try String(contentsOfFile: root + "/packaging/mcore.conf", encoding: .utf8)
  let checked = CheckedSettings(file: text, path: "mcore.conf", commandLine: "")
  #expect(checked.problems.isEmpty && checked.words.isEmpty)
  #expect(
    CheckedSettings(file: text.replacingOccurrences(of: "\n#", with: "\n"), path: "", commandLine: "").running == checked.running)
  #expect(checked.targets.map(\.word) == ["/var/crash", "memory:"])
  let lines = text.split(separator: "\n")
  for key in SettingKey.all {
    #expect(lines.contains { $0.hasPrefix("#\(key.name)=") || $0.hasPrefix("\(key.name)=") }, "\(key.name)")
  }
  // A default that stands there is the default.
  for line in lines where line.hasPrefix("#") && line.contains("=") && !line.contains(" ") && !line.contains("...") {
    let settings = Settings(Words.ofFile(String(line.dropFirst()), "f"))
    #expect(settings.problems.isEmpty || line.contains("SIZE@"), "\(line)")
  }
}

@Test func theCrashKernelIsToldWhatIsRight() {
  let checked = CheckedSettings(
    file: "target=/a level=used wait=x source=/s\nnonsense=1", path: "/etc/mcore.conf",
    commandLine: "quiet mcore.wait=9 mcore.region=2M@1G")
  #expect(checked.words == ["level=used", "wait=9"] && checked.targets.map(\.word) == ["/a"])
  #expect(checked.problems.map(\.place) == ["/etc/mcore.conf, line 1", "/etc/mcore.conf, line 2"])
}

/// Keys of the running system: their values are looked at by mcore, and the crash kernel is not told.
@Test func whatIsForTheRunningSystemIsTaken() {
  let checked = CheckedSettings(
    file: "keep=3 keep-days=90 min-free=10G motd=no cpus=4 panic-on=none \"notify=mail -s crash root\" hook-time=5",
    path: "f", commandLine: "mcore.cpus=2")
  #expect(checked.problems.isEmpty && checked.words == ["hook-time=5"])
  let running = checked.running
  #expect(running.keep == 3 && running.keepDays == 90 && running.minFree == 10 << 30 && !running.motd && running.cpus == 2)
  #expect(running.panicOn.isEmpty && running.notify == "mail -s crash root")
  let wrong = [
    "keep=0", "keep-days=0", "keep-days=x", "min-free=10X", "motd=maybe", "cpus=0", "cpus=1025", "notify=", "panic-on=x",
    "hook-time=0",
  ]
  for word in wrong {
    let problems = CheckedSettings(file: word, path: "f", commandLine: "").problems
    #expect(problems.count == 1 && problems.first?.advice.contains("allowed: ") == true, "\(word)")
  }
  for word in ["keep=all", "keep-days=all", "min-free=none", "notify=none", "cpus=auto"] {
    #expect(CheckedSettings(file: word, path: "f", commandLine: "").running == checkedNothing)
  }
}

private var checkedNothing: RunningSettings { CheckedSettings(file: "", path: "f", commandLine: "").running }
