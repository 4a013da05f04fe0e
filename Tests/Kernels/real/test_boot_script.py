"""When the boot script of initramfs-tools (initramfs/second-stage.sh) saves, and when it leaves that to the service. Its commands are
written down instead of done; that it works in a real boot is shown by test_soft_boot_debian.py.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

from guest.paths import REPOSITORY

REGION = "root=/dev/vda ro mcore.region=0x200000@0x40000000 mcore.nonce=00"
# What mcore arm leaves.
RECORD = "time 1\nrelease 6.1\nnonce 00\nway kexec\non-root /var/crash /srv /variable/x\n"
MOUNTED = "proc /proc proc rw 0 0\n/dev/mapper/root {root} ext4 {state},relatime 0 0\n"


class BootScript(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-boot-script-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.root = self.work / "root"
        for name in ("etc", "dev", "proc", "sys", "sbin", "var/lib/mcore"):
            (self.root / name).mkdir(parents=True)
        (self.root / "sbin/mcore-capture").write_text("")
        (self.root / "sbin/mcore-capture").chmod(0o755)
        self.commands = self.work / "commands"
        (self.work / "bin").mkdir()
        for name in ("mount", "umount", "chroot"):
            path = self.work / "bin" / name
            path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.commands}\n[ {name} != chroot ] || exit 3\n')
            path.chmod(0o755)

    def boot(
        self, settings="target=/var/crash\n", fstab="/dev/vda / ext4 defaults 0 1\n", cmdline=REGION, state="ro", record=RECORD
    ) -> tuple:
        """What the script says, and the commands that it gives. It ends with status 0, whatever happens."""
        for name, text in (("etc/mcore.conf", settings), ("etc/fstab", fstab), ("var/lib/mcore/armed", record)):
            (self.root / name).unlink(missing_ok=True)
            if text is not None:
                (self.root / name).write_text(text)
        script = (REPOSITORY / "initramfs/second-stage.sh").read_text()
        for name, text in (
            ("/proc/cmdline", cmdline + "\n"),
            ("/proc/mounts", MOUNTED.format(root=self.root, state=state)),
            ("/dev/kmsg", ""),
        ):
            (self.work / pathlib.Path(name).name).write_text(text)
            self.assertIn(name, script)
            script = script.replace(name, str(self.work / pathlib.Path(name).name))
        self.commands.write_text("")
        result = subprocess.run(
            ["dash", "-c", script.replace("@PREFIX@", ""), "mcore"],
            timeout=30,
            capture_output=True,
            text=True,
            env={"PATH": f"{self.work}/bin:{os.environ['PATH']}", "rootmnt": str(self.root)},
        )
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout, self.commands.read_text().splitlines()

    def test_without_a_region_nothing_is_done(self):
        self.assertEqual(self.boot(cmdline="root=/dev/vda ro quiet mcore.regional=1"), ("", []))

    def test_it_saves_in_the_root_and_leaves_it_as_it_was(self):
        root = self.root
        saved = [f"mount -o bind /{name} {root}/{name}" for name in ("dev", "proc", "sys")]
        saved += [f"chroot {root} /sbin/mcore-capture source=memory:"] + [
            f"umount {root}/{name}" for name in ("sys", "proc", "dev")
        ]
        said, commands = self.boot()
        self.assertEqual(said, "mcore: the second stage ended in the initramfs with status 3\n")
        remount = [f"mount -o remount,{state} /dev/mapper/root {root}" for state in ("rw", "ro")]
        self.assertEqual(commands, [remount[0], *saved, remount[1]])
        self.assertEqual(self.boot(state="rw")[1], saved)
        # Devices need no mount; a later target counts as the first does; comments do not.
        for settings in (
            "target=UUID=0-1:/crash\n",
            "level=used target=/dev/sdb1:/x\ntarget=/var/crash\n",
            "# target=nfs:x\ntarget=/srv",
        ):
            self.assertIn("chroot", "".join(self.boot(settings, state="rw")[1]), settings)

    def test_what_can_not_be_had_yet_is_left_to_the_service(self):
        for settings, fstab, reason in (
            ("target=/var/crash\n", "/dev/vda / ext4 x 0 1\n/dev/vdb /var ext4 x 0 2\n", "/var is mounted later"),
            ("target=/var/crash\n", "LABEL=c /var/crash/ ext4 x\n", "/var/crash/ is mounted later"),
            ("target=UUID=1:/x\ntarget=/srv/a/b\n", "# /dev/x /srv\nnas:/d /srv/a nfs x 0 0", "/srv/a is mounted later"),
            ("target=ssh:dumps@nas:/x\n", None, "target=ssh:dumps@nas:/x may not be reached yet"),
            ("level=used\n", None, "no target is given"),
        ):
            said, commands = self.boot(settings, fstab)
            self.assertEqual((said, commands), (f"mcore: the dump in memory is saved after the boot: {reason}\n", []))
        # What only the system that crashed could tell: units of systemd, symbolic links, volumes.
        for record, reason in (
            (None, "/var/lib/mcore/armed is not there, which tells what is on the root"),
            (RECORD.replace("nonce 00", "nonce 01"), "/var/lib/mcore/armed is of another boot"),
            (RECORD.replace("/var/crash ", "/var/crash/x /var "), "/var/crash was not on the root when mcore arm looked"),
            ("nonce 00\n", "/var/crash was not on the root when mcore arm looked"),
        ):
            said, commands = self.boot(record=record)
            self.assertEqual((said, commands), (f"mcore: the dump in memory is saved after the boot: {reason}\n", []))
        # A disk is told by the settings alone.
        self.assertNotEqual(self.boot("target=UUID=1:/x\n", record=None)[1], [])
        # Not a prefix of it by whole names.
        self.assertNotEqual(
            self.boot("target=/variable/x\n", "/dev/vdb /var ext4 x 0 2\nnone none swap sw 0 0\n#/dev/x /variable ext4 x\n")[1],
            [],
        )
        (self.root / "sbin/mcore-capture").unlink()
        self.assertIn("there is no /sbin/mcore-capture", self.boot()[0])
