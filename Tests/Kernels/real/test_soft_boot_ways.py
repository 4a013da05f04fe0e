"""The ways of the soft boot beside the usual one: memory that was set aside, a restart through the firmware, a rehearsal, a region
that is damaged on the way, and a machine that crashes again and again. All of them armed by `mcore arm`.

Which kernels: MCORE_TEST_SOFT_BOOT, as in test_soft_boot.py.
"""

import json
import os
import re
import subprocess
import unittest

from guest import armed, disk, soft_boot, system
from guest.paths import CACHE, REPOSITORY

from .series import for_each
from .test_dumps import BIN, mcore
from .test_soft_boot import CAPTURE, JUDGED, SERIES, SoftBootTest


ERRORS = "error: .*\n|" + system.FAILED
SAVED = r"dump saved: /disk/var/crash/\S+, .*, complete\n"


class WaysTest(SoftBootTest):
    def boot(self, name: str, arm: str, *, append="", files=(), memory="1G", modules="", cpus=2):
        """A guest that is armed at each boot with `arm` beside the files."""
        files = {"/boot/arm": f"{armed.ARM} {arm}\n", **dict(files)}
        self.image = self.work / "disk.img"
        initramfs = armed.make_disk(self.image, self.kernel, BIN / "mcore", CAPTURE, self.work, files, modules)
        self.raw = self.work / "raw.elf"
        subprocess.run(["truncate", "-s", "64G", self.raw], check=True)
        self.log = CACHE / "logs" / f"test-{self.release}-soft-{name}.log"
        return system.start(
            self.kernel,
            [self.image, self.raw],
            self.log,
            initramfs=initramfs,
            append=f"{armed.APPEND} {append}",
            memory=memory,
            cpus=cpus,
        )

    def armed_boot(self, guest, number: int, said="", or_fail=ERRORS) -> dict:
        """Waits until this boot is armed and at its shell; `said` is what the second stage says."""
        numbers = guest.expect(rf"boot {number}, memory (?P<kib>\d+) kB, CPUs (?P<cpus>\d+)", 180, or_fail=or_fail)
        if said:
            guest.expect(said, 120, or_fail=or_fail)
        guest.expect("second stage ended with status 0", 120, or_fail=or_fail)
        guest.expect("MCORE-GUEST: arm ended with status 0", 60, or_fail=or_fail)
        self.shell(guest)
        return numbers

    def shell(self, guest) -> None:
        """Waits for the prompt: what is typed before is lost."""
        guest.expect("MCORE-GUEST: shell", 30)
        guest.expect("/ # ", 30)

    def panic(self, guest, cpu=0) -> None:
        guest.send(f"sync; taskset {1 << cpu:x} sh -c 'echo c >/proc/sysrq-trigger'\n")
        guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60, or_fail=system.FAILED)

    def power_off(self, guest) -> None:
        guest.send("cd /; umount /disk; poweroff -f\n")
        guest.wait_exit(60)
        disk.check(self.image)

    def dumps(self, count: int) -> list:
        names = disk.list_directory(self.image, "/var/crash")
        self.assertEqual(len(names), count, names)
        return [disk.extract_tree(self.image, f"/var/crash/{name}", self.work) for name in names]

    def dump(self):
        return self.dumps(1)[0]

    def fill_memory(self, guest) -> None:
        """All free memory of the kernel that runs is written to, but for 60 MiB."""
        size = "$(($(sed -n 's/^MemFree: *\\([0-9]*\\).*/\\1/p' /proc/meminfo) / 1024 - 60))"
        guest.send(
            f"mount -o remount,size=95% /tmp; dd if=/dev/zero of=/tmp/fill bs=1M count={size}; echo filled=$?; rm /tmp/fill\n"
        )
        guest.expect("filled=0", 120, or_fail=ERRORS + "|Linux version")

    def page_tables(self, guest) -> list:
        """CR3 of every CPU, as QEMU has it: the address of the page."""
        registers = guest.monitor.command("human-monitor-command", **{"command-line": "info registers -a"})
        return [int(value, 16) & ~4095 for value in re.findall(r"CR3=([0-9a-f]+)", registers)]

    def reserved_pages(self, guest) -> list:
        """The single pages that the running kernel's command line sets aside."""
        guest.send("sed 's/.*exactmap memmap=\\([^ ]*\\).*/map=\\1/' /proc/cmdline\n")
        words = guest.expect(r"map=(?P<words>\d\S+)\n", 30)["words"].split(",")
        places = [word[3:] for word in words if word.startswith("4K$")]
        return [int(place, 16) if place.startswith("0x") else int(place[:-1]) << " KMG".index(place[-1]) * 10 for place in places]

    def flush_translations(self, guest) -> None:
        """QEMU forgets the translated addresses of all CPUs when a device's memory appears or goes: here that of the AHCI controller."""
        guest.send(
            'for byte in 0 7; do printf "\\\\$byte" | dd of=/sys/bus/pci/devices/0000:00:1f.2/config bs=1 seek=4 conv=notrunc 2>/dev/null;'
            " done; sleep 1; echo still ali''ve\n"
        )
        guest.expect("still alive", 30, or_fail="Linux version")

    def check_window(self, name: str, way: str, handing_off: str) -> None:
        """Rehearsed, then a crash, both by the window: the dump is the one that a direct one would be."""
        arm = f"--window {armed.WINDOW} {way} --append rdinit=/raw-copy-init"
        with self.boot(name, arm, append=armed.RESERVED) as guest:
            before = self.armed_boot(guest, 1)
            guest.send("mcore status; echo status=$?\n")
            guest.expect("status=0", 30, or_fail=ERRORS)
            guest.send("mcore rehearse --restart\n")
            self.armed_boot(guest, 2, r"rehearsal of .*: all \d+\.\d MiB came through")
            guest.send("mcore status --json\n")
            guest.expect(r"all \d+\.\d MiB came through", 30, or_fail=ERRORS)
            self.panic(guest)
            size = int(guest.expect(r"MCORE-GUEST: vmcore has (?P<size>\d+) bytes", 120)["size"])
            guest.expect("MCORE-GUEST: disks left: 0", 300)
            guest.expect(f"handing off: {handing_off}", 300, or_fail=ERRORS)
            after = self.armed_boot(guest, 3, SAVED)
            # Saved, and known to be: nothing is left to do.
            guest.send("mcore-capture source=memory:; echo again=$?; mcore status; echo status=$?\n")
            guest.expect("again=0\n", 30, or_fail=ERRORS)
            guest.expect("status=0\n", 30, or_fail=ERRORS)
            self.power_off(guest)
        os.truncate(self.raw, size)
        # What was set aside at every boot is all that is missing.
        self.assertLess(abs(int(before["kib"]) - int(after["kib"])), 4096, (before, after))
        self.assertEqual(before["cpus"], after["cpus"])
        dump = self.dump()
        self.check_memory(dump, self.check_dump(dump))
        if self.series in JUDGED:
            self.check_crash(dump)

    def test_a_window_by_a_warm_reset(self):
        self.check_window("reset", "--reset", "reboot")

    def test_a_window_by_kexec(self):
        self.check_window("window", "", "kexec")

    def test_a_rehearsal_in_memory_that_is_free(self):
        with self.boot("rehearsal", "") as guest:
            self.armed_boot(guest, 1)
            guest.send("mcore rehearse; echo rehearse=$?\n")
            guest.expect("mcore rehearse --restart", 30)
            guest.expect("rehearse=2\n", 30, or_fail=system.FAILED)
            guest.send("mcore rehearse --restart --size 32\n")
            self.armed_boot(guest, 2, r"rehearsal of .* by kexec: all \d+\.\d MiB came through")
            guest.send("mcore status; echo status=$?\n")
            guest.expect("note: rehearsal of .* by kexec: all .* came through", 30, or_fail=ERRORS)
            guest.expect("status=0\n", 30, or_fail=ERRORS)
            self.power_off(guest)
        self.assertEqual(disk.list_directory(self.image, "/var/crash"), [])

    def check_again(self, cpu: int) -> None:
        """Two crashes, one after the other, each on `cpu`, and each by the soft boot."""
        with self.boot(f"again-{cpu}", "") as guest:
            self.armed_boot(guest, 1)
            for number in (2, 3):
                if number == 2:
                    # The CPU that does not panic has the page tables of a process.
                    guest.send(f"taskset {2 - cpu:x} sh -c 'while :; do :; done' & sleep 1; echo bu''sy\n")
                    guest.expect("busy", 30)
                # The second time there may be one CPU left.
                self.panic(guest, cpu if number == 2 else 0)
                guest.expect(r"leaves out .*\n", 300, or_fail=ERRORS)
                tables = self.page_tables(guest)
                guest.expect("handing off: kexec", 60, or_fail=ERRORS)
                guest.expect(SAVED, 180, or_fail=ERRORS)
                guest.expect("second stage ended with status 0", 120, or_fail=ERRORS)
                guest.expect("MCORE-GUEST: arm ended with status 0", 60, or_fail=ERRORS + "|Linux version")
                self.shell(guest)
                if number == 2:
                    if cpu == 1:
                        self.assertIn(tables[0], self.reserved_pages(guest))
                    # All memory of this kernel is written to: nothing of it is where the other CPU still runs, nor its page tables, which
                    # it reads again after this.
                    self.fill_memory(guest)
                    self.flush_translations(guest)
            self.power_off(guest)
        for dump in self.dumps(2):
            mcore("verify", "-q", dump)

    def test_it_is_armed_again_afterwards(self):
        self.check_again(0)

    def test_it_is_armed_again_without_the_boot_cpu(self):
        self.check_again(1)

    def test_memory_of_a_large_region_is_given_back(self):
        """A dump of more than 300 MiB: the memory blocks that lie in its region are RAM again, and the next crash is saved as well."""
        give_back = {"/boot/give-back": (REPOSITORY / "units/give-back.sh").read_text()}
        modules = f"{soft_boot.PERSISTENT_MEMORY} device_dax dax_pmem kmem"
        with self.boot("give-back", "--append mcore.level=used", files=give_back, memory="2G", modules=modules) as guest:
            before = int(self.armed_boot(guest, 1)["kib"])
            guest.send("dd if=/dev/urandom of=/tmp/fill bs=1M count=300; echo filled=$?\n")
            guest.expect("filled=0", 120, or_fail=ERRORS)
            self.panic(guest)
            region = guest.expect(r"leaves out (?P<word>[0-9a-fx@,]+)\n", 500, or_fail=ERRORS)["word"]
            kib = int(self.armed_boot(guest, 2, SAVED)["kib"])
            blocks = 0
            for word in region.split(","):
                size, start = (int(number, 16) for number in word.split("@"))
                blocks += max(0, (start + size >> 27) - (start + (2 << 20) + (1 << 27) - 1 >> 27))
            self.assertGreater(blocks, 0, region)
            guest.send("sh /disk/boot/give-back; echo given=$?\n")
            guest.expect(f"mcore: {128 * blocks} MiB of memory, where the dump was, are in use again\n", 60, or_fail=ERRORS)
            guest.expect("given=0", 30, or_fail=ERRORS)
            # A second time there is nothing to do.
            guest.send("sh /disk/boot/give-back; sed -n 's/MemTotal: */total=/p' /proc/meminfo\n")
            now = int(guest.expect(r"total=(?P<kib>\d+) kB", 30, or_fail="in use again|" + ERRORS)["kib"])
            self.assertEqual(now, kib + blocks * (128 << 10))
            self.assertLess(now, before)
            guest.send(f"mcore arm {armed.ARM}; echo armed=$?\n")
            guest.expect("armed=0", 60, or_fail=ERRORS)
            # All of it is written to, then this kernel crashes in turn.
            self.fill_memory(guest)
            self.panic(guest)
            self.armed_boot(guest, 3, SAVED)
            self.power_off(guest)
        for dump in self.dumps(2):
            mcore("verify", "-q", dump)

    def test_a_damaged_region_gives_what_is_whole(self):
        """Both heads and a byte of the dump are overwritten between the two kernels."""
        with self.boot("damaged", "", files={"/boot/damage": ""}) as guest:
            self.armed_boot(guest, 1)
            self.panic(guest)
            guest.expect("MCORE-GUEST: damaged", 300, or_fail=ERRORS)
            guest.expect("both heads of the region are gone: it is put together from the tables", 120, or_fail=ERRORS)
            guest.expect("second stage ended with status 3", 120, or_fail=ERRORS)
            guest.expect("MCORE-GUEST: arm ended with status 0", 60, or_fail=ERRORS + "|Linux version")
            self.shell(guest)
            self.power_off(guest)
        dump = self.dump()
        self.assertTrue(dump.name.endswith(".incomplete"), dump)
        files = {path.name for path in dump.iterdir()}
        self.assertTrue({"vmcore.elf.gz", "dmesg.txt", "dump.json"} <= files, files)
        travelled = json.loads((dump / "dump.json").read_text())["travelled"]
        # One chunk: the one in which byte 3000000 of the region lies.
        (damaged,) = travelled["damaged"]
        self.assertEqual(damaged["end"] - damaged["start"], 65536)
        self.assertEqual(travelled["evidence"], "tables")
        self.assertIn("sysrq triggered crash", (dump / "dmesg.txt").read_text())
        data = (dump / "vmcore.elf.gz").read_bytes()
        self.assertEqual(data[damaged["start"] : damaged["end"]], bytes(65536))
        result = mcore("verify", "-q", dump / "vmcore.elf.gz", status=1)
        self.assertIn("CORRUPT", (result.stdout + result.stderr).decode())

    def check_refusal(self, guest) -> None:
        """This boot goes on without a crash kernel, and says so: on the console, by arm's status and by that of `mcore status`."""
        refusal = "this machine ended 3 times within an hour without a shutdown"
        guest.expect(f"not armed: {refusal}", 120, or_fail=system.FAILED)
        guest.expect("MCORE-GUEST: arm ended with status 2", 30)
        self.shell(guest)
        guest.send("mcore status; echo status=$?; cat /sys/kernel/kexec_crash_loaded\n")
        guest.expect("a crash now would not be captured", 30)
        guest.expect(rf"because: {refusal} \(armed (\S+, ){{2}}\S+\): find the cause, then mcore arm --force", 30)
        guest.expect("status=1\n0\n", 30)

    def test_crashes_right_after_saved_dumps_end_in_a_boot_without_capture(self):
        """Every boot crashes as soon as it has saved the dump of the last one and is armed: three dumps, then none."""
        with self.boot("saved-loop", "", files={"/boot/panic": ""}) as guest:
            for number in (1, 2, 3):
                guest.expect(f"MCORE-GUEST: boot {number}, ", 180, or_fail=ERRORS)
                if number > 1:
                    guest.expect(SAVED, 180, or_fail=ERRORS)
                guest.expect("MCORE-GUEST: arm ended with status 0", 120, or_fail=ERRORS)
                guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60, or_fail=ERRORS)
                guest.expect("handing off: kexec", 300, or_fail=ERRORS)
            guest.expect("MCORE-GUEST: boot 4, ", 180, or_fail=ERRORS)
            # The third dump is saved before arm refuses.
            guest.expect(SAVED, 180, or_fail=ERRORS)
            self.check_refusal(guest)
            # A further crash is one of a machine without capture: it restarts through its firmware, and nothing is armed or saved.
            self.panic(guest)
            guest.expect("MCORE-GUEST: boot 5, ", 180, or_fail="handing off|dump saved|" + system.FAILED)
            guest.expect("MCORE-GUEST: second stage ended with status 0", 60, or_fail="dump saved|" + system.FAILED)
            self.check_refusal(guest)
            self.power_off(guest)
        boots = set()
        for dump in self.dumps(3):
            self.check_dump(dump)
            boots.add(json.loads((dump / "dump.json").read_text())["travelled"]["boot_id"])
        # Each of another boot: none was saved twice.
        self.assertEqual(len(boots), 3, boots)

    def test_cpus_and_hooks_of_the_crash_kernel(self):
        """As many CPUs as `cpus=` says, but never the boot CPU where another one panicked; hooks around saving, and one that hangs."""
        hooks = {
            "before/hang": "echo before $MCORE_STAGE; sleep 1000",
            "after/10-tell": "echo after $MCORE_RESULT $MCORE_RELEASE $MCORE_REASON",
            "failed/never": "echo wrong stage",
        }
        files = {f"/hooks/{name}": f"#!/bin/sh\n{text}\n" for name, text in hooks.items()}
        for cpus, panics_on, usable in ((1, 0, 1), (2, 0, 2), (2, 1, 1), (4, 3, 3)):
            with self.subTest(cpus=cpus, panics_on=panics_on):
                with self.boot(f"cpus-{cpus}-{panics_on}", "", files=files, cpus=cpus) as guest:
                    self.armed_boot(guest, 1)
                    guest.send(
                        f"echo cpus={cpus} hook-time=3 >/etc/mcore.conf; mkdir -p /etc/mcore; cp -r /disk/hooks /etc/mcore/hooks.d\n"
                    )
                    guest.send(f"chmod -R +x /etc/mcore/hooks.d; mcore arm {armed.ARM}; echo again=$?\n")
                    guest.expect("again=0\n", 60, or_fail=ERRORS)
                    self.panic(guest, panics_on)
                    guest.expect(rf"PID 1, {usable} CPUs usable", 120)
                    guest.expect("before before\n", 60)
                    guest.expect("hook /hooks/before/hang took longer than 3 s, and was ended", 60)
                    guest.expect(rf"after complete {re.escape(self.release)} .*sysrq triggered crash", 120, or_fail="wrong stage")
                    guest.expect(r"boot 2, memory \d+ kB, CPUs (?P<cpus>\d+)", 120)
                    guest.expect(SAVED, 180, or_fail=ERRORS)
                    self.shell(guest)
                    self.power_off(guest)
                self.assertEqual(json.loads((self.dump() / "dump.json").read_text())["status"], "complete")

    def test_crashes_one_after_the_other_end_in_a_boot_without_capture(self):
        """The crash kernel panics each time, and the machine restarts; the fourth boot is not armed any more."""
        with self.boot("loop", "--append rdinit=/nothing", files={"/boot/panic": ""}) as guest:
            for number in (1, 2, 3):
                guest.expect(f"MCORE-GUEST: boot {number}, ", 120, or_fail=ERRORS)
                guest.expect("MCORE-GUEST: arm ended with status 0", 120, or_fail=ERRORS)
                guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60)
                guest.expect("Kernel panic - not syncing: VFS: Unable to mount root", 120, or_fail="no other panic")
            guest.expect("MCORE-GUEST: boot 4, ", 120)
            self.check_refusal(guest)
            guest.send(f"mcore arm {armed.ARM} --force; echo forced=$?\n")
            guest.expect("forced=0\n", 60)
            guest.send("mcore disarm; mcore status; echo status=$?\n")
            guest.expect("no crash kernel is loaded: run mcore arm", 30)
            self.power_off(guest)


def load_tests(loader, _, __):
    return unittest.TestSuite([for_each(loader, SERIES, WaysTest, "WaysTest")])
