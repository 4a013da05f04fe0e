"""mcore-drgn: drgn's own prompt, or a script, on a dump of mcore."""

import argparse
import runpy
import sys

import drgn
import drgn.cli

from .content import Damaged
from .program import open_dump


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="mcore-drgn", description="Open a dump of mcore (elf.gz, elf.zst, elf) in drgn, as it is."
    )
    parser.add_argument(
        "-s", "--symbols", action="append", default=[], metavar="FILE", help="a vmlinux or module with debugging symbols"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no word about symbols that are missing")
    parser.add_argument("dump")
    parser.add_argument("script", nargs="?", help="run it in place of a prompt; it finds `prog`")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    try:
        prog = open_dump(options.dump)
    except (Damaged, OSError) as error:
        print(f"mcore-drgn: error: {error}", file=sys.stderr)
        return 1
    try:
        if options.symbols:
            prog.load_debug_info(options.symbols)
        else:
            prog.load_default_debug_info()
    except drgn.MissingDebugInfoError as error:
        if not options.quiet:
            print(f"mcore-drgn: {error}", file=sys.stderr)
    if options.script is None:
        drgn.cli.run_interactive(prog)
        return 0
    drgn.set_default_prog(prog)
    sys.argv = [options.script, *options.arguments]
    runpy.run_path(options.script, init_globals={"drgn": drgn, "prog": prog}, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
