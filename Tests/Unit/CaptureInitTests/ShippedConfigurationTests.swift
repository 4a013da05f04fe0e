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
