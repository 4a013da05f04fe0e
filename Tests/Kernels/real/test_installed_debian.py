"""The package on a real Debian 12 system in QEMU: installed, rebooted once, and a crash is captured by the crash kernel itself.

Needs root, for the files of that system. MCORE_TEST_INSTALLED: series of kernels, 6.1 for Debian 12 and 6.12 for Debian 13.
"""

import json
import os
import pathlib
import tempfile

from guest import debian, disk, installed, oops_module, system
from guest.paths import CACHE, fetch_kernel, kernel_release, run

from .series import for_each
from .test_dumps import BIN, mcore

SERIES = os.environ.get("MCORE_TEST_INSTALLED", "6.1").split()  # Debian 12's own; 6.12 is that of Debian 13
# How the journal's entries of new dumps are known: docs/install.md.
ANNOUNCED = "MESSAGE_ID=6d636f72652d4d0a9b7c1de0d7a8f2c1"


class InstalledTest:
    series: str

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a root of Debian can only be made by root")
        directory = tempfile.TemporaryDirectory(prefix="mcore-installed-", dir=CACHE)
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.kernel = fetch_kernel(self.series)
        self.release = kernel_release(self.kernel)
        self.root = installed.root_of(self.kernel)
        self.deb = installed.package(BIN, self.work)

    def session(self, name: str, disks, append="", root=None, **options) -> installed.Installed:
        log = CACHE / "logs" / f"test-{self.release}-installed-{name}.log"
        return installed.Installed(root or self.root, disks, log, append=append, memory="2G", **options)

    def install(self, session) -> str:
        """As an administrator does it. Returns what the boot loader's next command line asks for."""
        told = session.check(f"apt-get install -y /root/{self.deb.name}", 900)
        self.assertNotIn("failed", told)
        self.assertEqual(session.failed_units(), [])
        status, told = session.run("mcore status")
        self.assertEqual(status, 1, told)
        self.assertIn("no memory is set aside for a crash kernel", told)
        crashkernel = session.crashkernel()
        self.assertEqual(crashkernel, session.check("mcore arm --crashkernel").strip())
        return crashkernel

    def crash_and_come_back(self, session, expected: str) -> None:
        """By sysrq-c. `expected` is what the crash kernel says of the target."""
        session.crash()
        session.come_back(expected)

    def check_listed(self, session) -> str:
        """One dump, and a whole one."""
        listed = json.loads(session.check("mcore list --json"))
        self.assertEqual(len(listed["dumps"]), 1, listed)
        (dump,) = listed["dumps"]
        self.assertEqual((dump["status"], dump["kernel"]), ("complete", self.release))
        self.assertIn("sysrq triggered crash", dump["reason"])
        told = session.check(f"journalctl -b {ANNOUNCED} -o json --output-fields=MCORE_DUMP,MCORE_STATUS,MCORE_REASON")
        entry = json.loads(told)
        self.assertEqual((entry["MCORE_DUMP"], entry["MCORE_STATUS"]), (dump["path"], "complete"))
        self.assertIn("sysrq triggered crash", entry["MCORE_REASON"])
        session.check(f"mcore verify -q {dump['path']}", 240)
        return dump["path"]

    def test_the_first_target_is_gone(self):
        """The second one takes the dump: another disk, and then memory, from which the next boot saves it."""
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb, installed=True)
        spare = self.work / "spare.img"
        with self.session("gone", [image, disk.make_ext4(spare, "64M")], "crashkernel=256M") as session:
            session.boot()
            uuid = session.check("blkid -o value -s UUID /dev/vdb").strip()
            arm = f"mcore arm --append mcore.wait=3 --target UUID={uuid}:/dumps"
            spoil = "dd if=/dev/zero of=/dev/vdb bs=4096 count=16 conv=fsync 2>/dev/null"
            session.check(
                f"dd if=/dev/vdb of=/root/start bs=4096 count=16 2>/dev/null; {arm} --target /var/crash && {spoil}", 240
            )
            self.crash_and_come_back(session, "UUID=")
            session.check(
                f"dd if=/root/start of=/dev/vdb conv=fsync 2>/dev/null; udevadm trigger --settle /dev/vdb; {arm} --target memory: && {spoil}",
                240,
            )
            session.crash()
            session.guest.expect(r"leaves out (?P<word>[0-9a-fx@,]+)\n", 300, or_fail=r"handing off: reboot")
            session.guest.expect(r"dump saved: /var/crash/\S+, .*, complete\n", 300, or_fail=r"second stage ended")
            session.finish_boot()
            listed = json.loads(session.check("mcore list --json"))["dumps"]
            self.assertEqual([dump["status"] for dump in listed], ["complete"] * 2, listed)
            self.assertEqual(len(session.check(f"journalctl -b {ANNOUNCED} -o cat").splitlines()), 1)
            session.power_off()

    def test_logical_volume_on_raid(self):
        """The dumps' disk is a logical volume, striped over two physical ones, on RAID 1: the crash kernel puts all of it together."""
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb, installed=True)
        disks = [image]
        for number in range(4):
            disks.append(self.work / f"member{number}.img")
            with open(disks[-1], "wb") as file:
                file.truncate(256 << 20)
        with self.session("raid", disks, "crashkernel=256M") as session:
            session.boot()
            session.check(
                "mdadm --create /dev/md126 --run --level=1 --raid-devices=2 --metadata=1.2 /dev/vdb /dev/vdc && "
                "mdadm --create /dev/md127 --run --level=1 --raid-devices=2 --metadata=1.0 /dev/vdd /dev/vde && "
                "pvcreate -q /dev/md126 /dev/md127 && vgcreate -q dumps /dev/md126 /dev/md127 && "
                "lvcreate -q -y -i 2 -L 256M -n crash dumps && mkfs.ext4 -q /dev/dumps/crash && "
                "mdadm --detail --scan >>/etc/mdadm/mdadm.conf && "
                "echo /dev/dumps/crash /var/crash ext4 defaults 0 0 >>/etc/fstab && systemctl daemon-reload && mount /var/crash",
                240,
            )
            checked = session.check("mcore arm --check", 240)
            self.assertRegex(checked, r"put together: array md126 2 md:[0-9a-f]{32} 2\n")
            self.assertRegex(checked, r"put together: mapped dumps-crash 0 0 \d+ striped 2 \d+ pv:\S+ \d+ pv:\S+ \d+\n")
            session.check("mcore arm && mcore status", 240)
            self.crash_and_come_back(session, "/dev/dm-0:/")
            self.assertIn("/dev/mapper/dumps-crash /var/crash ext4", session.check("cat /proc/mounts"))
            self.check_listed(session)
            # No member was left out of what was written.
            self.assertEqual(session.check("cat /sys/block/md12?/md/degraded"), "0\n0\n")
            self.assertIn("md126 is put together", session.guest.console.text)
            session.power_off()

    def test_crashes_of_other_kinds(self):
        """An oops in a module, a soft lockup, a hung task, an NMI: armed by `panic-on=`, and each is listed with its reason."""
        modules = {"oops.ko": oops_module.UD2, "hang.ko": oops_module.JUMP_TO_ITSELF}
        for name, code in modules.items():
            oops_module.make(self.kernel, self.work / name, code)
        files = [self.work / name for name in modules]
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb, size="3G", installed=True, files=files)
        frozen = disk.make_ext4(self.work / "frozen.img", "64M")
        kinds = [
            # The crash kernel is started before anything of a panic is said.
            ("insmod /root/oops.ko", "invalid opcode"),
            ("echo 5 >/proc/sys/kernel/watchdog_thresh; insmod /root/hang.ko", "softlockup: hung tasks"),
            (
                "echo 5 >/proc/sys/kernel/hung_task_timeout_secs; mount /dev/vdb /mnt; fsfreeze --freeze /mnt; touch /mnt/frozen",
                "hung_task: blocked tasks",
            ),
            (None, "NMI: Not continuing"),
        ]
        with self.session("kinds", [image, frozen], "crashkernel=256M") as session:
            session.boot()
            # The line at login would have the words of the panic, for which the harness watches; so do others.
            hide = "sed 's/Kernel panic - not syncing//'"
            settings = r"motd=no\npanic-on=oops,softlockup,hung-task:120s,nmi\n"
            # The change arms anew. While a crash kernel is loaded in place of another one there is none, by the kernel's own doing.
            session.check(f"printf '{settings}' >>/etc/mcore.conf; systemctl start mcore-rearm.service && mcore status", 240)
            self.assertEqual(session.check("journalctl -b -o cat | grep -c 'ordering cycle' || true"), "0\n")
            for number, (command, reason) in enumerate(kinds, start=1):
                if number > 3:
                    # Three crashes soon after one another: it arms itself no more.
                    status, told = session.run("mcore arm")
                    self.assertEqual(status, 1, told)
                    session.check("mcore arm --force", 240)
                session.check("sync")
                if command is None:
                    session.guest.inject_nmi()
                else:
                    session.guest.send(command + "\n")
                session.come_back("UUID=")
                listed = json.loads(session.check(f"mcore list --json | {hide}"))["dumps"]
                self.assertEqual([dump["status"] for dump in listed], ["complete"] * number, listed)
                # Newest first.
                self.assertIn(reason, listed[0]["reason"])
                told = session.check(f"journalctl -b {ANNOUNCED} -o json --output-fields=MCORE_DUMP,MCORE_REASON | {hide}")
                self.assertIn(reason, json.loads(told)["MCORE_REASON"])
                session.check(f"mcore verify -q {listed[0]['path']}", 240)
            session.power_off()

    def test_an_initramfs_of_dracut(self):
        """The direct way, and the soft boot, whose second stage is in dracut's initramfs."""
        root = installed.root_of(self.kernel, "--dracut")
        image = installed.make_disk(self.work / "disk.img", root, self.deb, installed=True)
        with self.session("dracut", [image], "crashkernel=256M", root=root) as session:
            session.boot()
            self.assertIn("usr/lib/mcore/second-stage", session.check("lsinitrd /boot/initrd.img-$(uname -r)"))
            status, told = session.run("mcore status")
            self.assertEqual(status, 0, told)
            self.crash_and_come_back(session, "UUID=")
            self.check_listed(session)
            session.check("mcore arm --target memory:", 240)
            session.crash()
            session.guest.expect(r"leaves out (?P<word>[0-9a-fx@,]+)\n", 300, or_fail=r"handing off: reboot")
            session.guest.expect(r"dump saved: /var/crash/\S+, .*, complete\n", 300, or_fail=r"second stage ended")
            session.guest.expect("second stage ended in the initramfs with status 0", 60, or_fail=debian.PROMPT)
            session.finish_boot()
            listed = json.loads(session.check("mcore list --json"))["dumps"]
            self.assertEqual([dump["status"] for dump in listed], ["complete"] * 2, listed)
            session.power_off()

    def test_an_encrypted_disk(self):
        """No crash kernel opens it: as installed, the soft boot is armed, and the boot that asks for the passphrase saves the dump."""
        if self.series != "6.1":
            self.skipTest("the root with cryptsetup is of Debian 12")
        root = debian.root_of(self.kernel)
        image = installed.make_disk(self.work / "disk.img", root, self.deb, installed=True, encrypted=True)
        with self.session("luks", [image], "crashkernel=256M", root=root, encrypted=True) as session:
            session.boot()
            status, told = session.run("mcore status")
            self.assertEqual(
                (status, told.splitlines()[0]), (0, "a crash now would be captured, by the soft boot (memory:)"), told
            )
            self.assertRegex(session.check("mcore arm --check", 240), "target /var/crash can't be reached: it is encrypted")
            session.crash()
            session.guest.expect(r"leaves out (?P<word>[0-9a-fx@,]+)\n", 300, or_fail=r"handing off: reboot")
            session.unlock()
            session.guest.expect(r"dump saved: /var/crash/\S+, .*, complete\n", 300, or_fail=r"second stage ended")
            session.finish_boot()
            self.check_listed(session)
            session.power_off()

    def test_a_newer_kernel(self):
        """That of Debian 13, on Debian 12. Before the restart the old one stays armed; after it the new one is, without a word."""
        if self.series != "6.1":
            self.skipTest("the newer kernel is that of Debian 13")
        newer = installed.newer_kernel()
        release = newer.name.split("_")[0].removeprefix("linux-image-")
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb, installed=True, files=[newer])
        with self.session("older", [image], "crashkernel=256M") as session:
            session.boot()
            session.check(f"dpkg -i /root/{newer.name}", 900)
            status, told = session.run("mcore status")
            self.assertEqual(status, 0, told)
            self.assertEqual(json.loads(session.check("mcore status --json"))["armed"]["release"], self.release)
            session.power_off()
        installed.take_initramfs(image, release)
        kernel = installed.take_kernel(image, release, self.work / "vmlinuz")
        with self.session("newer", [image], "crashkernel=256M", kernel=kernel) as session:
            session.boot()
            status, told = session.run("mcore status")
            self.assertEqual(status, 0, told)
            self.assertEqual(json.loads(session.check("mcore status --json"))["armed"]["release"], release)
            self.crash_and_come_back(session, "UUID=")
            self.release = release
            self.check_listed(session)
            session.power_off()

    def test_a_kernel_without_kexec_file_load(self):
        """As Debian's kernels for arm64 are: kexec-tools loads the crash kernel by kexec_load(2)."""
        tree = self.work / "kexec"
        tree.mkdir()
        system.copy_kexec(tree)
        archive = self.work / "kexec.tar"
        run("tar", "-C", tree, "-cf", archive, ".")
        wrapper = self.work / "kexec.sh"
        wrapper.write_text('#!/bin/sh\nLD_LIBRARY_PATH=/root/kexec/lib/x86_64-linux-gnu exec /root/kexec/bin/kexec "$@"\n')
        unit = self.work / "without.service"
        unit.write_text(
            "[Service]\nType=oneshot\nExecStart=/usr/bin/mcore arm --target /var/crash\nStandardError=file:/run/told\n"
            "SystemCallFilter=~kexec_file_load\nSystemCallErrorNumber=ENOSYS\n"
        )
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb, installed=True, files=[archive, wrapper, unit])
        with self.session("kexec-load", [image], "crashkernel=256M") as session:
            session.boot()
            session.check("mcore disarm; cp /root/without.service /run/systemd/system && systemctl daemon-reload")
            self.assertEqual(session.run("systemctl start without", 240)[0], 1)
            self.assertIn("install kexec-tools", session.check("cat /run/told"))
            self.assertEqual(session.check("cat /sys/kernel/kexec_crash_loaded"), "0\n")
            session.check(
                "mkdir /root/kexec && tar -C /root/kexec -xf /root/kexec.tar && install -m 755 /root/kexec.sh /usr/local/sbin/kexec"
            )
            session.check("systemctl start without || cat /run/told", 240)
            self.assertEqual(session.check("cat /sys/kernel/kexec_crash_loaded"), "1\n")
            self.assertEqual(session.run("mcore status")[0], 0)
            self.crash_and_come_back(session, "UUID=")
            self.check_listed(session)
            session.power_off()

    def test_disks_without_a_file_system(self):
        """A partition, a whole disk, a command: the crash kernel has neither udev nor util-linux, and finds each. What waits on a raw disk
        the next boot copies."""
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb, installed=True)
        disks = [image, *(self.work / f"{name}.img" for name in ("partitioned", "piped", "whole"))]
        for disk_image in disks[1:]:
            with open(disk_image, "wb") as file:
                file.truncate(256 << 20)
        run("sfdisk", "-q", disks[1], input="label: gpt\nsize=100M\nname=crash\n")
        whole = disks.pop()
        devices = ["-drive", f"file={whole},if=none,format=raw,id=whole", "-device", "virtio-blk-pci,drive=whole,serial=RAW-7"]
        with self.session("raw", disks, "crashkernel=256M", devices=devices) as session:
            session.boot()
            name = session.check("ls -l /dev/disk/by-id/virtio-RAW-7").split("/")[-1].strip()
            kinds = [
                ("raw:/dev/vdb2", r"raw:/dev/vdb2 as raw:PARTUUID=[0-9a-f-]{36}\n", "raw:/dev/vdb2"),
                (f"raw:/dev/{name}", rf"raw:/dev/{name} as raw:DISKID=RAW-7\n", f"raw:/dev/{name}"),
                ("pipe:dd of=/dev/vdc bs=64k", r"pipe:dd \.\.\.\n", r"pipe:dd \.\.\."),
            ]
            for number, (target, armed, saved) in enumerate(kinds, start=1):
                settings = f'"target={target}"\\ntarget=/var/crash\\nmotd=no\\n'
                session.check(f"printf '{settings}' >/etc/mcore.conf")
                self.assertRegex(session.check("mcore arm --check", 240), "target " + armed)
                # The changed file arms too, beside this. While that loads a crash kernel there is none: it is waited for.
                session.check("mcore arm && systemctl start mcore-rearm.service && mcore status", 240)
                self.crash_and_come_back(session, saved)
                # After three crashes soon after one another it arms itself no more.
                self.assertEqual(session.failed_units(), ["mcore-arm.service"] if number == 3 else [])
                listed = json.loads(session.check("mcore list --json"))["dumps"]
                self.assertEqual([dump["status"] for dump in listed], ["complete"] * min(number, 2), listed)
            self.assertEqual(session.check("mcore list raw:/dev/vdb2 | cut -d ' ' -f 3"), "saved\n")
            # A disk that somebody took meanwhile is not written to.
            session.check("mkfs.ext4 -q /dev/vdb2; printf 'target=raw:/dev/vdb2\\ntarget=/var/crash\\n' >/etc/mcore.conf")
            # It would not arm after so many crashes either way, and says that too.
            _, told = session.run("mcore arm --check", 240)
            self.assertRegex(told, "target raw:/dev/vdb2 can't be reached: .*did not write")
            session.power_off()
        told = mcore("verify", disks[2]).stdout.decode()
        self.assertIn("behind the end of the dump", told)

    def test_one_file_one_reboot(self):
        image = installed.make_disk(self.work / "disk.img", self.root, self.deb)
        with self.session("install", [image]) as session:
            session.boot()
            crashkernel = self.install(session)
            session.power_off()
        installed.take_initramfs(image)
        with self.session("crash", [image], crashkernel) as session:
            session.boot()
            self.assertEqual(session.failed_units(), [])
            status, told = session.run("mcore status")
            self.assertEqual(status, 0, told)
            self.assertRegex(
                told, r"^a crash now would be captured, to UUID=[0-9a-f-]+:/var/crash, then by the soft boot \(memory:\)\n"
            )
            armed = json.loads(session.check("mcore status --json"))
            self.assertEqual((armed["way"], armed["problems"]), ("disk", []))
            self.crash_and_come_back(session, "UUID=")
            path = self.check_listed(session)
            self.assertEqual(session.run("mcore status")[0], 0)
            # Away, and nothing is left.
            session.check("apt-get purge -y mcore", 900)
            left = session.check(
                "ls -d /etc/*mcore* /etc/*/*mcore* /etc/*/*/*mcore* /usr/*/*mcore* /var/lib/*mcore* 2>/dev/null || true"
            )
            self.assertEqual(left, "")
            self.assertEqual(session.check("cat /sys/kernel/kexec_crash_loaded"), "0\n")
            self.assertNotIn("crashkernel", session.check("cat /boot/grub/grub.cfg"))
            session.power_off()
        disk.check(image)
        dump = disk.extract_tree(image, path, self.work)
        manifest = json.loads((dump / "dump.json").read_text())
        self.assertEqual((manifest["status"], manifest["kernel"]["release"]), ("complete", self.release))
        mcore("verify", "-q", dump)


def load_tests(loader, _, __):
    return for_each(loader, SERIES, InstalledTest, "Installed")
