"""mcore report --html in headless Chromium: it renders, asks for nothing, complains of nothing, and says what the text says."""

import html
import json
import os
import pathlib
import re
import tempfile
import unittest

from guest.crashes import crash_dump

from .browser import Browser
from .png import Picture
from .series import for_each
from .test_dumps import mcore

SERIES = os.environ.get("MCORE_TEST_REPORT_PAGE", "6.1 7.x").split()
HOSTILE = "<script>document.title='taken'</script><img src=http://127.0.0.1:9/x onerror=document.title='taken'>"
# A line of the log of every kernel that is long enough to become something else.
VICTIM = rb"Linux version [ -~]{90,}"


class Page:
    series: str

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="mcore-page-")
        cls.addClassCleanup(cls.directory.cleanup)
        cls.work = pathlib.Path(cls.directory.name)
        cls.dump = crash_dump(cls.series, "locks")
        cls.page = cls.work / "page.html"
        cls.page.write_bytes(mcore("report", "--html", cls.dump).stdout)
        cls.source = cls.page.read_text()
        cls.report = json.loads(mcore("report", "--json", cls.dump).stdout)

    def words_of_page(self) -> set:
        body = self.source[self.source.index("<body>") :]
        body = re.sub(r"<script>.*?</script>", "", body, flags=re.DOTALL)
        return set(re.findall(r"[\w./:-]+", html.unescape(re.sub(r"<[^>]*>", " ", body))))

    def test_everything_that_the_text_says_is_on_the_page(self):
        text = mcore("report", self.dump).stdout.decode()
        words = self.words_of_page()
        # Words of the frame of the text alone.
        text = re.sub(r"^The log's last 40 lines$|^  largest |^  registers in|^  code:|^  reason ", "", text, flags=re.MULTILINE)
        text = re.sub(r"\.\.\.|…|-- (interrupted|user space) --|, watermarks ", " ", text)
        text = text.replace("  hugetlb ", "  Huge pages ")
        missing = {word for word in re.findall(r"[\w./:-]+", text) if word not in words and word.strip("-:.") not in words}
        # Offsets stand beside the function on the page.
        missing = {word for word in missing if not all(part in words for part in re.split(r"[/:]", word) if part)}
        missing -= {"in", "all", "of", "used", "by", "are", "The", "other", "largest", "slab", "caches", "processes"}
        self.assertEqual(missing, set())

    def test_it_asks_for_nothing_and_complains_of_nothing(self):
        with Browser(self.page) as browser:
            self.assertEqual(browser.requests, [self.page.as_uri()])
            self.assertEqual(browser.complaints, [])
            self.assertEqual(browser.value("document.querySelector('h1').textContent"), self.report["reason"])
            self.assertEqual(browser.value("performance.getEntriesByType('resource').length"), 0)
            # The script ran: the policy names it.
            self.assertEqual(browser.value("document.documentElement.className"), "js")
            # Nothing sticks out at the side.
            self.assertEqual(browser.value("document.documentElement.scrollWidth <= innerWidth"), True)

    def test_a_page_that_asks_for_something_would_be_seen(self):
        """The judge itself: what it has to find, it finds."""
        bad = self.work / "bad.html"
        bad.write_text("<script>console.error('x')</script><img src=http://127.0.0.1:9/x.png>")
        with Browser(bad) as browser:
            self.assertIn("http://127.0.0.1:9/x.png", browser.requests)
            self.assertNotEqual(browser.complaints, [])

    def test_stacks_fold_and_the_log_is_searched_and_filtered(self):
        shown = "Array.from(document.querySelectorAll('#lines li')).filter(e => e.offsetHeight > 0)"
        with Browser(self.page) as browser:
            stacks = browser.value("document.querySelectorAll('details ol.stack').length")
            self.assertEqual(stacks, 2 + len(self.report["waiting"]["tasks"]) + len(self.report["waiting"]["holders"]))
            visible = "Array.from(document.querySelectorAll('ol.stack')).filter(e => e.checkVisibility()).length"
            self.assertEqual(browser.value(visible), 1)
            browser.value("document.querySelector('button[data-open=\"1\"]').click()")
            self.assertEqual(browser.value(visible), stacks)
            every = browser.value(f"{shown}.length")
            self.assertEqual(every, browser.value("document.querySelectorAll('#lines li').length"))
            log = mcore("dmesg", self.dump).stdout.decode().splitlines()
            self.assertEqual(browser.value("document.querySelectorAll('#lines li')[0].textContent"), log[0])
            self.assertEqual(browser.value("Array.from(document.querySelectorAll('#lines li')).pop().textContent"), log[-1])
            # The end of the log is what is seen first.
            self.assertGreater(browser.value("document.getElementById('lines').scrollTop"), 0)
            browser.value("words.value = 'sysrq'; words.dispatchEvent(new Event('input'))")
            found = browser.value(f"{shown}.map(e => e.textContent)")
            self.assertEqual(found, [line for line in log if "sysrq" in line.lower()])
            browser.value("words.value = ''; level.value = '3'; level.dispatchEvent(new Event('change'))")
            found = browser.value(f"{shown}.map(e => e.textContent)")
            self.assertEqual(found, mcore("dmesg", "--level", "err+", self.dump).stdout.decode().splitlines())
            self.assertGreater(len(found), 0)
            self.assertLess(len(found), every)

    def test_memory_is_a_picture_whose_sums_are_the_classes(self):
        kept = self.work / "all.elf.gz"
        mcore("save", "-q", "--level", "used", self.dump, kept)
        classes = json.loads(mcore("info", "--json", kept).stdout)["pages"]
        with Browser(self.page) as browser:
            rows = browser.value(
                "Array.from(document.querySelectorAll('.legend tr')).map(e => Array.from(e.cells).map(c => c.innerText.trim()))"
            )
        self.assertEqual({name for name, *_ in rows}, {name for name, counts in classes.items() if counts["total"]})
        for name, size, _ in rows:
            number, unit = size.split()
            scale = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
            self.assertAlmostEqual(float(number) * scale, classes[name]["total"] * 4096, delta=scale * 0.11)
        # A dump that lacks all but the kernel's memory says the same of what it lacks.
        kern = self.work / "kern.elf.gz"
        mcore("save", "-q", self.dump, kern)
        legend = re.compile(r'class="legend">.*?</table>', re.DOTALL)
        self.assertEqual(legend.search(mcore("report", "--html", kern).stdout.decode())[0], legend.search(self.source)[0])

    def test_dark_light_narrow_and_printed(self):
        background = "getComputedStyle(document.body).backgroundColor"
        with Browser(self.page) as browser:
            self.assertEqual(browser.value(background), "rgb(255, 255, 255)")
            printed = browser.pdf()
            self.assertTrue(printed.startswith(b"%PDF"))
            self.assertEqual(browser.complaints, [])
        with Browser(self.page, dark=True) as browser:
            self.assertLess(max(map(int, re.findall(r"\d+", browser.value(background)))), 60)
        with Browser(self.page, width=400) as browser:
            self.assertEqual(browser.value("document.documentElement.scrollWidth"), 400)

    def test_what_a_person_sees(self):
        """A screenshot of the first screen and of the picture of memory: text on a ground of one colour, and each class in its own."""
        for dark in (False, True):
            with Browser(self.page, dark=dark) as browser:
                ground = bytes(map(int, re.findall(r"\d+", browser.value("getComputedStyle(document.body).backgroundColor"))))
                browser.screenshot(self.work / "seen.png")
                seen = Picture((self.work / "seen.png").read_bytes())
                size = (browser.value("innerWidth"), browser.value("innerHeight"))
                colours = seen.colours()
                self.assertEqual((seen.width, seen.height), size)
                self.assertEqual(max(colours, key=colours.get), ground)
                # Something stands there, and it is no block.
                self.assertGreater(1 - colours[ground] / (size[0] * size[1]), 0.02)
                self.assertGreater(len(colours), 20)
                browser.value("document.querySelector('.legend').scrollIntoView()")
                wanted = browser.value("Array.from(document.querySelectorAll('.swatch path')).map(e => getComputedStyle(e).fill)")
                browser.screenshot(self.work / "seen.png")
                colours = Picture((self.work / "seen.png").read_bytes()).colours()
                self.assertGreater(len(set(wanted)), 3)
                for colour in set(wanted):
                    self.assertIn(bytes(map(int, re.findall(r"\d+", colour))), colours, colour)

    def test_a_hostile_line_of_the_log_stays_text(self):
        hostile = self.work / "hostile.elf"
        mcore("convert", "-q", "--format", "elf", self.dump, hostile)
        found = 0
        with open(hostile, "r+b") as file:
            for match in re.finditer(VICTIM, file.read()):
                file.seek(match.start())
                file.write(HOSTILE.encode().ljust(len(match[0]))[: len(match[0])])
                found += 1
        self.assertGreater(found, 0)
        page = self.work / "hostile.html"
        page.write_bytes(mcore("report", "--html", hostile).stdout)
        self.assertIn(html.escape(HOSTILE[:30]), page.read_text().replace("&#39;", "&#x27;"))
        with Browser(page) as browser:
            self.assertEqual(browser.requests, [page.as_uri()])
            self.assertEqual(browser.complaints, [])
            self.assertNotEqual(browser.value("document.title"), "taken")
            self.assertEqual(browser.value("document.querySelectorAll('img, script').length"), 1)
            self.assertIn(HOSTILE[:60], browser.value("document.getElementById('lines').textContent"))


def load_tests(loader, _, __):
    return for_each(loader, SERIES, Page, "Page")


if __name__ == "__main__":
    unittest.main()
