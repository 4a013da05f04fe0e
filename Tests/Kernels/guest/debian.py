"""A guest that is a real Debian 12 system: systemd, a login on the serial console, and, if wanted, a disk that is LUKS as a whole.

The root is that of scripts/soft-root.sh; `scripts/install.sh` puts mcore into a copy of it for each test. Needs root: the files
of a root keep their owners.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

from . import disk
from .paths import CACHE, REPOSITORY, kernel_release, run
from .qemu import PANIC, Guest

PASSPHRASE = "open sesame"
PASSWORD = "mcore"  # root's, in the root
HOST = "mcore-guest"
# A passphrase that a laptop checks in two seconds takes a minute here: there is no hardware virtualisation.
LUKS = "iter-time=100"
# Messages of systemd beside those of the kernel: a log says what waited for what.
CMDLINE = "root={root} ro console=ttyS0 panic=5 loglevel=6 systemd.show_status=true crashkernel={crashkernel}"
CRYPTTAB = "root /dev/vda none luks,initramfs\n"
PROMPT = rf"{HOST} login: "
UNLOCK = "Please unlock disk root: "
# Longest seen: 125 s, on a busy machine.
BOOT_SECONDS = 240


def root_of(kernel: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(run(REPOSITORY / "scripts/soft-root.sh", kernel_release(kernel), timeout=1800).strip())


def initramfs_of(root: pathlib.Path) -> pathlib.Path:
    (initrd,) = (root / "boot").glob("initrd.img-*")
    return initrd


def root_device(encrypted: bool) -> str:
    return "/dev/mapper/root" if encrypted else "/dev/vda"


def open_at_boot(root: pathlib.Path, work: pathlib.Path) -> None:
    """What a system whose disk is encrypted has beside cryptsetup."""
    (root / "etc/crypttab").write_text(CRYPTTAB)
    add_crypttab(initramfs_of(root), work)


def add_crypttab(initrd: pathlib.Path, work: pathlib.Path) -> None:
    """What cryptsetup's hook writes into an initramfs on the machine itself, where it sees the disk. An initramfs may be several archives,
    one behind the other, with zeros between them."""
    (work / "cryptroot").mkdir()
    (work / "cryptroot/crypttab").write_text(CRYPTTAB)
    archive = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
        input=b"cryptroot\ncryptroot/crypttab\n",
        cwd=work,
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    with open(initrd, "ab") as file:
        file.write(bytes(-file.tell() % 4) + archive)


def update_initramfs(root: pathlib.Path) -> None:
    """Makes the root's initramfs anew, by its own tools; what is mounted for that ends with the command."""
    script = (
        'mount -t proc proc "$1/proc"; mount -t sysfs sysfs "$1/sys"; mount --bind /dev "$1/dev"; chroot "$1" update-initramfs -u'
    )
    run("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", root, timeout=300)


def make_disk(image, root, programs, *, encrypted: bool, size="1536M", files=None, in_initramfs=False) -> pathlib.Path:
    """The guest's disk: the root, with what `make install` puts there of the `programs` in that directory, and its units enabled.
    `files`: more of them, name on the disk -> file. The initramfs that lies on it lies beside the image too, as .initrd; made anew after the
    installation, `in_initramfs`, it has the second stage."""
    image = pathlib.Path(image)
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        tree = pathlib.Path(directory) / "root"
        run("cp", "-a", "--reflink=auto", root, tree)
        run(REPOSITORY / "scripts/install.sh", programs, env={**os.environ, "DESTDIR": str(tree)})
        run(
            "chroot",
            tree,
            "systemctl",
            "--quiet",
            "enable",
            "mcore-memory.service",
            "mcore-arm.service",
            "mcore-shutdown.service",
        )
        if in_initramfs:
            update_initramfs(tree)
        if encrypted:
            open_at_boot(tree, pathlib.Path(directory))
        shutil.copy2(initramfs_of(tree), image.with_suffix(".initrd"))
        (tree / "etc/fstab").write_text(f"{root_device(encrypted)} / ext4 defaults 0 1\n")
        for name, file in (files or {}).items():
            target = tree / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        plain = image.with_suffix(".plain") if encrypted else image
        disk.make_ext4(plain, size, tree)
    if encrypted:
        encrypt(plain, image)
    return image


