import DumpTarget
import Testing

@testable import Arming

@Test func aRecordIsReadAsItIsWritten() throws {
  let text = """
    mcore-network 1
    device 0 mac=52:54:00:12:34:56 mtu=1500 driver=virtio_net
    vlan 1 parent=0 tag=7 mac=52:54:00:12:34:56 mtu=1496 driver=-
    route backup.example address=192.0.2.7 link=0 gateway=198.51.100.1 source=198.51.100.9/24
    route 2001:db8::2 address=2001:db8::2 link=1 gateway=- source=2001:db8::1/64

    """
  #expect(try NetworkRecord(text, at: "x").text() == text)
}

@Test func whatCanNotBeReachedIsNamed() {
  let recorder = NetworkRecorder(["ssh:127.0.0.1:/x", "/var/crash", "nfs:mcore-no-such-host.invalid:/x", "nonsense:x"])
  #expect(recorder.record == NetworkRecord())
  #expect(recorder.problems.count == 3)
}
