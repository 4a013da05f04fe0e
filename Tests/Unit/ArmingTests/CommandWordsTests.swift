import Testing

@testable import Arming

/// Which files a command of `pipe:` needs, of what a shell would run.
@Test(
  arguments: [
    ("cat", ["cat"], []),
    ("gzip -1 | ssh -i /etc/key a@b 'cat >/x/y'", ["gzip", "ssh"], ["/etc/key"]),
    ("cat >/dev/vdb2", ["cat"], ["/dev/vdb2"]),
    ("cat > /dev/vdb2 2>/dev/null", ["cat"], ["/dev/vdb2", "/dev/null"]),
    ("/opt/send --to /etc/a 2>&1", ["/opt/send"], ["/etc/a"]),
    ("A=1 exec /opt/send; echo done", ["/opt/send"], []),
    ("if test -e /x; then dd of=/y; fi", ["dd"], []),
    ("( cd /a && tee b ) || false", ["tee"], []),
    ("'/opt/my send' \"/etc/a b\" /etc/c\\ d", ["/opt/my send"], ["/etc/a b", "/etc/c d"]),
    ("nc -l 1 < /dev/zero", ["nc"], ["/dev/zero"]),
    ("", [], []),
    ("\\", [], []),
    ("'", [], []),
  ] as [(String, [String], [String])])
func aCommandNamesWhatItNeeds(command: String, programs: [String], paths: [String]) {
  let words = CommandWords(command)
  #expect(words.programs == programs && words.paths.filter { $0 != "/x" && $0 != "/a" } == paths, "\(words)")
}
