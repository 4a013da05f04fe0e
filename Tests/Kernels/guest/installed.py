"""A guest that is a real Debian 12 system into which the package is installed, as an administrator does it.

The root is that of scripts/installed-root.sh. Needs root: the files of a root keep their owners.
"""

import fnmatch
import pathlib
import re
import shutil
import tempfile

from . import debian, disk
from .paths import CACHE, REPOSITORY, kernel_release, run
from .qemu import Guest

ERROR = r"error: .*\n|no targets? .*\n"
CMDLINE = "root={root} ro console=ttyS0 panic=5 loglevel=6 systemd.show_status=true"


def root_of(kernel: pathlib.Path, *options: str) -> pathlib.Path:
    """`options` are the script's."""
    return pathlib.Path(run(REPOSITORY / "scripts/installed-root.sh", *options, kernel_release(kernel), timeout=1800).strip())


def network_root_of(kernel: pathlib.Path) -> pathlib.Path:
    """A root with both ends of ssh, NFS and https."""
    return pathlib.Path(run(REPOSITORY / "scripts/network-root.sh", kernel_release(kernel), timeout=1800).strip())


def newer_kernel() -> pathlib.Path:
    """The package of a kernel of Debian 13."""
    return pathlib.Path(run(REPOSITORY / "scripts/kernel-deb.sh", timeout=600).strip())


def package(programs: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(run(REPOSITORY / "scripts/deb.sh", programs, work, timeout=300).strip())


# What dpkg does in a root that does not run: its triggers make the initramfs anew.
INSTALL = (
    'mount -t proc proc "$1/proc"; mount -t sysfs sysfs "$1/sys"; mount --bind /dev "$1/dev"; chroot "$1" dpkg -i "/root/$2"'
)


def make_disk(image, root, deb: pathlib.Path, *, size="2G", fstab="", installed=False, encrypted=False, files=()) -> pathlib.Path:
    """The guest's disk, with the package and `files` in /root, or `installed`. The initramfs that lies on it lies beside the image too, as .initrd.
    `encrypted`: LUKS as a whole; the root has to be one of `debian.root_of`."""
    image = pathlib.Path(image)
    plain = image.with_suffix(".plain") if encrypted else image
    with tempfile.TemporaryDirectory(dir=CACHE) as directory:
        tree = pathlib.Path(directory) / "root"
        run("cp", "-a", "--reflink=auto", root, tree)
        shutil.copy2(deb, tree / "root" / deb.name)
        for file in files:
            shutil.copy2(file, tree / "root")
        (tree / "etc/fstab").write_text(f"{debian.root_device(encrypted)} / ext4 defaults 0 1\n" + fstab)
        (tree / "boot/grub").mkdir(exist_ok=True)
        if installed:
            run("unshare", "--mount", "--propagation", "private", "sh", "-ec", INSTALL, "sh", tree, deb.name, timeout=420)
        if encrypted:
            debian.open_at_boot(tree, pathlib.Path(directory))
        shutil.copy2(debian.initramfs_of(tree), image.with_suffix(".initrd"))
        disk.make_ext4(plain, size, tree)
    if encrypted:
        debian.encrypt(plain, image)
    return image


class Installed(debian.Debian):
    """A session with such a guest. Each start of one is a boot by a boot loader that takes the kernel and the initramfs from its disk, and
    `append` for what else is on the command line."""

    def __init__(self, root: pathlib.Path, disks, log, *, append="", encrypted=False, kernel=None, **options):
        self.encrypted = encrypted
        self.guest = Guest(
            kernel=kernel or next((root / "boot").glob("vmlinuz-*")),
            initramfs=pathlib.Path(disks[0]).with_suffix(".initrd"),
            append=f"{CMDLINE.format(root=debian.root_device(encrypted))} {append}".strip(),
            disks=disks,
            log=log,
            **options,
        )

    def boot(self) -> None:
        """To a shell on a system whose boot is over."""
        self.unlock()
        self.finish_boot()

    def finish_boot(self) -> None:
        """From somewhere behind the kernel's first message."""
        self.wait_for_login()
        self.log_in()
        self.run("systemctl is-system-running --wait", 300)

    def come_back(self, expected: str) -> None:
        """From a crash to a shell on the system that follows it. `expected` is what the crash kernel says of the target."""
        self.guest.expect(rf"dump saved: {expected}\S*, .*, complete\n", 400, or_fail=ERROR)
        self.guest.expect("handing off: reboot", 60, or_fail=ERROR)
        self.boot()

    def failed_units(self) -> list:
        return [line.split()[0] for line in self.check("systemctl list-units --failed --plain --no-legend").splitlines()]

    def crashkernel(self) -> str:
        """What grub would put on the command line."""
        line = self.check("grep -m1 '^[[:space:]]*linux' /boot/grub/grub.cfg")
        return re.search(r"crashkernel=\S+", line)[0]


def take_initramfs(image, release="*") -> None:
    """What the boot loader would find: the initramfs of that kernel that lies on the disk now."""
    take_from_boot(image, f"initrd.img-{release}", pathlib.Path(image).with_suffix(".initrd"))


def take_kernel(image, release: str, target: pathlib.Path) -> pathlib.Path:
    return take_from_boot(image, f"vmlinuz-{release}", target)


def take_from_boot(image, pattern: str, target: pathlib.Path) -> pathlib.Path:
    (name,) = [name for name in disk.list_directory(image, "/boot") if fnmatch.fnmatch(name, pattern)]
    target.unlink(missing_ok=True)
    disk.extract_file(image, f"/boot/{name}", target)
    return target
