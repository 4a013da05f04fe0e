"""Dumps that leave the machine: OpenSSH, nginx, raw disks, commands. What arrives is read by `mcore verify` on the other side."""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

from guest import dumps
from guest.paths import REPOSITORY

from .servers import ObjectStore, SSHServer, WebServer, free_port, wait_until

BIN = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release"))
MCORE = BIN / "mcore"
# Large enough to be in the middle when every buffer on the way is full: some 15 MiB at level kern.
SERIES = "6.1"


class Ended:
    """How a command ended."""

    def __init__(self, status: int, text: str):
        self.status, self.text = status, text


class TargetTests(unittest.TestCase):
    """A core, a directory for what is to arrive, and a way to save the one to the other."""

    @classmethod
    def setUpClass(cls):
        cls.core = dumps.raw_dump(SERIES)

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="mcore-targets-")
        self.addCleanup(self.directory.cleanup)
        self.work = pathlib.Path(self.directory.name)
        self.there = self.work / "there"
        self.there.mkdir()
        self.local = self.work / "local"
        self.local.mkdir()
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)

    def start(self, *words) -> subprocess.Popen:
        command = [MCORE, "save", *words]
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, process, status=0) -> Ended:
        try:
            text, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        self.assertEqual(process.returncode, status, text)
        return Ended(process.returncode, text)

    def save(self, *words, status=0) -> Ended:
        """`words`: targets, and lists of options."""
        options = [part for word in words if isinstance(word, list) for part in word]
        targets = [word for word in words if not isinstance(word, list)]
        return self.end(self.start(*options, self.core, *targets), status)

    def mcore(self, *words, status=0) -> str:
        result = subprocess.run([str(word) for word in (MCORE, *words)], capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def only(self, directory: pathlib.Path) -> pathlib.Path:
        """The one dump in a directory."""
        names = sorted(directory.iterdir())
        self.assertEqual(len(names), 1, names)
        return names[0]

    def assert_whole(self, dump: pathlib.Path) -> dict:
        """By `mcore verify`, and by the digests in its dump.json, which is returned."""
        self.assertFalse(dump.name.endswith(".incomplete"))
        self.mcore("verify", "-q", dump)
        manifest = json.loads((dump / "dump.json").read_text())
        self.assertEqual({path.name for path in dump.iterdir()}, set(manifest["files"]) | {"dump.json"})
        for name, entry in manifest["files"].items():
            data = (dump / name).read_bytes()
            self.assertEqual((len(data), hashlib.sha256(data).hexdigest()), (entry["bytes"], entry["sha256"]))
        return manifest


class OverSSH(TargetTests):
    def setUp(self):
        super().setUp()
        self.server = self.stack.enter_context(SSHServer(self.work / "sshd"))

    def test_a_dump_directory_arrives_whole_and_looks_like_one_on_a_disk(self):
        target = self.server.target(self.there / "new/directory")
        self.save(self.server.options(), target)
        dump = self.only(self.there / "new/directory")
        manifest = self.assert_whole(dump)
        self.assertEqual(set(manifest["files"]), {"dmesg.txt", "report.txt", "report.json", "vmcore.elf.gz"})
        self.assertIn(f"Linux version {SERIES}", (dump / "dmesg.txt").read_text())
        self.assertEqual(dump.stat().st_mode & 0o777, 0o700)
        self.assertEqual({path.stat().st_mode & 0o777 for path in dump.iterdir()}, {0o600})
        # The same as on a disk, byte for byte.
        self.save(self.local)
        for name in ("dmesg.txt", "report.txt", "report.json", "vmcore.elf.gz", "dump.json"):
            self.assertEqual((self.only(self.local) / name).read_bytes(), (dump / name).read_bytes())

    def test_names_that_are_taken_get_a_number_and_odd_paths_are_paths(self):
        path = self.there / 'it\'s $HOME; a `b` "c"'
        for _ in range(2):
            self.save(self.server.options(), self.server.target(path))
        first, second = sorted(path.iterdir())
        self.assertEqual(second.name, first.name + "-2")
        for dump in (first, second):
            self.assert_whole(dump)

    def test_a_server_without_a_shell_of_sorts_is_told(self):
        (self.server.directory / "authorized_keys").write_text(
            'command="cat /dev/urandom | head -c 100000" ' + (self.server.directory / "client.pub").read_text()
        )
        ended = self.save(self.server.options(), self.server.target(self.there), self.local)
        self.assertIn("the far side does not answer as a shell does", ended.text)
        self.assert_whole(self.only(self.local))


class OverHTTPS(TargetTests):
    def setUp(self):
        super().setUp()
        self.server = self.stack.enter_context(WebServer(self.work / "nginx"))

    def options(self, config=None):
        return ["--curl-config", str(config or self.server.config)]

    def test_with_webdav_a_directory_is_renamed_when_it_is_whole(self):
        for _ in range(2):
            self.save(self.options(), self.server.target("dav"))
        first, second = sorted((self.server.root / "dav").iterdir())
        self.assertEqual(second.name, first.name + "-2")
        for dump in (first, second):
            self.assert_whole(dump)

    def test_without_webdav_the_manifest_comes_last(self):
        for _ in range(2):
            self.save(self.options(), self.server.target("put"))
        first, second = sorted((self.server.root / "put").iterdir())
        self.assertEqual(second.name, first.name + "-2")
        for dump in (first, second):
            self.assert_whole(dump)
            last = max(dump.iterdir(), key=lambda path: path.stat().st_mtime_ns)
            self.assertEqual(last.name, "dump.json")

    def test_a_token_opens_and_is_seen_by_nobody(self):
        process = self.start(*self.options(self.server.token_config), self.core, self.server.target("token"))
        seen = set()
        while process.poll() is None:
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(path.read_bytes())
        ended = self.end(process)
        self.assertTrue(any(b"curl" in words and b"/token/" in words for words in seen))
        self.assertFalse(any(self.server.TOKEN.encode() in words for words in seen))
        self.assertNotIn(self.server.TOKEN, ended.text)
        dump = self.only(self.server.root / "token")
        self.assert_whole(dump)
        self.assertNotIn(self.server.TOKEN, (dump / "dump.json").read_text())


class ToAnObjectStore(TargetTests):
    """S3: signed requests, the dump in parts."""

    def setUp(self):
        super().setUp()
        self.store = self.stack.enter_context(ObjectStore(self.work / "store"))

    def test_a_dump_is_there_as_a_whole_and_no_other_is_written_over(self):
        for _ in range(2):
            self.save(self.store.options(), self.store.target("a/b"))
        self.assertEqual(self.store.fetch(self.there), 0)
        first, second = sorted((self.there / "a/b").iterdir())
        self.assertEqual(second.name, first.name + "-2")
        for dump in (first, second):
            manifest = self.assert_whole(dump)
            # More than one part.
            self.assertGreater(manifest["files"]["vmcore.elf.gz"]["bytes"], 8 << 20)

    def test_what_a_limit_ends_is_an_object_all_the_same(self):
        self.save(["--max-size", "9M", *self.store.options()], self.store.target("cut"), status=3)
        self.assertEqual(self.store.fetch(self.there), 0)
        dump = self.only(self.there / "cut")
        self.assertGreater((dump / "vmcore.elf.gz").stat().st_size, 8 << 20)
        self.assertEqual(json.loads((dump / "dump.json").read_text())["status"], "cut")
        self.assertTrue((dump / "INCOMPLETE.txt").exists())
        self.mcore("verify", "-q", dump, status=3)

    def test_a_wrong_secret_is_told_and_seen_by_nobody(self):
        secret = self.store.user + "x"
        ended = self.save(self.store.options(secret), self.store.target("a"), self.local)
        self.assertIn("the server refuses access: status 403", ended.text)
        self.assertNotIn(self.store.user.split(":")[1], ended.text)
        manifest = self.assert_whole(self.only(self.local))
        self.assertEqual(len(manifest["attempts"]), 1)
        self.assertEqual(self.store.fetch(self.there), 0)
        self.assertEqual(list(self.there.iterdir()), [])

    def test_a_store_that_is_killed_in_the_middle_loses_to_the_next_target(self):
        process = self.start(*self.store.options(), "--max-rate", "4M", self.core, self.store.target("a"), self.local)
        # One part has arrived.
        wait_until(lambda: b"partNumber=1" in (self.store.directory / "log").read_bytes(), "a part is there", 60)
        self.store.process.kill()
        ended = self.end(process)
        self.assertIn("trying the next", ended.text)
        self.assert_whole(self.only(self.local))


class ToACommand(TargetTests):
    def test_a_command_gets_the_dump(self):
        out = self.work / "out.gz"
        self.save(f"pipe:cat > {out}")
        self.mcore("verify", "-q", out)

    def test_a_command_that_fails_says_why_and_the_next_gets_it(self):
        ended = self.save("pipe:head -c 100000 >/dev/null; echo too much secret=xyz >&2; exit 7", self.local)
        self.assertIn("too much", ended.text)
        self.assert_whole(self.only(self.local))


class ToARawDisk(TargetTests):
    """An image stands for the disk where loop devices are not to be had: every check but that of its owner is the same."""

    def disk(self, mib: int) -> str:
        image = self.work / f"disk-{mib}"
        with open(image, "wb") as out:
            out.truncate(mib << 20)
        loop = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, timeout=20)
        if loop.returncode != 0:
            self.skipTest(f"no loop device: {loop.stderr}")
        self.stack.callback(subprocess.run, ["losetup", "-d", loop.stdout.strip()], check=True, timeout=20)
        return loop.stdout.strip()

    def test_a_dump_is_found_copied_and_marked_saved(self):
        disk = self.disk(64)
        self.save(f"raw:{disk}")
        self.assertRegex(self.mcore("list", status=3), rf"(?m)^raw:{disk}  whole  \S+  \d+\.\d MiB")
        # Never over a dump that nobody has saved.
        ended = self.save(f"raw:{disk}", self.there)
        self.assertIn("is not saved yet", ended.text)
        self.assert_whole(self.only(self.there))
        self.mcore("save", "-q", f"raw:{disk}", self.local)
        manifest = self.assert_whole(self.only(self.local))
        self.assertEqual(manifest["travelled"], {"by": "raw", "checksum": "right"})
        saved, direct = self.only(self.local), self.only(self.there)
        self.assertEqual((saved / "vmcore.elf.gz").read_bytes(), (direct / "vmcore.elf.gz").read_bytes())
        self.assertRegex(self.mcore("list", disk), r"  saved  ")
        self.assertIn("saved already", self.mcore("save", "-q", f"raw:{disk}", self.local, status=2))
        self.save(f"raw:{disk}")

    def test_a_disk_that_ends_keeps_what_matters_most(self):
        disk = self.disk(12)
        self.save(f"raw:{disk}", status=3)
        self.assertRegex(self.mcore("list", disk, status=3), r"  cut  ")
        self.mcore("save", "-q", f"raw:{disk}", self.local, status=3)
        dump = self.only(self.local)
        self.assertTrue(dump.name.endswith(".incomplete"))
        # All that has room but the last group of blocks.
        self.assertGreater((dump / "vmcore.elf.gz").stat().st_size, 8 << 20)
        self.mcore("verify", "-q", dump, status=3)
        self.assertEqual(json.loads((dump / "dump.json").read_text())["status"], "cut")

    def test_what_belongs_to_somebody_else_stays_unless_forced(self):
        for make in (
            ["mkfs.ext4", "-q", "-F"],
            ["mkswap"],
            ["sh", "-c", 'echo "label: gpt" | sfdisk -q "$0"'],
        ):
            with self.subTest(make[0]):
                disk = self.disk(64)
                self.save(f"raw:{disk}")
                self.mcore("save", "-q", f"raw:{disk}", self.local)
                subprocess.run([*make, disk], check=True, capture_output=True, timeout=60)
                before = pathlib.Path(disk).read_bytes()
                self.assertIn("nothing is overwritten", self.save(f"raw:{disk}", status=2).text)
                self.assertEqual(pathlib.Path(disk).read_bytes(), before)
                self.save(["--force"], f"raw:{disk}")
                self.assertRegex(self.mcore("list", disk, status=3), r"  whole  ")

    def test_damage_on_the_disk_is_told_and_the_disk_keeps_it(self):
        disk = self.disk(64)
        self.save(f"raw:{disk}")
        with open(disk, "r+b") as device:
            device.seek(8 << 20)
            device.write(b"damage")
        ended = self.mcore("save", f"raw:{disk}", self.local, status=3)
        self.assertIn("checksum is wrong", ended)
        self.assertRegex(self.mcore("list", disk, status=3), r"  whole  ")


