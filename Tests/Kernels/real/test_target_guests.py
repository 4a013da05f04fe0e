"""A crash whose dump leaves the machine: QEMU's own network leads to an sshd on this machine's 127.0.0.1."""

import json
import pathlib
import shutil
import unittest

from guest import disk, system
from guest.paths import CACHE, build_initramfs

from .network_guest import CAPTURE, MAC, NetworkGuestTests
from .servers import wait_until
from .test_dumps import mcore


class OverTheNetwork(NetworkGuestTests):
    known_as = "dumps.example"

    def initramfs(self, driver: str) -> pathlib.Path:
        """With ssh, its libraries and keys, and the record of the network."""
        tree = self.work / "extra"
        ssh = pathlib.Path(shutil.which("ssh"))
        for file in [ssh, *system.libraries(ssh)]:
            place = tree / ("bin/ssh" if file == ssh else str(file).lstrip("/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place)
        etc = tree / "etc"
        etc.mkdir(parents=True)
        (etc / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
        (etc / "nsswitch.conf").write_text("passwd: files\nhosts: files\n")
        shutil.copy2(self.server.key, etc / "key")
        shutil.copy2(self.server.known_hosts, etc / "known_hosts")
        (etc / "mcore.network").write_text(
            f"mcore-network 1\ndevice 0 mac={MAC} mtu=1500 driver={driver}\n"
            "route dumps.example address=10.0.2.2 link=0 gateway=- source=10.0.2.15/24\n"
        )
        modules = f"{system.MODULES} {driver}"
        return build_initramfs(self.kernel, CAPTURE, self.work / "capture.img", "--modules", modules, "--extra", tree)

    def crash(self, name: str, words: str):
        user = self.server.target("").split("@")[0]
        target = f"{user}@dumps.example:{self.server.port}:{self.there}"
        cmdline = (
            f"{system.CRASH_CMDLINE} mcore.target={target} mcore.target=/dev/vda:/var/crash mcore.final=poweroff "
            f"mcore.ssh-key=/etc/key mcore.ssh-known-hosts=/etc/known_hosts {words}"
        )
        image = system.make_disk(self.work / "disk.img", self.kernel, self.initramfs("virtio_net"), cmdline)
        network = ["-netdev", "user,id=net", "-device", f"virtio-net-pci,netdev=net,mac={MAC},id=card"]
        log = CACHE / "logs" / f"test-{self.release}-network-{name}.log"
        return image, system.start(self.kernel, [image], log, crashkernel="160M", devices=network, reboot=False)

    def test_a_dump_goes_out(self):
        image, guest = self.crash("whole", "")
        with guest:
            guest.expect("MCORE-GUEST: crash kernel loaded", 200, or_fail=system.FAILED)
            guest.expect("network: dumps.example by 10.0.2.15", 200)
            guest.expect("dump saved: ssh:", 300)
            guest.wait_exit(60)
        (dump,) = self.there.iterdir()
        mcore("verify", "-q", dump)
        self.assertEqual(json.loads((dump / "dump.json").read_text())["kernel"]["release"], self.release)
        self.assertIn("sysrq triggered crash", (dump / "dmesg.txt").read_text())
        self.assertEqual(disk.list_directory(image, "/var/crash"), [])

    def test_a_cable_that_is_pulled_in_the_middle_leaves_the_disk(self):
        image, guest = self.crash("cut", "mcore.max-rate=1M mcore.stall-time=20s")
        with guest:
            guest.expect("MCORE-GUEST: crash kernel loaded", 200, or_fail=system.FAILED)
            guest.expect("writing ssh:", 300)
            wait_until(
                lambda: [path for path in self.there.glob("*/vmcore.elf.gz") if path.stat().st_size > 1 << 20],
                "the dump is on its way",
                120,
            )
            guest.monitor.command("set_link", name="card", up=False)
            guest.expect("target ssh:.* failed after .*trying the next", 200)
            guest.expect("dump saved: /dev/vda:/var/crash", 300)
            guest.wait_exit(60)
        disk.check(image)
        (name,) = disk.list_directory(image, "/var/crash")
        dump = disk.extract_tree(image, f"/var/crash/{name}", self.work)
        mcore("verify", "-q", dump)
        (attempt,) = json.loads((dump / "dump.json").read_text())["attempts"]
        self.assertIn("dumps.example", attempt["target"])
        self.assertGreater(attempt["bytes"], 1 << 20)
        # What got out opens.
        (cut,) = self.there.iterdir()
        self.assertIn(b"Linux version", mcore("dmesg", cut / "vmcore.elf.gz").stdout)


if __name__ == "__main__":
    unittest.main()
