"""One QEMU guest: its serial console, its monitor, its disks, and its certain end."""

import atexit
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

from .paths import CACHE

PR_SET_PDEATHSIG = 1
# A panic that no test asked for. Only whole lines count: half of a line may have arrived.
PANIC = r"Kernel panic - not syncing: (?!sysrq).*\n"
LIBC = ctypes.CDLL(None, use_errno=True)


class GuestError(Exception):
    """The guest did not do what was expected of it. The message ends with the last lines of its console."""


def die_with_parent() -> None:
    """Runs in the child before exec: a harness that is killed must not leave a machine running.

    The kernel means the thread that started the child: start guests from a thread that lives as long as they do."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Console:
    """The serial console: everything read goes to the log file, and into `text` for matching."""

    def __init__(self, reader, writer, log: pathlib.Path):
        self.text = ""
        self.closed = False
        self.matched_to = 0
        self.changed = threading.Condition()
        self.writer = writer
        self.thread = threading.Thread(target=self._read, args=(reader, open(log, "wb")), daemon=True)
        self.thread.start()

    def _read(self, reader, log) -> None:
        with log:
            while data := os.read(reader.fileno(), 65536):
                log.write(data)
                log.flush()
                with self.changed:
                    self.text += data.decode(errors="replace").replace("\r", "")
                    self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def find(self, pattern: str, deadline: float):
        """The next match after the last one found, or None when time or console end first."""
        expression = re.compile(pattern)
        with self.changed:
            while True:
                if match := expression.search(self.text, self.matched_to):
                    self.matched_to = match.end()
                    return match
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    return None
                self.changed.wait(left)

    def last_lines(self, count: int = 15) -> str:
        return "\n".join(f"    | {line}" for line in self.text.splitlines()[-count:])


class Monitor:
    """QMP: one JSON object per line in each direction, events in between."""

    def __init__(self, sock):
        self.stream = sock.makefile("rw")  # closed with the socket
        self.stream.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, /, **arguments):
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.stream.flush()
        while line := self.stream.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise GuestError(f"QEMU refused {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise GuestError(f"QEMU ended during {name}")

    def wait_event(self, name: str, is_wanted) -> dict:
        """The data of the first event of that name, from now on, of which `is_wanted(data)` is true."""
        while line := self.stream.readline():
            answer = json.loads(line)
            if answer.get("event") == name and is_wanted(answer["data"]):
                return answer["data"]
        raise GuestError(f"QEMU ended while {name} was awaited")


class Machine:
    """Which machine QEMU is: the program, and what chooses processor and board."""

    def __init__(self, program: str, words: list):
        self.program, self.words = program, words


X86_64 = Machine("qemu-system-x86_64", ["-cpu", "max", "-M", "q35"])


class Guest:
    """A running guest. Use it in a `with` statement: whatever happens inside, the machine is gone afterwards.

    TCG only, and single-threaded: with several threads, kernels from 6.12 on now and then die in early boot.
    """

    def __init__(self, *, kernel, initramfs, append, log, disks=(), memory="1G", cpus=2, reboot=True, devices=(), machine=X86_64):
        """`disks` are raw images (vda, vdb, ...); `devices` are further arguments of QEMU;
        with `reboot=False` a reset ends the guest."""
        self.log = pathlib.Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.started = time.monotonic()
        mine, theirs = socket.socketpair()
        self.command = [
            machine.program,
            "-accel",
            "tcg,thread=single",
            *machine.words,
            "-smp",
            str(cpus),
            "-m",
            memory,
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-chardev",
            f"socket,id=qmp,fd={theirs.fileno()}",
            "-mon",
            "chardev=qmp,mode=control",
            "-kernel",
            str(kernel),
            "-initrd",
            str(initramfs),
            "-append",
            append,
        ]
        for number, disk in enumerate(disks):
            # Zeros that the guest writes become holes: an image costs only what is in it. The host's page cache
            # is as lasting as these images have to be, so a flush of the guest need not reach the host's disk.
            image = f"file={disk},format=raw,if=none,cache=unsafe,detect-zeroes=unmap,discard=unmap"
            self.command += ["-drive", f"{image},id=disk{number}", "-device", f"virtio-blk-pci,drive=disk{number}"]
        self.command += [] if reboot else ["-no-reboot"]
        self.command += [str(word) for word in devices]
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            preexec_fn=die_with_parent,
            start_new_session=True,
        )
        atexit.register(self.kill)
        theirs.close()
        self.console = Console(self.process.stdout, self.process.stdin, self.log)
        mine.settimeout(300)
        self.monitor_socket = mine
        try:
            self.monitor = Monitor(mine)
        except (OSError, ValueError, GuestError) as error:
            self.kill()
            raise self.failure(f"QEMU did not start ({error})") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def failure(self, what: str) -> GuestError:
        return GuestError(f"{what}\n  console log: {self.log}\n{self.console.last_lines()}")

    def expect(self, pattern: str, timeout: float, or_fail: str = PANIC):
        """Waits until the console shows the pattern and returns the match. Each call goes on behind the last match.
        Groups in the pattern have to be named. `or_fail` is what may not come first; by default a panic that nobody
        asked for."""
        match = self.console.find(f"(?P<wanted>{pattern})|{or_fail}", time.monotonic() + timeout)
        if match is None:
            ended = "the guest ended" if self.console.closed else f"{timeout:.0f} s passed"
            raise self.failure(f"{ended} without /{pattern}/ on the console")
        if match["wanted"] is None:
            raise self.failure(f"the guest said '{match[0]}' while /{pattern}/ was awaited")
        return match

    def send(self, text: str) -> None:
        """Types on the console."""
        self.console.writer.write(text.encode())
        self.console.writer.flush()

    def inject_nmi(self) -> None:
        self.monitor.command("inject-nmi")

    def inflate_balloon(self, size: int) -> None:
        """Takes `size` bytes of memory away from the guest (with virtio-balloon-pci), and waits until they are gone."""
        left = self.monitor.command("query-balloon")["actual"] - size
        self.monitor.command("balloon", value=left)
        self.monitor.wait_event("BALLOON_CHANGE", lambda data: data["actual"] <= left)

    def dump_memory(self, path) -> None:
        """Writes an ELF core of the running guest. With `-device vmcoreinfo` in devices it holds VMCOREINFO too,
        once the guest has loaded qemu_fw_cfg."""
        self.monitor.command("dump-guest-memory", paging=False, protocol=f"file:{path}")

    def wait_exit(self, timeout: float) -> None:
        """Waits until the guest has powered itself off."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the guest was still running after {timeout:.0f} s") from None
        if self.process.returncode != 0:
            raise self.failure(f"QEMU ended with status {self.process.returncode}")

    def kill(self) -> None:
        atexit.unregister(self.kill)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        # The reader ends with the pipe; only then may the pipe be closed under it.
        self.console.thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.monitor_socket):
            stream.close()


def new_log(name: str) -> pathlib.Path:
    """A fresh file for a console log. The newest hundred are kept."""
    directory = CACHE / "logs"
    directory.mkdir(parents=True, exist_ok=True)
    for old in sorted(directory.glob("*.log"))[:-99]:
        old.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return directory / f"{stamp}-{os.getpid()}-{name}.log"
