import Testing

@testable import DumpTarget

private let x86 = "processor\t: 0\nflags\t\t: fpu vme aes avx\n"
private let configuration = """
  user root
  ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com
  macs umac-64-etm@openssh.com

  """

@Test func whereTheCPUHasAESItsFastestModeIsOfferedFirst() {
  let expected = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr"
  #expect(SSHCiphers.preferred(configuration: configuration, cpuinfo: x86) == expected)
  let arm = "processor\t: 0\nFeatures\t: fp asimd aes sha2\n"
  #expect(SSHCiphers.preferred(configuration: configuration, cpuinfo: arm) == expected)
}

@Test func elseTheOrderStays() {
  #expect(SSHCiphers.preferred(configuration: configuration, cpuinfo: "flags\t\t: fpu vaes avx\n") == nil)
  #expect(SSHCiphers.preferred(configuration: configuration, cpuinfo: "") == nil)
  #expect(SSHCiphers.preferred(configuration: "user root\n", cpuinfo: x86) == nil)
  // What the machine's configuration rules out is not offered.
  #expect(SSHCiphers.preferred(configuration: "ciphers aes256-ctr\n", cpuinfo: x86) == nil)
}