class ToASubvolume(TargetTests):
    """btrfs, mounted by subvolumes as distributions have it: a dump lies where the word says, or nowhere."""

    def setUp(self):
        super().setUp()
        if "btrfs" not in pathlib.Path("/proc/filesystems").read_text():
            self.skipTest("this kernel has no btrfs")
        image = self.work / "disk"
        with open(image, "wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True, timeout=60)
        loop = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, timeout=20)
        if loop.returncode != 0:
            self.skipTest(f"no loop device: {loop.stderr}")
        self.disk = loop.stdout.strip()
        self.stack.callback(subprocess.run, ["losetup", "-d", self.disk], check=True, timeout=20)
        top = self.mount()
        for name in ("@", "@home"):
            subprocess.run(["btrfs", "subvolume", "create", top / name], check=True, capture_output=True, timeout=20)
        subprocess.run(["umount", top], check=True, timeout=20)

    def mount(self, *options) -> pathlib.Path:
        point = pathlib.Path(tempfile.mkdtemp(dir=self.work))
        subprocess.run(["mount", *options, self.disk, point], check=True, timeout=20)
        self.stack.callback(subprocess.run, ["umount", point], check=False, capture_output=True, timeout=20)
        return point

    def test_the_subvolume_that_is_named_has_the_dump(self):
        self.save("-q", "--level", "header", f"{self.disk}[/@]:/var/crash")
        self.assert_whole(self.only(self.mount("-o", "subvol=/@") / "var/crash"))
        # From the top on, whatever is mounted.
        said = self.save("--level", "header", f"{self.disk}[/]:/@home/crash").text
        self.assertIn(f"{self.disk}[/]:/@home/crash/", said)
        self.assert_whole(self.only(self.mount("-o", "subvol=/@home") / "crash"))
        said = self.save("--level", "header", f"{self.disk}[/none]:/crash", status=1).text
        self.assertIn("cannot mount", said)
        self.assertNotIn("dmesg(1)", said)

    def test_without_a_name_the_one_that_is_mounted_is_meant(self):
        root = self.mount("-o", "subvol=/@")
        self.save("-q", "--level", "header", f"{self.disk}:/var/crash")
        self.assert_whole(self.only(root / "var/crash"))
        home = self.mount("-o", "subvol=/@home")
        # The path is there in one of two.
        self.save("-q", "--level", "header", f"{self.disk}:/var/crash")
        self.assertEqual(len(list((root / "var/crash").iterdir())), 2)
        said = self.save("--level", "header", f"{self.disk}:/srv", status=2).text
        self.assertIn(f"name it: {self.disk}[/@]:/srv, {self.disk}[/@home]:/srv", said)
        self.assertEqual(list(home.iterdir()), [])


