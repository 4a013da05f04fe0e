"""What goes out over loopback: `mcore save` to ssh: and https: beside scp and curl of the finished file.

    cd Tests/Kernels && python3 -m bench.network            rows for docs/measurements/network-targets.md

The dump's memory is noise, which does not compress: what is sent is as large as what is read. mcore's time has reading and
compressing in it. Each round runs all of them in turn.
"""

import getpass
import os
import pathlib
import shutil
import statistics
import struct
import sys
import tempfile

from real.servers import SSHServer, WebServer

from .commands import MCORE, timed

ROUNDS = 5
MEBIBYTES = 1024


def write_noise(path: pathlib.Path) -> None:
    """An ELF core with one segment, whose content no codec makes smaller."""
    size, offset = MEBIBYTES << 20, 4096
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head += struct.pack("<IIQQQQQQ", 1, 7, offset, 0xFFFF888000000000, 0, size, size, 4096)
    with open(path, "wb") as file:
        file.write(head.ljust(offset, b"\0"))
        for _ in range(MEBIBYTES):
            file.write(os.urandom(1 << 20))


class Comparison:
    def __init__(self, work: pathlib.Path, sshd: SSHServer, nginx: WebServer):
        self.work, self.sshd, self.nginx = work, sshd, nginx
        self.noise, self.finished, self.far = work / "noise", work / "finished.elf.gz", work / "far"
        self.far.mkdir()
        write_noise(self.noise)
        self.save(self.finished)

    def save(self, target, *options) -> float:
        return timed(MCORE, "save", "-q", "--level", "all", *options, self.noise, target, expected=3)  # there is no kernel in it

    def scp(self) -> float:
        words = ["-q", "-O", "-i", self.sshd.key, "-o", f"UserKnownHostsFile={self.sshd.known_hosts}", "-P", str(self.sshd.port)]
        return timed("scp", *words, self.finished, f"{getpass.getuser()}@127.0.0.1:{self.far}/file")

    def curl(self) -> float:
        return timed("curl", "-sSf", "--cacert", self.nginx.certificate, "-T", self.finished, self.nginx.target("dav") + "file")

    def round(self) -> dict:
        ways = {
            "mcore save ssh:": lambda: self.save(self.sshd.target(self.far), *self.sshd.options()),
            "scp": self.scp,
            "mcore save https:": lambda: self.save(self.nginx.target("dav"), "--curl-config", self.nginx.config),
            "curl -T": self.curl,
        }
        times = {}
        for name, way in ways.items():
            times[name] = way()
            for place in (self.far, self.nginx.root / "dav"):
                for entry in place.iterdir():
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return times


def compare(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="mcore-network-", dir="/dev/shm") as directory:
        work = pathlib.Path(directory)
        with SSHServer(work / "sshd") as sshd, WebServer(work / "nginx") as nginx:
            comparison = Comparison(work, sshd, nginx)
            megabytes = comparison.finished.stat().st_size / 1e6
            rows = [comparison.round() for _ in range(rounds)]
    for name in rows[0]:
        speeds = sorted(megabytes / row[name] for row in rows)
        print(f"{name}: {statistics.median(speeds):.0f} MB/s ({speeds[0]:.0f} to {speeds[-1]:.0f})")
    for ours, theirs in (("mcore save ssh:", "scp"), ("mcore save https:", "curl -T")):
        print(f"{ours} / {theirs}: {statistics.median(row[theirs] / row[ours] for row in rows):.2f} of its speed")


if __name__ == "__main__":
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
