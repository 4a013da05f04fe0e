import Testing

@testable import CaptureInit

@Test func attemptsAreTakenInOrder() throws {
  let list = try #require(HandOffs("shell:5m,poweroff,shell:none"))
  #expect(list.attempts == [HandOff(way: .shell, limit: 300), HandOff(way: .poweroff), HandOff(way: .shell)])
  #expect(list.attempts.map(\.description) == ["shell:300s", "poweroff", "shell"])
}

@Test(arguments: [
  (nil, false, ["reboot"]), ("poweroff", false, ["poweroff", "reboot"]), ("kexec,reboot", false, ["kexec", "reboot"]),
  // PID 1 can't exit.
  ("exit", false, ["reboot"]), ("shell:60s,exit", false, ["shell:60s", "reboot"]),
  // With a dump in memory nothing but the kernel that saves it may follow. A person may look before.
  (nil, true, ["kexec", "reboot"]), ("reboot,shell:60s,poweroff", true, ["shell:60s", "kexec", "reboot"]),
])
func theFirstProcessAlwaysEndsWithARestart(wanted: String?, isKernelLoaded: Bool, expected: [String]) throws {
  let list = try wanted.map { try #require(HandOffs($0)) }
  #expect(HandOffs.ofFirstProcess(list, isKernelLoaded: isKernelLoaded).map(\.description) == expected)
}

@Test func whatACrashKernelCannotDoIsAProblemBeforeACrash() throws {
  let checked = CheckedSettings(
    file: "target=/a failure=shell:5m,exit\nfinal=kexec,reboot", path: "/etc/mcore.conf", commandLine: "")
  #expect(checked.problems.map(\.place) == ["/etc/mcore.conf, line 1"])
  let problem = try #require(checked.problems.first).description
  #expect(problem.contains("failure=") && problem.contains("exit"))
  #expect(checked.words.contains("final=kexec,reboot"))
}
