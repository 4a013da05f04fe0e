"""The package as it is built from these sources: what is in it, that its programs run, and that it is the same each time."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from guest import installed
from guest.paths import REPOSITORY, run

from .test_dumps import BIN

IN_IT = """
./etc/default/grub.d/mcore.cfg ./etc/mcore.conf ./usr/bin/mcore ./usr/sbin/mcore-capture ./usr/lib/mcore/crash-base.img
./usr/lib/udev/rules.d/90-mcore.rules ./usr/share/bash-completion/completions/mcore ./usr/share/zsh/vendor-completions/_mcore
./usr/share/fish/vendor_completions.d/mcore.fish ./usr/share/initramfs-tools/scripts/local-bottom/mcore
./usr/lib/dracut/modules.d/90mcore/module-setup.sh ./usr/lib/dracut/modules.d/90mcore/pre-pivot.sh
./usr/lib/dracut/modules.d/90mcore/second-stage.sh
./usr/share/man/man1/mcore.1.gz ./usr/share/man/man5/mcore.conf.5.gz ./usr/share/man/man8/mcore-capture.8.gz
""".split()

# A command as systemd.service(5) reads it: words, of which a quoted one ends with its quote.
WORD = r'(?:"(?:\\.|[^"\\])*"|[^\s"]+)'
COMMAND = re.compile(rf"[-@:+!|]*{WORD}(?:\s+{WORD})*")


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="mcore-package-")
        cls.addClassCleanup(directory.cleanup)
        cls.work = pathlib.Path(directory.name)
        cls.deb = cls.build("first")

    @classmethod
    def build(cls, name: str) -> pathlib.Path:
        (cls.work / name).mkdir()
        return installed.package(BIN, cls.work / name)

    def test_all_of_it_is_there_and_its_programs_run(self):
        names = [line.split()[5] for line in run("dpkg-deb", "--contents", self.deb).splitlines()]
        self.assertEqual([name for name in IN_IT if name not in names], [])
        units = {path.name for path in (REPOSITORY / "units").glob("mcore*")}
        self.assertGreater(len(units), 5)
        self.assertEqual(units, {pathlib.Path(name).name for name in names if "/systemd/system/" in name and name[-1] != "/"})
        tree = self.work / "tree"
        run("dpkg-deb", "--extract", self.deb, tree)
        version = run("dpkg-deb", "--field", self.deb, "Version").strip()
        for program in ("usr/bin/mcore", "usr/sbin/mcore-capture"):
            self.assertIn(version, run(tree / program, "--version"), program)

    def test_the_quotes_of_each_units_commands_are_those_of_systemd(self):
        units = sorted((REPOSITORY / "units").glob("mcore*"))
        commands = [(unit.name, line) for unit in units for line in re.findall(r"^Exec\w+=(.*)$", unit.read_text(), re.MULTILINE)]
        self.assertGreater(len(commands), 5)
        self.assertEqual([command for command in commands if not COMMAND.fullmatch(command[1])], [])

    def test_the_same_sources_give_the_same_bytes(self):
        self.assertEqual(self.deb.read_bytes(), self.build("second").read_bytes())

    @unittest.skipUnless(shutil.which("lintian"), "lintian is not installed")
    def test_lintian_finds_no_error(self):
        found = subprocess.run(["lintian", "--fail-on", "error", self.deb], capture_output=True, text=True, timeout=120)
        self.assertEqual(found.returncode, 0, found.stdout)
