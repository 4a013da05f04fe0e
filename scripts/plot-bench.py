#!/usr/bin/env python3
"""Draws the plots of docs/measurements from the JSON files there, as SVG.

    scripts/plot-bench.py            writes the plots
    scripts/plot-bench.py --check    fails where a plot is not what its JSON gives

A file is either of the bench (`python3 -m bench --json FILE` in Tests/Kernels; it has "rows") or of the stages of a way
(it has "ways"). Of several files of the bench the newest is drawn.
"""

import argparse
import json
import pathlib
import re
import sys
from xml.sax.saxutils import escape

MEASUREMENTS = pathlib.Path(__file__).resolve().parent.parent / "docs/measurements"
WIDTH = 760
INK, PALE, GRID = "#1f2328", "#59636e", "#d1d9e0"
COLOURS = {"makedumpfile": "#8c959f", "mcore elf.gz": "#0969da", "mcore elf.zst": "#1a7f37"}
STAGES = ["#0969da", "#54aeff", "#1a7f37", "#4ac26b", "#9a6700", "#d4a72c", "#8250df"]


class Drawing:
    """SVG elements, from top to bottom."""

    def __init__(self, title: str, below: str):
        self.elements = []
        self.text(16, 28, title, size=17, weight="bold")
        self.text(16, 48, below, colour=PALE)
        self.y = 64

    def text(
        self, x: float, y: float, text: str, size: int = 12, colour: str = INK, anchor: str = "start", weight: str = "normal"
    ):
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def box(self, x: float, y: float, width: float, height: float, colour: str):
        self.elements.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}" fill="{colour}"/>')

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y + 12:.0f}" '
            f'viewBox="0 0 {WIDTH} {self.y + 12:.0f}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        )
        return head + "\n".join(self.elements) + "\n</svg>\n"


def bars(title: str, below: str, rows: list) -> str:
    """A bar for each row: (name, value or None, what stands behind the bar, colour)."""
    drawing = Drawing(title, below)
    left, right = 200, WIDTH - 190
    largest = max(value for _, value, _, _ in rows if value is not None)
    for name, value, said, colour in rows:
        drawing.text(left - 8, drawing.y + 15, name, anchor="end")
        end = left
        if value is not None:
            drawing.box(left, drawing.y + 2, value / largest * (right - left), 18, colour)
            end += value / largest * (right - left)
        drawing.text(end + 6, drawing.y + 15, said, colour=INK if value is not None else PALE)
        drawing.y += 24
    return drawing.svg()


def bench_plots(found: dict) -> dict:
    """The plots of one run of the bench, by file name."""
    plots = {}
    below = f"{found['day']}; shorter is better; against the best run of makedumpfile -c (elf.zst: -z)"
    for number, level in [("0", "all"), ("31", "kern")]:
        rows = [row for row in found["rows"] if row["d"] == number]
        content = "the whole memory" if number == "0" else "the kernel's memory"
        walls, sizes = [], {}
        for row in rows:
            threads = "1 thread" if row["threads"] == 1 else f"{row['threads']} threads"
            colour = COLOURS.get(row["what"], COLOURS["makedumpfile"])
            name = f"{row['what']}, {threads}"
            if not row["runs"]:
                walls.append((name, None, row["failure"][:60], colour))
                continue
            compared = f"{row['times_faster']:.1f} times as fast" if row["times_faster"] is not None else ""
            walls.append((name, row["wall_s"], f"{row['wall_s']:.2f} s, {compared}".rstrip(", "), colour))
            # The bytes do not depend on the number of threads: one bar for each way.
            share = f"{row['size']:.1%}" if row["size"] is not None else ""
            sizes[row["what"]] = (row["what"], row["bytes"], f"{row['bytes'] / 1e6:,.1f} MB, {share}".rstrip(", "), colour)
        plots[f"bench-{level}-wall.svg"] = bars(f"Seconds for {content} (-d {number}, level {level})", below, walls)
        plots[f"bench-{level}-size.svg"] = bars(f"Size for {content} (-d {number}, level {level})", below, list(sizes.values()))
    return plots


def stage_plot(found: dict) -> str:
    """A bar for each way, cut into its stages, with the stages and the seconds of their ends below it."""
    drawing = Drawing(found["title"], f"{found['day']}; {found['unit']}")
    left, right = 16, WIDTH - 80
    largest = max(stages[-1][1] for stages in found["ways"].values())
    for way, stages in found["ways"].items():
        drawing.text(left, drawing.y + 16, way, size=14, weight="bold")
        drawing.y += 24
        before = 0
        for number, (_, second) in enumerate(stages):
            start, end = (left + at / largest * (right - left) for at in (before, second))
            drawing.box(start, drawing.y, end - start, 22, STAGES[number % len(STAGES)])
            before = second
        drawing.text(left + before / largest * (right - left) + 6, drawing.y + 16, f"{before:.1f} s", weight="bold")
        drawing.y += 28
        for number, (name, second) in enumerate(stages):
            x, y = left + (WIDTH - 2 * left) / 2 * (number % 2), drawing.y + 18 * (number // 2)
            drawing.box(x, y + 3, 10, 10, STAGES[number % len(STAGES)])
            drawing.text(x + 52, y + 12, f"{second:.1f}", anchor="end")
            drawing.text(x + 60, y + 12, name, colour=PALE)
        drawing.y += 18 * ((len(stages) + 1) // 2) + 12
    return drawing.svg()


def plots() -> dict:
    """All plots, by file name."""
    made, benches = {}, {}
    for file in sorted(MEASUREMENTS.glob("*.json")):
        found = json.loads(file.read_text())
        if "rows" in found:
            benches[found["day"]] = found
        elif "ways" in found:
            made[re.sub(r"-\d{4}-\d\d-\d\d$", "", file.stem) + ".svg"] = stage_plot(found)
    if benches:
        made |= bench_plots(benches[max(benches)])
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    stale = 0
    for name, svg in plots().items():
        file = MEASUREMENTS / name
        if not check:
            file.write_text(svg)
        elif not file.exists() or file.read_text() != svg:
            print(f"{file}: not what its JSON gives; run scripts/plot-bench.py", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
