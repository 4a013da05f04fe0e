"""A guest whose dump goes to an sshd of this machine, over QEMU's user network."""

import os
import pathlib
import tempfile
import unittest

from guest.paths import fetch_kernel, kernel_release

from .servers import SSHServer
from .test_dumps import BIN

SERIES = os.environ.get("MCORE_TEST_GUESTS", "6.1").split()[0]
CAPTURE = BIN / "mcore-capture"
MAC = "52:54:00:6d:63:72"


class NetworkGuestTests(unittest.TestCase):
    # By what name the guest knows this machine, which is 10.0.2.2 to it.
    known_as = "10.0.2.2"

    @classmethod
    def setUpClass(cls):
        cls.kernel = fetch_kernel(SERIES)
        cls.release = kernel_release(cls.kernel)

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mcore-guest-")
        self.addCleanup(directory.cleanup)
        self.work = pathlib.Path(directory.name)
        self.there = self.work / "there"
        self.there.mkdir()
        self.server = SSHServer(self.work / "sshd")
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        host_key = (self.server.directory / "host.pub").read_text()
        self.server.known_hosts.write_text(f"[{self.known_as}]:{self.server.port} {host_key}")
