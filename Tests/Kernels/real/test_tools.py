"""`mcore crash`, `mcore drgn` and `mcore gdb` on a dump of a real kernel: they say of a dump in every format what they say of
the plain core, and nothing is left behind, however they end.

Which kernel: 6.1, since Debian 12's crash reads it.
"""

import json
import os
import pathlib
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import time
import unittest

from guest import dumps
from guest.paths import REPOSITORY, fetch_kernel

from .test_dumps import MCORE, command, mcore
from .test_formats import COMMANDS, DRGN_TASKS

SERIES = "6.1"
# Says that it is there, with its words, and waits for a signal; a first Ctrl-C is no reason to end.
WAITING = """#!/usr/bin/python3
import os, signal, sys
open(os.environ["TOOL_WORDS"], "w").write("\\n".join(sys.argv[1:]))
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
with open(sys.argv[2], "rb") as core:
    assert core.read(4) == b"\\x7fELF"
print("ready", flush=True)
while not seen:
    signal.pause()
with open(sys.argv[2], "rb") as core:
    assert core.read(4) == b"\\x7fELF"
sys.exit(7)
"""
# As udev makes the device: everybody may open it.
ANYONE = (
    "set -e; mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/fuse c 10 229; cd /; "
    'as() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }; '
    '"$1" mount "$2" "$3"; sha256sum <"$3/vmcore"; fusermount3 -u "$3"; '
    'as "$1" mount "$2" "$3"; as cat "$3/vmcore" | sha256sum; as head -n 1 "$3/dmesg.txt"; ! ls "$3" 2>&1; '
    'as fusermount3 -u "$3"; ! grep "$3" /proc/mounts'
)
NO_FUSE = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"'