class Failover(TargetTests):
    """Everything that goes wrong with a target: the next one has the whole dump, and its dump.json says why."""

    def next_has_it(self, reason: str, target, *options, while_it_runs=None) -> dict:
        """Saves to `target` first and to a directory second. Returns the attempt that failed."""
        process = self.start(*options, self.core, target, self.local)
        try:
            if while_it_runs:
                while_it_runs()
        except BaseException:
            process.kill()
            process.communicate()
            raise
        ended = self.end(process)
        manifest = self.assert_whole(self.only(self.local))
        self.assertEqual(len(manifest["attempts"]), 1, manifest["attempts"])
        attempt = manifest["attempts"][0]
        self.assertIn(reason, attempt["reason"])
        self.assertIn(reason, ended.text)
        # A mount point of mcore's own is gone when somebody reads of it: no place for an error.
        self.assertNotIn("(/run/mcore-mount", ended.text)
        return attempt

    def sshd(self) -> SSHServer:
        return self.stack.enter_context(SSHServer(self.work / "sshd"))

    def nginx(self, **options) -> WebServer:
        return self.stack.enter_context(WebServer(self.work / "nginx", **options))

    def mount(self, *words) -> pathlib.Path:
        point = self.work / "mount"
        point.mkdir()
        result = subprocess.run(["mount", *words, point], capture_output=True, text=True, timeout=20)
        if result.returncode != 0:
            self.skipTest(f"cannot mount: {result.stderr}")
        self.stack.callback(subprocess.run, ["umount", point], check=True, timeout=60)
        return point

    def loop(self, mib: int, *make) -> str:
        image = self.work / f"disk-{mib}"
        with open(image, "wb") as out:
            out.truncate(mib << 20)
        if make:
            subprocess.run([*make, image], check=True, capture_output=True, timeout=60)
        loop = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True, timeout=20)
        if loop.returncode != 0:
            self.skipTest(f"no loop device: {loop.stderr}")
        self.stack.callback(subprocess.run, ["losetup", "-d", loop.stdout.strip()], check=True, timeout=20)
        return loop.stdout.strip()

    # Disks.

    def test_a_disk_that_is_missing(self):
        self.next_has_it("there is no such disk", "/dev/mcore-no-such-disk:/var/crash")

    def test_a_disk_that_can_not_be_mounted(self):
        self.next_has_it("cannot mount", f"{self.loop(8)}:/var/crash")

    def test_a_file_system_that_is_read_only(self):
        point = self.mount("-t", "tmpfs", "-o", "size=64m,ro", "tmpfs")
        self.next_has_it("Read-only file system", point)

    def test_too_little_room_is_known_before_the_first_byte(self):
        point = self.mount("-t", "tmpfs", "-o", "size=8m", "tmpfs")
        self.assertEqual(self.next_has_it("there is too little room", point)["bytes"], 0)

    def test_a_disk_that_is_full_in_the_middle(self):
        """/dev/full stands for it: what is full from the start is left before the first byte."""
        self.next_has_it("No space left", "pipe:head -c 1000000 >/dev/null; exec cat > /dev/full")

    def test_a_file_system_that_hangs(self):
        """Frozen: whoever writes to it sleeps in the kernel and can't be killed."""
        disk = self.loop(64, "mkfs.ext4", "-q", "-F")
        point = self.mount(disk)
        frozen = contextlib.ExitStack()
        self.stack.enter_context(frozen)
        subprocess.run(["fsfreeze", "-f", point], check=True, timeout=20)
        frozen.callback(subprocess.run, ["fsfreeze", "-u", point], check=True, timeout=20)
        # The process itself can't end while a thread of it hangs: its work is done long before.
        process = self.start("--stall-time", "1s", self.core, point / "x", self.local)
        wait_until(
            lambda: [name for name in os.listdir(self.local) if not name.endswith(".incomplete")], "the next has the dump", 60
        )
        frozen.close()
        ended = self.end(process)
        self.assertIn("did not answer", ended.text)
        (attempt,) = self.assert_whole(self.only(self.local))["attempts"]
        self.assertIn("did not answer", attempt["reason"])

    # The network.

    def test_nobody_listens(self):
        self.next_has_it("Connection refused", f"ssh:root@127.0.0.1:{free_port()}:/x")

    def test_a_name_that_does_not_resolve(self):
        self.next_has_it("ssh", "ssh:root@mcore-no-such-host.invalid:/x")

    def test_a_wrong_host_key(self):
        server = self.sshd()
        stranger = server.directory / "known_strangers"
        stranger.write_text(f"[127.0.0.1]:{server.port} {(server.directory / 'stranger.pub').read_text()}")
        options = server.options(**{"ssh-known-hosts": stranger})
        self.next_has_it("the host key is not the one that is known", server.target(self.there), *options)
        self.assertEqual(list(self.there.iterdir()), [])

    def test_a_refused_login(self):
        server = self.sshd()
        options = server.options(**{"ssh-key": server.directory / "stranger"})
        self.next_has_it("the login was refused", server.target(self.there), *options)

    def test_a_key_that_others_may_read(self):
        server = self.sshd()
        server.key.chmod(0o644)
        self.next_has_it("bad permissions", server.target(self.there), *server.options())

    def test_a_far_side_that_is_full(self):
        server = self.sshd()
        point = self.mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")
        # Its free room is there when it is asked for, and gone when the dump comes.
        filler = point / "filler"

        def fill():
            wait_until(lambda: list(point.glob("*.incomplete/vmcore.elf.gz")), "the dump begins")
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as out:
                while True:
                    out.write(bytes(1 << 16))

        attempt = self.next_has_it(
            "No space left", server.target(point), "--max-rate", "8M", *server.options(), while_it_runs=fill
        )
        self.assertGreater(attempt["bytes"], 0)

    def in_the_middle(self, directory: pathlib.Path, act):
        """Once some of the dump has arrived, and long before all of it: what counts as there ends with a whole group of blocks."""

        def run():
            wait_until(
                lambda: [path for path in directory.glob("*/vmcore.elf.gz") if path.stat().st_size > 2 << 20],
                "the dump is on its way",
                60,
            )
            act()

        return run

    def test_a_connection_that_breaks_in_the_middle(self):
        server = self.sshd()
        attempt = self.next_has_it(
            "ssh",
            server.target(self.there),
            "--max-rate",
            "4M",
            *server.options(),
            while_it_runs=self.in_the_middle(self.there, lambda: server.signal_sessions(signal.SIGKILL)),
        )
        self.assertGreater(attempt["bytes"], 1 << 20)
        # What arrived opens, under its incomplete name.
        cut = self.only(self.there)
        self.assertTrue(cut.name.endswith(".incomplete"))
        self.mcore("verify", "-q", cut, status=3)
        self.assertIn("Linux version", (cut / "dmesg.txt").read_text())
        self.assertIn("Linux version", self.mcore("dmesg", cut / "vmcore.elf.gz"))
        # It says of itself what there is, as the far side could be asked.
        self.assertEqual(json.loads((cut / "dump.json").read_text())["status"], "cut")

    def test_a_far_side_that_hangs_without_closing(self):
        server = self.sshd()
        attempt = self.next_has_it(
            "took no byte for 2 s",
            server.target(self.there),
            "--stall-time",
            "2s",
            *server.options(),
            while_it_runs=self.in_the_middle(self.there, lambda: server.signal_sessions(signal.SIGSTOP)),
        )
        self.assertGreater(attempt["bytes"], 1 << 20)

    def test_a_certificate_that_has_expired(self):
        server = self.nginx(has_expired=True)
        self.next_has_it("certificate has expired", server.target("dav"), "--curl-config", server.config)

    def test_a_certificate_of_somebody_unknown(self):
        server = self.nginx()
        self.next_has_it("certificate", server.target("dav"))

    def test_a_web_server_that_refuses(self):
        server = self.nginx()
        for location in ("shut", "token"):
            with self.subTest(location):
                self.next_has_it("the server refuses access", server.target(location), "--curl-config", server.config)
                for name in self.local.iterdir():
                    subprocess.run(["rm", "-r", name], check=True)

    def test_a_web_server_that_takes_no_more(self):
        server = self.nginx()
        self.next_has_it("413", server.target("small"), "--curl-config", server.config)

    def test_a_web_server_that_sends_us_elsewhere_has_taken_nothing(self):
        server = self.nginx()
        self.next_has_it("status 302", server.target("away"), "--curl-config", server.config)

    def test_a_file_that_a_setting_names_is_there(self):
        server = self.nginx()
        self.next_has_it("curl-config= names is not there", server.target("dav"), "--curl-config", "/not/there")

    def test_a_web_server_that_dies_in_the_middle(self):
        server = self.nginx()

        def kill():
            wait_until(
                lambda: [path for path in server.directory.glob("tmp-client_body/*") if path.stat().st_size > 2 << 20],
                "the dump is on its way",
                60,
            )
            server.signal_sessions(signal.SIGKILL)
            server.process.kill()

        self.next_has_it("curl", server.target("dav"), "--max-rate", "4M", "--curl-config", server.config, while_it_runs=kill)

    def test_a_mirror_that_breaks_drops_out(self):
        server = self.sshd()
        process = self.start(
            "--mirror",
            server.target(self.there),
            "--mirror",
            self.local,
            "--max-rate",
            "4M",
            *server.options(),
            self.core,
            self.work / "file",
        )
        self.in_the_middle(self.there, lambda: server.signal_sessions(signal.SIGKILL))()
        ended = self.end(process)
        self.assertIn("the others go on", ended.text)
        manifest = self.assert_whole(self.only(self.local))
        self.assertEqual([attempt["target"] for attempt in manifest["attempts"]], [server.target(self.there)])
        self.mcore("verify", "-q", self.work / "file")
        self.assertEqual((self.work / "file").read_bytes(), (self.only(self.local) / "vmcore.elf.gz").read_bytes())

    def test_a_far_side_that_answers_later_is_waited_for(self):
        server = SSHServer(self.work / "sshd")
        process = self.start("--wait", "60", *server.options(), self.core, server.target(self.there))
        self.assertIn("again in 1 s", self.line(process, "again in"))
        self.stack.enter_context(server)
        self.end(process)
        self.assertNotIn("attempts", self.assert_whole(self.only(self.there)))

    def line(self, process, word: str) -> str:
        """The first line of its output with that word."""
        for line in process.stdout:
            if word in line:
                return line
        raise AssertionError(f"it did not say '{word}'")


