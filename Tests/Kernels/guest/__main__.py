"""Command line of the guest harness.

raw-dump and qemu-core print the path of a dump, and make the dump first where it is not there yet; demo is `make demo`.
"""

import argparse
import pathlib
import subprocess
import sys

from . import arm64, demo, dumps
from .paths import REPOSITORY
from .qemu import GuestError


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m guest", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in [
        ("raw-dump", "a copy of the /proc/vmcore of a panic"),
        ("qemu-core", "a core of a running machine, written by QEMU"),
    ]:
        command = commands.add_parser(name, help=help_text)
        command.add_argument("series", help="kernel series: 6.1, 6.12, 7.2, 7.x ...")
        if name == "raw-dump":
            command.add_argument(
                "--arch",
                choices=["arm64"],
                help="not this machine's: a series may end in -16k, or in -max (addresses of 52 bits)",
            )
        command.add_argument("--memory", help="of the guest (default 1G)")
        command.add_argument("--cpu", type=int, help="the CPU that panics (default 0)")
        command.add_argument("--kexec", choices=["file", "classic"], help="how the crash kernel is loaded")
    command = commands.add_parser("demo", help="a kernel crashes, mcore saves it, the machine boots again")
    command.add_argument("--mcore", type=pathlib.Path, required=True, help="the mcore executable")
    command.add_argument("--capture", type=pathlib.Path, required=True, help="the static mcore-capture executable")
    command.add_argument("--series", default="6.1", help="kernel series (default 6.1)")
    command.add_argument("--work", type=pathlib.Path, default=REPOSITORY / ".build/demo", help="made anew")
    return parser.parse_args()


def main() -> int:
    arguments = vars(parse_arguments())
    command = arguments.pop("command")
    try:
        if command == "demo":
            demo.demonstrate(**{n: v.resolve() if isinstance(v, pathlib.Path) else v for n, v in arguments.items()})
        else:
            make = {"raw-dump": dumps.raw_dump, "qemu-core": dumps.qemu_core}[command]
            if arguments.pop("arch", None) == "arm64":
                make = arm64.raw_dump
            print(make(arguments.pop("series"), **{n: v for n, v in arguments.items() if v is not None}))
    except (GuestError, demo.DemoError, OSError, subprocess.SubprocessError) as error:
        print(f"guest: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
