#!/usr/bin/env python3
"""Checks the Markdown files of the repository. scripts/lint.sh calls it.

- No line of prose is longer than 140 characters. Tables and code may be.
- No sentence has a date: what was measured on a day stands in docs/measurements. CHANGELOG.md may have dates.
- Every relative link leads to a file that is there and, behind a `#`, to a heading in it.

    scripts/check-papers.py [DIRECTORY]         default: the repository
"""

import pathlib
import re
import subprocess
import sys

LONGEST = 140
MONTH = "(January|February|March|April|May|June|July|August|September|October|November|December)"
DATE = re.compile(rf"\b\d{{4}}-\d\d-\d\d|\b\d{{1,2}} {MONTH} \d{{4}}|\b{MONTH} \d{{1,2}}, \d{{4}}")
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)")
FENCE = re.compile(r" {0,3}(```|~~~)")


def lines(text: str):
    """(number, line, kind) of each line; kind is `prose`, `table`, `heading` or `code`."""
    fence, item, before = "", False, True
    for number, line in enumerate(text.splitlines(), 1):
        opening = FENCE.match(line)
        if fence or opening:
            if opening and not fence:
                fence = opening[1]
            elif opening and opening[1] == fence:
                fence = ""
            yield number, line, "code"
        elif re.match(r" {4}|\t", line) and before and not item:
            # Indented code comes after an empty line or more code; in a list it is a further paragraph.
            yield number, line, "code"
        elif line.lstrip().startswith("|"):
            yield number, line, "table"
        else:
            if re.match(r"\s*([-*+]|\d+[.)])\s", line):
                item = True
            elif re.match(r"\S", line):
                item = item and not before
            before = not line.strip()
            yield number, line, "heading" if re.match(r"#{1,6} ", line) else "prose"


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower()).replace(" ", "-")


def anchors(file: pathlib.Path) -> set:
    return {slug(line) for _, line, kind in lines(file.read_text()) if kind == "heading"}


def complaints(root: pathlib.Path, file: pathlib.Path) -> list:
    found = []
    name = file.relative_to(root)
    measured = name.parts[:2] == ("docs", "measurements")
    for number, line, kind in lines(file.read_text()):
        place = f"{name}:{number}"
        if kind == "code":
            continue
        if kind == "prose" and not measured and len(line) > LONGEST:
            found.append(f"{place}: a line of {len(line)} characters; {LONGEST} is the most")
        if not measured and name.name != "CHANGELOG.md" and DATE.search(line):
            found.append(f"{place}: a date: {line.strip()[:80]}; what was measured belongs into docs/measurements")
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = target.partition("#")
            aim = (file.parent / path) if path else file
            if not aim.exists():
                found.append(f"{place}: the link {target} leads nowhere")
            elif anchor and aim.suffix == ".md" and anchor not in anchors(aim):
                found.append(f"{place}: the link {target} leads to no heading of that file")
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    # What git knows and what is new; not what it ignores.
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        capture_output=True,
        text=True,
        check=True,
    )
    files = [root / name for name in listed.stdout.split("\0") if name and (root / name).exists()]
    if not files:
        print(f"{root}: no Markdown file", file=sys.stderr)
        return 1
    found = [complaint for file in sorted(files) for complaint in complaints(root, file)]
    for complaint in found:
        print(complaint, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