@unittest.skipUnless(pathlib.Path("/dev/fuse").exists(), "there is no /dev/fuse here")
class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vmlinux = fetch_kernel(SERIES, debug=True) / "vmlinux"
        cls.raw = dumps.raw_dump(SERIES)
        directory = tempfile.TemporaryDirectory(prefix="mcore-tools-")
        cls.addClassCleanup(directory.cleanup)
        cls.work = pathlib.Path(directory.name)
        cls.packed = cls.work / "kern.elf.gz"
        mcore("save", "-q", cls.raw, cls.packed)
        cls.plain = cls.work / "kern.elf"
        mcore("convert", "-q", "--format", "elf", cls.packed, cls.plain)
        # What a test leaves in $TMPDIR is left behind.
        cls.temporary = cls.work / "tmp"
        cls.temporary.mkdir()
        cls.bin = cls.work / "bin"
        cls.bin.mkdir()

    def setUp(self):
        self.addCleanup(self.assert_nothing_is_left)

    def assert_nothing_is_left(self):
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertNotIn(str(self.temporary), pathlib.Path("/proc/mounts").read_text())

    def environment(self, path=None, **more) -> dict:
        return {**os.environ, "TMPDIR": str(self.temporary), "PATH": path or os.environ["PATH"], **more}

    def run_tool(self, *words, status=0, timeout=300, **more):
        return command(MCORE, *words, status=status, timeout=timeout, stdin=subprocess.DEVNULL, env=self.environment(**more))

    def fake(self, name, text) -> str:
        """Puts a program of our own in the place of a tool; returns PATH with it."""
        path = self.bin / name
        path.write_text(text)
        path.chmod(stat.S_IRWXU)
        return f"{self.bin}:{os.environ['PATH']}"

    # MARK: what the tools say

    def test_crash_says_of_every_format_what_it_says_of_the_plain_core(self):
        script = self.work / "commands"
        script.write_text("\n".join([*COMMANDS, "exit"]) + "\n")
        expected = command("crash", "-s", "-i", script, self.vmlinux, self.plain, stdin=subprocess.DEVNULL).stdout.splitlines()
        self.assertGreater(len(expected), 500)
        flat, single = self.work / "kern.flat", self.work / "kern.gzip.gz"
        with open(flat, "wb") as out:
            words = ["makedumpfile", "-F", "-c", "-d", "31", self.raw]
            subprocess.run(words, stdout=out, check=True, timeout=120, stderr=subprocess.DEVNULL)
        with open(single, "wb") as out:
            subprocess.run(["gzip", "-1", "-c", self.plain], stdout=out, check=True, timeout=120)
        for dump in (self.packed, self.plain, single):
            found = self.run_tool("crash", "--vmlinux", self.vmlinux, dump, "--", "-s", "-i", script).stdout.splitlines()
            differing = [pair for pair in zip(expected, found, strict=True) if pair[0] != pair[1]]
            # The file's name.
            self.assertLessEqual(len(differing), 1, (dump, differing))
        found = self.run_tool("crash", "--vmlinux", self.vmlinux, flat, "--", "-s", "-i", script).stdout
        self.assertIn(b"sysrq triggered crash", found)

    def test_drgn_sees_the_same_tasks(self):
        tools = pathlib.Path(command(REPOSITORY / "scripts/drgn-venv.sh", timeout=600).stdout.decode().strip()) / "bin"
        path = f"{tools}:{os.environ['PATH']}"
        script = self.work / "tasks.py"
        script.write_text(DRGN_TASKS)
        expected = command(tools / "drgn", "-q", "-c", self.plain, "-s", self.vmlinux, script).stdout
        self.assertGreater(len(expected.splitlines()), 50)
        for dump in (self.packed, self.plain):
            found = self.run_tool("drgn", "--vmlinux", self.vmlinux, dump, "--", "-q", script, path=path).stdout
            self.assertEqual(found, expected)

    def test_gdb_knows_how_far_the_kernel_was_moved(self):
        words = ["-nx", "-batch", "-ex", "x/s &linux_banner", "-ex", "info threads"]
        found = self.run_tool("gdb", "--vmlinux", self.vmlinux, self.packed, "--", *words).stdout.decode()
        self.assertIn(f"Linux version {mcore_release(self.plain)}", found)
        self.assertIn("crash_setup_regs", found)

    # MARK: which vmlinux

    def test_another_kernels_vmlinux_is_refused_by_name(self):
        build_id = bytes.fromhex(mcore_build_id(self.plain))
        path = self.fake("crash", "#!/bin/sh\nexit 0\n")
        other = self.work / "other"
        other.write_bytes(tiny_vmlinux(build_id))
        self.run_tool("crash", "--vmlinux", other, self.packed, path=path)
        wrong = bytes([build_id[0] ^ 0xFF]) + build_id[1:]
        other.write_bytes(tiny_vmlinux(wrong))
        result = self.run_tool("crash", "--vmlinux", other, self.packed, status=2, path=path)
        for word in ("another kernel", build_id.hex(), wrong.hex(), "--force"):
            self.assertIn(word, result.stderr.decode())
        self.run_tool("crash", "--vmlinux", other, "--force", self.packed, path=path)
        other.unlink()

    def test_debuginfod_finds_it(self):
        path = self.fake("crash", '#!/bin/sh\necho "$1"\n')
        self.fake(
            "debuginfod-find", f'#!/bin/sh\n[ "$1 $2" = "debuginfo {mcore_build_id(self.plain)}" ] && echo {self.vmlinux}\n'
        )
        self.addCleanup((self.bin / "debuginfod-find").unlink)
        result = self.run_tool("crash", self.packed, path=path, DEBUGINFOD_URLS="http://localhost:1")
        self.assertEqual(result.stdout.decode().strip(), str(self.vmlinux))

    def test_without_any_it_says_what_to_install(self):
        if any(pathlib.Path("/usr/lib/debug").glob("boot/vmlinux-*")):
            self.skipTest("debug symbols of a kernel are installed here")
        path = self.fake("crash", "#!/bin/sh\nexit 0\n")
        result = self.run_tool("crash", self.packed, status=1, path=path, DEBUGINFOD_URLS="").stderr.decode()
        for word in ("no vmlinux", mcore_release(self.plain), mcore_build_id(self.plain), "-dbg", "debuginfod", "--vmlinux"):
            self.assertIn(word, result)

    # MARK: how it ends

    def start(self, text=WAITING):
        words = self.work / "words"
        environment = self.environment(path=self.fake("crash", text), TOOL_WORDS=str(words))
        process = subprocess.Popen(
            [MCORE, "crash", "--vmlinux", self.vmlinux, self.packed, "--", "-s", "a b"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        self.assertEqual(words.read_text().splitlines()[2:], ["-s", "a b"])
        self.assertEqual(len(list(self.temporary.iterdir())), 1)
        # The mount is nobody else's.
        self.assertNotIn(str(self.temporary), pathlib.Path("/proc/mounts").read_text())
        return process

    def child(self, process) -> int:
        return int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])

    def test_an_interrupt_is_for_the_tool_and_its_status_comes_back(self):
        process = self.start()
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 7)

    def test_a_tool_that_is_killed(self):
        process = self.start()
        os.kill(self.child(process), signal.SIGKILL)
        self.assertEqual(process.wait(timeout=60), 128 + signal.SIGKILL)

    def test_who_ends_mcore_ends_the_tool(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            process = self.start()
            tool = self.child(process)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=60), 128 + number)
            self.assertFalse(pathlib.Path(f"/proc/{tool}").exists())

    def test_even_when_mcore_is_killed_no_mount_stays(self):
        process = self.start()
        tool = self.child(process)
        process.kill()
        process.wait(timeout=60)
        # It is there no longer for the tool either, which ends by that.
        os.kill(tool, signal.SIGINT)
        deadline = time.monotonic() + 60
        while pathlib.Path(f"/proc/{tool}").exists():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertNotIn(str(self.temporary), pathlib.Path("/proc/mounts").read_text())
        for directory in self.temporary.iterdir():
            directory.rmdir()

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_a_plain_user_mounts_for_itself_alone(self):
        with tempfile.TemporaryDirectory(prefix="mcore-plain-") as directory:
            place = pathlib.Path(directory)
            place.chmod(0o755)
            point = place / "mount"
            point.mkdir()
            os.chown(point, 65534, 65534)
            shutil.copy2(MCORE, place / "mcore")
            shutil.copy(self.packed, place / "kern.elf.gz")
            (place / "kern.elf.gz").chmod(0o644)
            words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ANYONE, "sh"]
            said = command(*words, place / "mcore", place / "kern.elf.gz", point).stdout.decode().splitlines()
        # What root sees of a mount of its own.
        self.assertEqual(said[0], said[1])
        self.assertIn("Linux version", said[2])
        # And not of somebody else's.
        self.assertIn("Permission denied", said[3])

    def test_what_is_not_there_is_named_with_what_helps(self):
        empty = self.work / "empty"
        empty.mkdir()
        for tool, package in {"crash": "install crash", "drgn": "python3-drgn", "gdb": "install gdb"}.items():
            result = self.run_tool(tool, "--vmlinux", self.vmlinux, self.packed, status=2, path=str(empty)).stderr.decode()
            self.assertIn(f"{tool} is not installed", result)
            self.assertIn(package, result)
        path = self.fake("crash", "#!/bin/sh\nexit 5\n")
        words = ["unshare", "--mount", "sh", "-c", NO_FUSE, "sh", MCORE, "crash", "--vmlinux", self.vmlinux]
        result = command(*words, self.packed, status=1, env=self.environment(path=path)).stderr.decode()
        for word in ("FUSE is not there", "modprobe fuse", "mcore convert --format elf"):
            self.assertIn(word, result)
        # What the tool reads itself needs none.
        for name in ("elf", "kdump-zlib"):
            dump = self.work / f"direct.{name}"
            mcore("convert", "-q", "--format", name, self.packed, dump)
            command(*words, dump, status=5, env=self.environment(path=path))
            dump.unlink()


def tiny_vmlinux(build_id) -> bytes:
    """An ELF file with this build ID and a section .debug_info, and nothing else."""
    note = struct.pack("<III", 4, len(build_id), 3) + b"GNU\0" + build_id
    names = b"\0.notes\0.debug_info\0.shstrtab\0"
    contents = [(0, 0, b""), (1, 7, note), (8, 1, b"x" * 8), (20, 3, names)]
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, len(contents), 3)
    table, data = b"", b""
    for name, kind, content in contents:
        table += struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, 64 + 64 * len(contents) + len(data), len(content), 0, 0, 1, 0)
        data += content
    return header + table + data


def mcore_facts(dump) -> dict:
    return json.loads(mcore("info", "--json", dump).stdout)["kernel"]


def mcore_release(dump) -> str:
    return mcore_facts(dump)["release"]


def mcore_build_id(dump) -> str:
    return mcore_facts(dump)["build_id"]
