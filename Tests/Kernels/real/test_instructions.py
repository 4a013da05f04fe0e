"""Instructions of the hot paths on a fixed input, counted by valgrind: a regression shows whatever else the machine does.

`mcore-bench` has to be built (scripts/test.sh does so in test-full). The counts are of Swift 6.3 and ISA-L 2.30.0 (as scripts/codecs.sh
builds it) under valgrind 3.19, which shows every program the same processor (with AVX2). When one changes for a good reason,
the number here changes with it, in the same commit.
"""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from .test_dumps import BIN

BENCH = BIN / "mcore-bench"
# Instructions for each unit: a page of 4096 bytes, or a KiB of content.
EXPECTED = {"zero-test": 7872.0, "classify": 181.2, "elf.gz": 2900.7}
# The same program gives the same count; another build of the same sources differs by what the optimiser does elsewhere.
MARGIN = 0.10
ROUNDS = {"zero-test": 4, "classify": 2, "elf.gz": 1}


@unittest.skipUnless(os.environ.get("MCORE_TEST_FULL") == "yes", "make test-full counts instructions")
class Instructions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="mcore-count-")
        cls.addClassCleanup(directory.cleanup)
        cls.input = pathlib.Path(directory.name) / "input.elf"
        # valgrind 3.19 can't read the debug information of Swift 6.3, and gives up.
        cls.program = pathlib.Path(directory.name) / "mcore-bench"
        subprocess.run(["strip", "-o", cls.program, BENCH], check=True, timeout=60)
        subprocess.run([cls.program, "input", cls.input], check=True, timeout=300)

    def count(self, what: str, rounds: int) -> tuple:
        """Instructions of a run, and the units of work in each round."""
        words = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        words += [self.program, "count", what, str(rounds), self.input]
        result = subprocess.run(words, capture_output=True, text=True, timeout=600)
        self.assertEqual(result.returncode, 0, result.stderr)
        found = re.search(r"I\s+refs:\s+([\d,]+)", result.stderr)
        self.assertIsNotNone(found, result.stderr)
        return int(found[1].replace(",", "")), int(re.search(r"units=(\d+)", result.stdout)[1])

    def test_each_hot_path(self):
        for what, expected in EXPECTED.items():
            with self.subTest(path=what):
                start, _ = self.count(what, 0)
                end, units = self.count(what, ROUNDS[what])
                each = (end - start) / ROUNDS[what] / units
                print(f"{what}: {each:.2f} instructions, expected {expected}", flush=True)
                self.assertLessEqual(each, expected * (1 + MARGIN), "more than before: what made it slower?")
                self.assertGreaterEqual(each, expected * (1 - MARGIN), "less than before: write down the new count")