class NetworkOfTheCrashKernel(TargetTests):
    """What one network namespace records is brought up in another, which got the device and nothing else."""

    MAC = "02:6d:63:6f:72:65"

    def ip(self, *words, check=True):
        result = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=20)
        if check:
            self.assertEqual(result.returncode, 0, f"ip {words}: {result.stderr}")
        return result

    def namespace(self, name: str) -> str:
        name = f"mcore-{name}-{os.getpid()}"
        result = self.ip("netns", "add", name, check=False)
        if result.returncode != 0:
            self.skipTest(f"no network namespaces: {result.stderr}")
        self.stack.callback(self.ip, "netns", "del", name)
        return name

    def test_a_route_and_a_gateway_are_rebuilt_by_the_address_of_the_device(self):
        self.rebuild(has_vlan=False)

    def test_a_vlan_is_rebuilt(self):
        self.rebuild(has_vlan=True)

    def rebuild(self, has_vlan: bool):
        before, crash, far = (self.namespace(name) for name in ("before", "crash", "far"))
        pair = ["eth0", "address", self.MAC, "mtu", "1400", "type", "veth", "peer", "name", "far0"]
        self.ip("-n", before, "link", "add", *pair)
        self.ip("-n", before, "link", "set", "dev", "far0", "netns", far)
        for namespace, device, number in ((before, "eth0", 1), (far, "far0", 2)):
            self.ip("-n", namespace, "link", "set", device, "up")
            self.ip("-n", namespace, "addr", "add", f"192.0.2.{number}/24", "dev", device)
            if has_vlan:
                tagged = ["-n", namespace, "link", "add", "link", device, "name", "tagged", "type", "vlan", "id", "7"]
                if "Unknown device type" in self.ip(*tagged, check=False).stderr:
                    self.skipTest("this kernel has no VLANs")
                device = "tagged"
                self.ip("-n", namespace, "link", "set", device, "up")
            self.ip("-n", namespace, "addr", "add", f"2001:db8:7::{number}/64", "dev", device, "nodad")
        self.ip("-n", far, "link", "set", "lo", "up")
        self.ip("-n", far, "addr", "add", "198.51.100.1/32", "dev", "lo")
        self.ip("-n", before, "route", "add", "198.51.100.0/24", "via", "192.0.2.2")

        server = SSHServer(self.work / "sshd", namespace=far)
        self.stack.enter_context(server)
        server.known_hosts.write_text(
            "".join(
                f"[{host}]:{server.port} {(server.directory / 'host.pub').read_text()}"
                for host in ("198.51.100.1", "2001:db8:7::2")
            )
        )
        user = server.target("").split("@")[0]
        targets = [
            f"{user}@198.51.100.1:{server.port}:{self.there}/routed",
            f"{user}@[2001:db8:7::2]:{server.port}:{self.there}/tagged",
        ]
        record = subprocess.run(
            ["ip", "netns", "exec", before, MCORE, "network", *targets], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(record.returncode, 0, record.stderr)
        vlan = [f"vlan 1 parent=0 tag=7 mac={self.MAC} mtu=1400 driver=-"] if has_vlan else []
        self.assertEqual(
            record.stdout.splitlines(),
            ["mcore-network 1", f"device 0 mac={self.MAC} mtu=1400 driver=-", *vlan]
            + ["route 198.51.100.1 address=198.51.100.1 link=0 gateway=192.0.2.2 source=192.0.2.1/24"]
            + [f"route 2001:db8:7::2 address=2001:db8:7::2 link={len(vlan)} gateway=- source=2001:db8:7::1/64"],
        )
        (self.work / "record").write_text(record.stdout)

        # The crash kernel: the same card under another name, down, without addresses.
        self.ip("-n", before, "link", "set", "eth0", "down")
        self.ip("-n", before, "link", "set", "eth0", "name", "enp9s9", "netns", crash)
        # One that is not meant.
        self.ip("-n", crash, "link", "add", "eth0", "type", "veth", "peer", "name", "other")
        for target, name in zip(targets, ("routed", "tagged")):
            result = subprocess.run(
                ["ip", "netns", "exec", crash, BIN / "mcore-capture", f"network={self.work}/record", "wait=20"]
                + [f"ssh-key={server.key}", f"ssh-known-hosts={server.known_hosts}", f"source={self.core}", f"target={target}"],
                capture_output=True,
                text=True,
                timeout=120,
            )
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assert_whole(self.only(self.there / name))
        self.assertIn("mtu 1400", self.ip("-n", crash, "link", "show", "enp9s9").stdout)

    def test_what_can_not_be_rebuilt_is_named(self):
        namespace = self.namespace("before")
        self.ip("-n", namespace, "link", "add", "br0", "type", "bridge")
        self.ip("-n", namespace, "link", "set", "br0", "up")
        self.ip("-n", namespace, "addr", "add", "192.0.2.1/24", "dev", "br0")
        words = ["network", "ssh:192.0.2.2:/x", "ssh:192.0.2.1:/x", "nfs:203.0.113.1:/x", "/var/crash"]
        result = subprocess.run(["ip", "netns", "exec", namespace, MCORE, *words], capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (1, "mcore-network 1\n"))
        for reason in ("kind bridge can't be rebuilt", "this machine itself", "Network is unreachable"):
            self.assertIn(reason, result.stderr)

    def test_a_record_that_is_damaged_costs_no_other_target(self):
        (self.work / "record").write_text("mcore-network 1\nnonsense\n")
        result = subprocess.run(
            [BIN / "mcore-capture", f"network={self.work}/record", f"source={self.core}", f"target={self.local}"],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("line 2 is not understood", result.stderr)
        self.assert_whole(self.only(self.local))


if __name__ == "__main__":
    unittest.main()
