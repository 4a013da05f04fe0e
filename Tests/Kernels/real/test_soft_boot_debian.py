"""The soft boot on a real Debian 12 system in QEMU: systemd, the units of `make install`, a disk that is LUKS as a whole.

Needs root, for the files of that system. MCORE_TEST_CRASH: series of which crash judges the dump.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from guest import debian, disk
from guest.paths import CACHE, fetch_kernel, kernel_release

from .oracles import IN_SID
from .test_dumps import BIN, command, mcore
from .test_soft_boot import JUDGED, SoftBootTest

SERIES = "6.1"  # Debian 12's own
ERROR = r"error: .*\n|MCORE-GUEST: failed.*\n"


@unittest.skipUnless(os.geteuid() == 0, "a root of Debian can only be made by root")
class DebianTest(SoftBootTest, unittest.TestCase):
    series = SERIES

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-debian-", dir=CACHE)
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.release = kernel_release(fetch_kernel(self.series))
        self.root = debian.root_of(fetch_kernel(self.series))

    def session(self, name: str, *, encrypted: bool) -> debian.Debian:
        self.image = debian.make_disk(self.work / "disk.img", self.root, BIN, encrypted=encrypted, in_initramfs=True)
        self.log = CACHE / "logs" / f"test-{self.release}-soft-debian-{name}.log"
        return debian.Debian(self.root, self.image, self.log, encrypted=encrypted, memory="2G")

    def boot(self, session, state="running", failed=()) -> None:
        """To the end of a boot: what systemd says of it."""
        session.unlock()
        self.log_in(session, state, failed)

    def log_in(self, session, state="running", failed=()) -> None:
        """From where the disk is open."""
        session.wait_for_login()
        session.log_in()
        self.assertEqual(session.run("systemctl is-system-running --wait", 240)[1], state + "\n")
        units = [line.split()[0] for line in session.check("systemctl list-units --failed --plain --no-legend").splitlines()]
        self.assertEqual(units, list(failed))

    def soft_boot(self, session) -> str:
        """From the panic to the normal kernel. Returns the region."""
        session.crash()
        region = session.guest.expect(r"leaves out (?P<word>[0-9a-fx@,]+)\n", 300, or_fail=ERROR)["word"]
        session.guest.expect("handing off: kexec", 60, or_fail=ERROR)
        return region

    def status(self, session, notes: list) -> dict:
        """mcore status: a crash now would be captured."""
        status, text = session.run("mcore status")
        self.assertEqual((status, text.splitlines()[0]), (0, "a crash now would be captured, by the soft boot (memory:)"), text)
        told = json.loads(session.check("mcore status --json"))
        self.assertEqual((told["captured"], told["way"], told["problems"]), (True, "memory", []))
        crash_kernel = told["crash_kernel"]
        self.assertEqual((crash_kernel["loaded"], crash_kernel["memory_bytes"]), (True, 256 << 20))
        self.assertLessEqual(crash_kernel["needed_bytes"], 256 << 20)
        self.assertEqual(told["armed"]["release"], self.release)
        self.assertEqual(told["armed"]["boot_id"], session.check("cat /proc/sys/kernel/random/boot_id").strip())
        self.assertEqual(told["notes"], notes)
        return told

    def test_the_only_disk_is_encrypted(self):
        """The crash kernel has neither a driver for the disk nor its passphrase, and the dump arrives on it, in the initramfs that opened it."""
        with self.session("luks", encrypted=True) as session:
            self.boot(session)
            self.assertIn("/dev/mapper/root / ext4", session.check("cat /proc/mounts"))
            self.check_units(session)
            self.status(session, [])
            before = self.status(session, [])["armed"]["boot_id"]
            region = self.soft_boot(session)
            crash_kernel = session.guest.console.text.partition("Kernel panic - not syncing")[2]
            # Before anything of the system runs.
            session.unlock()
            session.guest.expect(r"dump saved: /var/crash/\S+, .*, complete\n", 240, or_fail=ERROR + r"|systemd\[1\]: .*\n")
            session.guest.expect("the second stage ended in the initramfs with status 0", 60, or_fail=ERROR)
            self.log_in(session)
            size = int(region.partition("@")[0], 16)
            self.assertLess(size, 128 << 20)
            note = f"this kernel was started by a crash kernel: {size >> 20}.0 MiB of memory, where the dump was, is back after a reboot"
            # Armed again, for this boot.
            self.assertNotEqual(self.status(session, [note])["armed"]["boot_id"], before)
            self.assertIn(region, session.check("cat /proc/cmdline"))
            result = session.check("systemctl show -P Result -P ExecMainStatus -P NRestarts mcore-memory mcore-arm")
            self.assertEqual(result.split(), ["success", "0", "0"] * 2)
            # The service found nothing left to do.
            self.assertIn("the dump in memory was saved already", session.check("journalctl -b -u mcore-memory -o cat"))
            self.assertIn("in the initramfs with status 0", session.check("journalctl -b -k -o cat"))
            name = session.check("ls /var/crash").strip()
            self.assertTrue(session.check(f"mcore verify -q /var/crash/{name} && echo whole").endswith("whole\n"))
            session.power_off()
        self.assertIn("PID 1", crash_kernel)
        self.assertNotRegex(crash_kernel, r"virtio|\bvd[a-z]\b|device-mapper|Please unlock")
        self.assertIn(b"LUKS\xba\xbe", command("head", "-c", "6", self.image).stdout)
        plain = debian.decrypt(self.image, self.work / "plain.img")
        disk.check(plain)
        self.assertEqual(disk.list_directory(plain, "/var/crash"), [name])
        dump = disk.extract_tree(plain, f"/var/crash/{name}", self.work)
        manifest = self.check_dump(dump)
        self.assertEqual(json.loads((dump / "dump.json").read_text())["travelled"]["boot_id"], before)
        self.assertEqual(manifest["kernel"]["release"], self.release)
        if self.series in JUDGED:
            self.check_processes(dump)

    def test_a_boot_that_can_not_save_goes_on(self):
        """Neither the initramfs nor the unit can save, and nothing else has failed; the dump waits in memory until somebody mends the target."""
        with self.session("mended", encrypted=False) as session:
            self.boot(session)
            # Armed anew: the initramfs tries only what arm saw to be on the root.
            session.check("echo target=/not/there/x target=memory: >/etc/mcore.conf && mcore arm --target memory:")
            self.soft_boot(session)
            session.guest.expect("the second stage ended in the initramfs with status 2", 120, or_fail="dump saved")
            self.log_in(session, "degraded", ["mcore-memory.service"])
            self.assertIn("mcore-capture[", session.check("journalctl -b -u mcore-memory -o short"))
            self.assertIn("error: ", session.check("journalctl -b -u mcore-memory -o cat"))
            self.assertEqual(session.check("ls /var/crash"), "")
            status, told = session.run("mcore status")
            self.assertEqual(status, 0)
            self.assertIn("note: a dump that nobody saved lies in memory", told)
            session.check("echo target=/var/crash >/etc/mcore.conf && systemctl start --no-block mcore-memory")
            session.check("until ls -d /var/crash/*.incomplete 2>/dev/null; do sleep 0.1; done")
            # Whoever wants to stop it, as a shutdown does, has to wait.
            session.check("systemctl stop mcore-memory", 240)
            name = session.check("ls /var/crash").strip()
            session.check(f"mcore verify -q /var/crash/{name}")
            self.assertEqual(session.check("systemctl is-system-running"), "running\n")
            session.power_off()
        disk.check(self.image)
        dump = disk.extract_tree(self.image, f"/var/crash/{name}", self.work)
        manifest = json.loads((dump / "dump.json").read_text())
        self.assertEqual((manifest["status"], manifest["travelled"]["attempts"]), ("complete", 1))

    def check_units(self, session) -> None:
        """Order, on the running system."""
        session.check("systemd-analyze verify --man=no mcore-arm.service mcore-memory.service mcore-shutdown.service")
        after = session.check("systemctl list-dependencies --plain --after mcore-arm.service").split()
        self.assertIn("mcore-memory.service", after)
        self.assertIn("local-fs.target", after)
        # The login does not wait for either.
        for unit in ("serial-getty@ttyS0.service", "systemd-user-sessions.service", "basic.target"):
            self.assertNotIn("mcore", session.check(f"systemctl list-dependencies --all --plain --after {unit}"))
        # Nothing disarms while the system goes down.
        self.assertNotIn("shutdown.target", session.check("systemctl show -P Conflicts mcore-arm.service").split())

    def check_processes(self, dump: pathlib.Path) -> None:
        """crash finds the processes of this system in it, and the one that crashed it. 9.0.2 of sid: Debian 12's 8.0.2 finds only those
        that run, in a kernel with that many."""
        vmlinux = fetch_kernel(self.series, debug=True) / "vmlinux"
        plain = self.work / "plain.elf"
        mcore("convert", "-q", "--format", "elf", dump, plain)
        script = self.work / "commands"
        script.write_text("bt\nps\nexit\n")
        told = command(
            IN_SID,
            "--timeout",
            "300",
            "--bind",
            self.work,
            "--bind",
            vmlinux.parent,
            "crash",
            "-s",
            "-i",
            script,
            vmlinux,
            plain,
            timeout=330,
            stdin=subprocess.DEVNULL,
        ).stdout.decode()
        self.assertRegex(told, r'PID: \d+ .*CPU: 0 .*COMMAND: "sh"')
        self.assertIn("sysrq_handle_crash", told)
        processes = [line.split()[-1] for line in told.splitlines()]
        for process in ("systemd", "systemd-journal", "systemd-udevd", "agetty", "bash", "sh"):
            self.assertIn(process, processes)
        self.assertRegex(told, r"\[kcryptd/\d+:\d+\]\n")
