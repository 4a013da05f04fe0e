"""What the bench found: rows of numbers, and the same rows as tables for people.

A row is a dictionary; `--json` writes it as it is. scripts/plot-bench.py draws plots of the rows.
"""

import pathlib
import shlex


def contender_rows(done: list) -> list:
    """A row for each contender. Medians, and how it compares with the best run of its rival."""
    rows = []
    for contender in done:
        row = {
            "what": contender.name,
            "d": contender.level,
            "threads": contender.threads,
            "command": shlex.join(pathlib.Path(word).name for word in map(str, contender.command)),
            "runs": len(contender.runs),
            "failed": contender.failed,
            "failure": contender.failure,
        }
        if contender.runs:
            reference = "makedumpfile -z" if contender.name.endswith("zst") else "makedumpfile -c"
            rivals = [c for c in done if c.runs and c.level == contender.level and c.name == reference]
            best = min(rivals, key=lambda c: c.median("wall"), default=None)
            row |= {
                "wall_s": contender.median("wall"),
                "cpu_s": contender.median("cpu"),
                "peak_mib": contender.median("memory") / 2**20,
                "bytes": contender.median("bytes"),
                "times_faster": best.median("wall") / contender.median("wall") if best else None,
                "size": contender.median("bytes") / best.median("bytes") if best else None,
            }
        rows.append(row)
    return rows


def contender_table(rows: list) -> list:
    lines = [
        "| what | -d | threads | wall s | CPU s | peak MiB | bytes out | times faster | size |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        failed = f" ({row['failed']} of {row['failed'] + row['runs']} runs failed)" if row["failed"] and row["runs"] else ""
        start = f"| {row['what']}{failed} | {row['d']} | {row['threads']} |"
        if not row["runs"]:
            lines.append(f"{start} {row['failure']} | | | | | |")
            continue
        ratio = f"{row['times_faster']:.1f} | {row['size']:.3f}" if row["size"] is not None else "|"
        lines.append(f"{start} {row['wall_s']:.2f} | {row['cpu_s']:.2f} | {row['peak_mib']:.0f} | {row['bytes']:.0f} | {ratio} |")
    return lines


def efficiency_rows(codec: dict) -> list:
    """Bare codec and pipeline on the same memory, both thrown away. SHA-256 is counted apart: only a dump directory records it."""
    rows = []
    for (name, threads), bare in codec.items():
        row = {"format": name, "threads": threads}
        whole = bare.get("whole", {})
        if "wall" not in bare or "wall" not in whole:
            rows.append(row | {"failure": bare.get("failure") or whole.get("failure")})
            continue
        rows.append(
            row
            | {
                "codec_wall_s": bare["wall"],
                "codec_cpu_s": bare["cpu"],
                "codec_mb_per_s": bare["content"] / bare["wall"] / 1e6,
                "pipeline_wall_s": whole["wall"],
                "pipeline_cpu_s": whole["cpu"],
                "efficiency_wall": bare["wall"] / whole["wall"],
                "efficiency_cpu": bare["cpu"] / whole["cpu"],
                "sha256_cpu_s": bare["digest"],
            }
        )
    return rows


def efficiency_table(rows: list) -> list:
    lines = [
        "| format | threads | bare codec wall s | CPU s | MB/s | pipeline wall s | CPU s | efficiency by wall | by CPU | SHA-256, CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "failure" in row:
            lines.append(f"| {row['format']} | {row['threads']} | {row['failure']} | | | | | | | |")
            continue
        lines.append(
            f"| {row['format']} | {row['threads']} | {row['codec_wall_s']:.2f} | {row['codec_cpu_s']:.2f} | {row['codec_mb_per_s']:.0f} "
            f"| {row['pipeline_wall_s']:.2f} | {row['pipeline_cpu_s']:.2f} "
            f"| {row['efficiency_wall']:.0%} | {row['efficiency_cpu']:.0%} | {row['sha256_cpu_s']:.2f} |"
        )
    return lines


def class_rows(steps: dict, scans: list) -> list:
    """Nanoseconds a page. `steps` is makedumpfile's step by the place it comes from; `scans` is (threads, all checks, bare scan)."""
    rows = [
        {"what": f'makedumpfile of {place}, "Excluding unnecessary pages"', "threads": 1, "ns_a_page": step}
        for place, step in steps.items()
    ]
    for threads, checked, bare in scans:
        rows.append({"what": "bare scan", "threads": threads, "ns_a_page": bare})
        rows.append(
            {
                "what": "mcore, all checks",
                "threads": threads,
                "ns_a_page": checked,
                "times_bare": checked / bare,
                "times_faster": min(steps.values()) / checked if steps else None,
            }
        )
    return rows


def class_table(rows: list) -> list:
    lines = [
        "| page classes | threads | ns a page | times the bare scan | times faster than makedumpfile |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        bare = f" {row['times_bare']:.2f} " if "times_bare" in row else " "
        faster = f" {row['times_faster']:.1f} " if row.get("times_faster") is not None else " "
        lines.append(f"| {row['what']} | {row['threads']} | {row['ns_a_page']:.1f} |{bare}|{faster}|")
    return lines
