"""Crashes of many kinds of real kernels: a raw copy of the /proc/vmcore of each, made once and kept in the cache."""

import os
import pathlib
import shutil
import tempfile

from . import kernel_module, oops_module, system
from .dumps import SOURCES, once
from .paths import CACHE, GUEST, build_initramfs, fetch_kernel, fingerprint, kernel_release, run
from .qemu import new_log

PROGRAMS = ["lock-chain", "many-tasks"]
PARTS = [*SOURCES, GUEST / "oops_module.py", *(GUEST / f"{name}.c" for name in PROGRAMS)]

# For one kind alone: a change of them makes no other dump anew.
OWN_PROGRAMS = {"busy": ["cpu-hog"]}

# Kind → (words for the kernel, commands on the console, whether an NMI comes then).
KINDS = {
    "oops": ("", "echo 1 >/proc/sys/kernel/panic_on_oops; insmod /bin/oops.ko", False),
    "nmi": ("unknown_nmi_panic", "", True),
    "hung": (
        "",
        "echo 5 >/proc/sys/kernel/hung_task_timeout_secs; echo 1 >/proc/sys/kernel/hung_task_panic; fsfreeze --freeze /disk; "
        "touch /disk/frozen",
        False,
    ),
    "locks": ("", "lock-chain /disk/locked & sleep 6; echo c >/proc/sysrq-trigger", False),
    # The limits of a small machine are below 10,000.
    "many": (
        "",
        "echo 100000 >/proc/sys/kernel/threads-max; echo 100000 >/proc/sys/kernel/pid_max; echo 100000 >/proc/sys/vm/max_map_count; "
        "many-tasks 10000 & sleep 40; echo c >/proc/sysrq-trigger",
        False,
    ),
    # Requests on their way, a network device with addresses, and a CPU whose workqueues get no turn.
    "busy": (
        "",
        "taskset -p 1 $$; ip link set lo up; ip addr add 192.0.2.7/24 dev lo; echo -1 >/proc/sys/kernel/sched_rt_runtime_us; "
        "for i in 1 2 3 4; do while :; do dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; done & done; "
        "cpu-hog & sleep 1; cat /proc/sys/vm/stat_refresh & sleep 14; echo c >/proc/sysrq-trigger",
        False,
    ),
    "oom": ("", "echo 2 >/proc/sys/vm/panic_on_oom; tail /dev/zero", False),
    "null": ("", "echo 1 >/proc/sys/kernel/panic_on_oops; insmod /bin/oops.ko", False),
    "soft-lockup": (
        "",
        "echo 3 >/proc/sys/kernel/watchdog_thresh; echo 1 >/proc/sys/kernel/softlockup_panic; insmod /bin/oops.ko",
        False,
    ),
    "stack": ("", "echo 1 >/proc/sys/kernel/panic_on_oops; insmod /bin/oops.ko", False),
    # Two tasks, each of which has the mutex that the other one wants.
    "deadlock": (
        "",
        "echo 5 >/proc/sys/kernel/hung_task_timeout_secs; echo 1 >/proc/sys/kernel/hung_task_panic; insmod /bin/crashes.ko kind=deadlock",
        False,
    ),
    # A timer in memory that was freed.
    "freed": ("", "insmod /bin/crashes.ko kind=freed", False),
}
# These have guest/crashes_module.c, which is built: on Debian 12's kernel alone.
BUILT = ("deadlock", "freed")
# What the module does in place of dying of ud2: 5 bytes at most, behind which there is a place of a relocation. Its unwind entries
# know of a push that stands there first.
CODES = {
    # push r12; mov rax, [rdx]: rdx is 0 there
    "null": b"\x41\x54\x48\x8b\x02",
    "soft-lockup": oops_module.JUMP_TO_ITSELF,
    # A call of itself, without an end.
    "stack": b"\xe8\xfb\xff\xff\xff",
}


def crash_dump(series: str, kind: str) -> pathlib.Path:
    kernel = fetch_kernel(series)
    own = [GUEST / f"{name}.c" for name in OWN_PROGRAMS.get(kind, [])]
    own += [GUEST / "crashes_module.c"] if kind in BUILT else []
    what = (*KINDS[kind], CODES[kind].hex()) if kind in CODES else KINDS[kind]
    path = CACHE / "dumps" / f"crash-{kind}-{kernel_release(kernel)}-{fingerprint(what, *PARTS, *own)[:8]}.elf"
    with once(path) as temporary:
        if temporary:
            capture(kernel, kind, temporary)
    return path


def throttle(guest, operations: int) -> None:
    """So many reads and writes of the first disk in a second; 0 is no limit."""
    limits = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": operations, "iops_rd": 0, "iops_wr": 0}
    guest.monitor.command("block_set_io_throttle", device="disk0", **limits)


def capture(kernel: pathlib.Path, kind: str, out: pathlib.Path) -> None:
    append, commands, is_nmi = KINDS[kind]
    log = new_log(f"crash-{kind}-{kernel_release(kernel)}")
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        extra = work / "extra"
        system.copy_kexec(extra)
        for name in [*PROGRAMS, *OWN_PROGRAMS.get(kind, [])]:
            run(shutil.which("clang") or shutil.which("cc"), "-static", "-O1", "-o", extra / "bin" / name, GUEST / f"{name}.c")
        oops_module.make(kernel, extra / "bin/oops.ko", CODES.get(kind, oops_module.UD2))
        if kind in BUILT:
            shutil.copy2(kernel_module.build(kernel, "crashes", work / "module"), extra / "bin")
        first = build_initramfs(kernel, GUEST / "guest-init", work / "first.img", "--modules", system.MODULES, "--extra", extra)
        second = build_initramfs(kernel, GUEST / "raw-dump-init", work / "capture.img")
        image = system.make_disk(work / "disk.img", kernel, second)
        run("truncate", "-s", "64G", out)
        with system.start(kernel, [image, out], log, role="shell", reboot=False, initramfs=first, append=append) as guest:
            guest.expect("MCORE-GUEST: shell", 120, or_fail=system.FAILED)
            guest.send(
                'kexec -s -p /disk/boot/vmlinuz --initrd=/disk/boot/capture.img --append="$(cat /disk/boot/crash-cmdline)" && '
                "echo kexec-is-$(cat /sys/kernel/kexec_crash_loaded)\n"
            )
            guest.expect("kexec-is-1", 60)
            if kind == "busy":
                throttle(guest, 1)
            if is_nmi:
                guest.inject_nmi()
            else:
                guest.send(commands + "\n")
            if kind == "busy":
                guest.expect("Trigger a crash", 120)
                throttle(guest, 0)
            size = int(guest.expect(r"MCORE-GUEST: vmcore has (?P<size>\d+) bytes", 240, or_fail="MCORE-GUEST: failed")["size"])
            guest.expect("MCORE-GUEST: copied", 600, or_fail="MCORE-GUEST: failed")
            guest.wait_exit(30)
    os.truncate(out, size)
