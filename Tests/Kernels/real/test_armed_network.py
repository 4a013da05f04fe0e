"""`mcore arm` with a target on another machine before the disk: what it puts into the crash initramfs is all that the crash kernel
has. The guest has its address by DHCP of QEMU's own network, which leads to an sshd on this machine's 127.0.0.1."""

import json
import pathlib
import shutil
import unittest

from guest import armed, disk, system
from guest.paths import CACHE, fetch_kernel, kernel_release

from .network_guest import CAPTURE, MAC, SERIES, NetworkGuestTests
from .test_dumps import BIN, mcore

ERRORS = "mcore: error: .*\n|" + system.FAILED
# busybox's client says by this how it went. An address with an end is how every other client sets it.
PREPARE = """
cat >/tmp/lease <<'END'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface valid_lft $lease preferred_lft $lease
ip route add default via $router
END
chmod +x /tmp/lease
ip link set {device} up
udhcpc -i {device} -n -q -s /tmp/lease || say "failed: no address by DHCP"
mcore network {target}
"""
BOND = """
echo active-backup >/sys/class/net/bond0/bonding/mode
echo 100 >/sys/class/net/bond0/bonding/miimon
for part in eth0 eth1; do echo +$part >/sys/class/net/bond0/bonding/slaves || say "failed: $part is no part"; done
"""
SECOND = MAC[:-1] + "9"


class ArmedOverTheNetwork(NetworkGuestTests):
    def tree(self, driver: str) -> pathlib.Path:
        """A system with ssh, its keys and its modules."""
        tree = self.work / "tree"
        for program in ("ssh", "ssh-keygen"):
            path = pathlib.Path(shutil.which(program))
            for file in [path, *system.libraries(path)]:
                place = tree / (f"bin/{program}" if file == path else str(file).lstrip("/"))
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, place)
        etc = tree / "etc"
        etc.mkdir(parents=True)
        (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        shutil.copy2(self.server.key, etc / "key")
        shutil.copy2(self.server.known_hosts, etc / "known_hosts")
        armed.module_tree(self.kernel, tree, f"{system.MODULES} {driver} crc32c_generic crc32c_intel".split())
        return tree

    def crash(self, name: str, driver: str, card: str, words="", mode=0o600, *, is_bond=False):
        user = self.server.target("").split("@")[0]
        target = f"{user}@10.0.2.2:{self.server.port}:{self.there}"
        files = {
            "/boot/arm": f"--target {target} --target {armed.TARGET} --kernel /disk/boot/vmlinuz --base /disk/boot/base.img\n",
            "/boot/prepare": BOND * is_bond
            + PREPARE.replace("{target}", target).replace("{device}", "bond0" if is_bond else "eth0"),
            "/boot/panic": "",
        }
        driver += " bonding" * is_bond
        tree = self.tree(driver)
        (tree / "etc/key").chmod(mode)
        self.image = self.work / "disk.img"
        initramfs = armed.make_disk(self.image, self.kernel, BIN / "mcore", CAPTURE, self.work, files, driver, tree)
        network = ["-netdev", "user,id=net", "-device", f"{card},netdev=net,mac={MAC},id=card"]
        if is_bond:
            network += ["-netdev", "user,id=other", "-device", f"{card},netdev=other,mac={SECOND}"]
        append = f"rdinit=/armed-init mcore.ssh-key=/etc/key mcore.ssh-known-hosts=/etc/known_hosts mcore.final=poweroff {words}"
        log = CACHE / "logs" / f"test-{self.release}-armed-{name}.log"
        return system.start(
            self.kernel, [self.image], log, initramfs=initramfs, append=append, devices=network, reboot=False, role="none"
        )

    def check_whole(self, name: str, driver: str, card: str, *, is_bond=False) -> None:
        with self.crash(name, driver, card, is_bond=is_bond) as guest:
            devices = f"device 0 mac={MAC} mtu=1500 driver={driver}\n"
            if is_bond:
                devices += rf"device 1 mac={SECOND} mtu=1500 driver={driver}\nbond 2 .*parts=0,1.*\n"
            guest.expect(rf"{devices}route .* source=10.0.2.15/24 dhcp\n", 240, or_fail=ERRORS)
            guest.expect(r"target ssh:\S+@10\.0\.2\.2:\d+:\S+\n", 60, or_fail=ERRORS)
            guest.expect("MCORE-GUEST: arm ended with status 0", 60, or_fail=ERRORS)
            guest.expect("network: 10.0.2.2 by 10.0.2.15", 200)
            guest.expect("dump saved: ssh:", 300)
            guest.wait_exit(60)
        # The address was asked for anew.
        self.assertNotIn("no answer by DHCP", guest.console.text)
        (dump,) = self.there.iterdir()
        mcore("verify", "-q", dump)
        manifest = json.loads((dump / "dump.json").read_text())
        self.assertEqual((manifest["status"], manifest["kernel"]["release"]), ("complete", self.release), manifest["findings"])
        self.assertIn("sysrq triggered crash", (dump / "dmesg.txt").read_text())
        self.assertEqual(disk.list_directory(self.image, "/var/crash"), [])

    def test_a_dump_goes_out_over_virtio(self):
        self.check_whole("virtio", "virtio_net", "virtio-net-pci")

    def test_a_dump_goes_out_over_e1000(self):
        # The kernels for clouds have no driver for it.
        self.take_generic_kernel()
        self.check_whole("e1000", "e1000", "e1000")

    def test_a_dump_goes_out_over_a_bond(self):
        """Of two devices, of which one waits for the other to fail."""
        self.check_whole("bond", "virtio_net", "virtio-net-pci", is_bond=True)

    def take_generic_kernel(self) -> None:
        self.kernel = fetch_kernel(f"{SERIES}-generic")
        self.release = kernel_release(self.kernel)

    def test_a_link_that_is_gone_leaves_the_disk(self):
        # This kernel has crc32c as a module, without which it mounts no ext4.
        self.take_generic_kernel()
        with self.crash("gone", "virtio_net", "virtio-net-pci", "mcore.wait=5") as guest:
            guest.expect("MCORE-GUEST: arm ended with status 0", 300, or_fail=ERRORS)
            guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60)
            guest.monitor.command("set_link", name="card", up=False)
            guest.expect("network: device .* has no carrier", 200)
            guest.expect("no answer by DHCP, so that the address is used as it was", 60)
            guest.expect("dump saved: /dev/vda:/var/crash", 300)
            guest.wait_exit(60)
        disk.check(self.image)
        (name,) = disk.list_directory(self.image, "/var/crash")
        dump = disk.extract_tree(self.image, f"/var/crash/{name}", self.work)
        mcore("verify", "-q", dump)
        (attempt,) = json.loads((dump / "dump.json").read_text())["attempts"]
        self.assertIn("10.0.2.2", attempt["target"])
        self.assertRegex(attempt["reason"], "No route to host|timed out|unreachable")
        self.assertEqual(list(self.there.iterdir()), [])

    def test_a_key_that_others_can_read_is_named(self):
        with self.crash("key", "virtio_net", "virtio-net-pci", mode=0o644) as guest:
            guest.expect(r"target ssh:\S+ can't be reached: .*0644.*chmod 600", 300, or_fail=system.FAILED)
            guest.expect("MCORE-GUEST: arm ended with status 0", 60, or_fail=ERRORS)


if __name__ == "__main__":
    unittest.main()