def encrypt(plain: pathlib.Path, image: pathlib.Path) -> None:
    """Makes `image` of a disk, LUKS as a whole, and takes `plain` away."""
    with secret() as words:
        command = ["qemu-img", "convert", *words, "-f", "raw", "-O", "luks", "-o", f"key-secret=luks,{LUKS}", plain, image]
        for attempt in range(10):
            try:
                run(*command, stderr=subprocess.PIPE)
                break
            except subprocess.CalledProcessError as error:
                # It measures how long a key takes, and gives up where the kernel tells CPU time in too large steps.
                if attempt == 9 or "accurate CPU usage" not in str(error.stderr):
                    raise
    plain.unlink()


def decrypt(image, plain) -> pathlib.Path:
    """What is in an encrypted disk, by QEMU's own reading of LUKS."""
    with secret() as words:
        run(
            "qemu-img",
            "convert",
            *words,
            "--image-opts",
            "-O",
            "raw",
            f"driver=luks,key-secret=luks,file.filename={image}",
            plain,
        )
    return pathlib.Path(plain)


class secret:
    """The words that tell qemu-img the passphrase."""

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile("w")
        self.file.write(PASSPHRASE)
        self.file.flush()
        return ["--object", f"secret,id=luks,file={self.file.name}"]

    def __exit__(self, *_):
        self.file.close()


class Debian:
    """A session with such a guest: boot, log in, commands."""

    def __init__(self, root: pathlib.Path, image, log, *, encrypted: bool, crashkernel="256M", append="", **options):
        (kernel,) = (root / "boot").glob("vmlinuz-*")
        self.encrypted = encrypted
        words = CMDLINE.format(root=root_device(encrypted), crashkernel=crashkernel)
        self.guest = Guest(
            kernel=kernel,
            initramfs=pathlib.Path(image).with_suffix(".initrd"),
            append=f"{words} {append}".strip(),
            disks=[image],
            log=log,
            **options,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.guest.kill()

    def unlock(self) -> None:
        """From the kernel's first message to where the root can be mounted: the passphrase is typed."""
        self.guest.expect(r"Linux version .*\n", 60)
        if self.encrypted:
            self.guest.expect(UNLOCK, BOOT_SECONDS)
            self.guest.send(PASSPHRASE + "\n")
            # Asked again: it was wrong.
            self.guest.expect(r"cryptsetup: root: set up successfully", BOOT_SECONDS, or_fail=f"{UNLOCK}|{PANIC}")

    def wait_for_login(self) -> None:
        self.guest.expect(PROMPT, BOOT_SECONDS, or_fail=f"{UNLOCK}|{PANIC}")

    def log_in(self) -> None:
        self.guest.send("root\n")
        self.guest.expect("Password: ", 60)
        self.guest.send(PASSWORD + "\n")
        self.guest.expect(rf"root@{HOST}:~# ", 120)
        # No messages between the answers, and no lines that are broken where the terminal ends.
        self.guest.send(
            "dmesg -n 1; stty -echo cols 500; export SYSTEMD_COLORS=0 SYSTEMD_PAGER= SYSTEMD_URLIFY=0 LC_ALL=C; PS1=\n"
        )
        self.run("true", 60)

    def run(self, command: str, seconds: float = 120) -> tuple:
        """Exit status and output of a command."""
        self.guest.send(f"echo MCORE-BEGIN; {{ {command}; }} 2>&1; echo MCORE-END $?\n")
        match = self.guest.expect(r"MCORE-BEGIN\n(?P<output>(?s:.*?))MCORE-END (?P<status>\d+)\n", seconds)
        return int(match["status"]), match["output"]

    def check(self, command: str, seconds: float = 120) -> str:
        """Output of a command that has to succeed."""
        status, output = self.run(command, seconds)
        if status != 0:
            raise AssertionError(f"'{command}' in the guest ended with status {status}:\n{output}")
        return output

    def crash(self, cpu=0) -> None:
        self.check("sync")
        self.guest.send(f"taskset -c {cpu} sh -c 'echo c >/proc/sysrq-trigger'\n")
        self.guest.expect("Kernel panic - not syncing: sysrq triggered crash", 60, or_fail=PANIC)

    def power_off(self) -> None:
        self.guest.send("systemctl poweroff\n")
        self.guest.wait_exit(180)
