"""From the panic to the login of the normal boot: the soft boot beside the direct way, a crash kernel that writes to the disk and resets.

    cd Tests/Kernels && python3 -m bench.soft_boot [ROUNDS]         rows for docs/measurements/soft-boot-login.md; as root

The same Debian 12 guest (2 GiB, 2 CPUs, scripts/soft-root.sh), its plain disk, level kern, crashkernel=256M, one CPU in the crash kernel;
both ways start from `mcore-arm.service`. In the direct way its crash kernel is replaced, by `kexec -s -p`, by one with the modules for the disk.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time

from guest import debian, disk, system
from guest.paths import CACHE, REPOSITORY, build_initramfs, fetch_kernel, run
from guest.qemu import PANIC

BIN = pathlib.Path(os.environ.get("MCORE_BIN", REPOSITORY / ".build/release"))
SERIES = "6.1"
ROUNDS = 3
SAVED = r"dump saved: .*complete\n"
# What is on the console, in this order; each stage ends there.
STAGES = {
    "soft boot": [
        ("crash kernel up", r"mcore: mcore .*PID 1.*\n"),
        ("dump in memory", SAVED),
        ("hand-off", "handing off: kexec"),
        ("kernel", r"Linux version .*\n"),
        ("initramfs", r"Loading, please wait.*\n"),
        ("login", debian.PROMPT),
    ],
    "direct": [
        ("crash kernel up", r"mcore: mcore .*PID 1.*\n"),
        ("dump on disk", SAVED),
        ("hand-off", "handing off: reboot"),
        ("kernel", r"Linux version .*\n"),
        ("initramfs", r"Loading, please wait.*\n"),
        ("login", debian.PROMPT),
    ],
}


def load_direct(session, cmdline: str) -> None:
    session.check("mcore disarm")
    session.check(f"/opt/bin/kexec -s -p /boot/vmlinuz-* --initrd=/opt/direct.img --append='{cmdline}'")


def once(way: str, root, pristine: pathlib.Path, work: pathlib.Path) -> dict:
    image = work / "disk.img"
    run("cp", "--sparse=always", pristine, image)
    log = CACHE / "logs" / f"bench-soft-boot-{way.replace(' ', '-')}.log"
    with debian.Debian(root, image, log, encrypted=False, memory="2G") as session:
        session.wait_for_login()
        session.log_in()
        session.check("systemctl is-system-running --wait", 240)
        if way == "soft boot":
            session.check("mcore arm --target memory:")
        else:
            load_direct(session, system.CRASH_CMDLINE + " mcore.target=/dev/vda:/var/crash")
        session.crash()
        start = time.monotonic()
        times = {}
        for stage, pattern in STAGES[way]:
            session.guest.expect(pattern, 300, or_fail=PANIC)
            times[stage] = time.monotonic() - start
        session.log_in()
        state = session.run("systemctl is-system-running --wait", 240)[1].strip()
        times["all units"] = time.monotonic() - start
        name = session.check("ls /var/crash").strip()
        size = session.check(f"du -sk /var/crash/{name}").split()[0]
        print(
            f"{way}: " + ", ".join(f"{stage} {at:.1f}" for stage, at in times.items()) + f" s; {state}; dump {size} KiB",
            flush=True,
        )
        session.power_off()
    disk.check(image)
    return times


def compare(rounds: int) -> None:
    kernel = fetch_kernel(SERIES)
    root = debian.root_of(kernel)
    with tempfile.TemporaryDirectory(prefix="mcore-soft-boot-", dir=CACHE) as directory:
        work = pathlib.Path(directory)
        direct = build_initramfs(kernel, BIN / "mcore-capture", work / "direct.img")
        system.copy_kexec(work / "kexec")
        files = {"/opt/bin/kexec": pathlib.Path(shutil.which("kexec")), "/opt/direct.img": direct}
        # Its libraries, where the root has none of that name.
        for library in (work / "kexec").rglob("*.so*"):
            name = "/" + str(library.relative_to(work / "kexec"))
            if not (root / name.lstrip("/")).exists():
                files[name] = library
        pristine = debian.make_disk(work / "pristine.img", root, BIN, encrypted=False, files=files)
        shutil.copy2(pristine.with_suffix(".initrd"), work / "disk.initrd")
        for _ in range(rounds):
            for way in STAGES:
                once(way, root, pristine, work)


if __name__ == "__main__":
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
