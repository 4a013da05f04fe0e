"""A page in headless Chromium, driven by its DevTools protocol through a pipe: what it asks for, says and shows."""

import base64
import json
import os
import pathlib
import select
import subprocess
import tempfile
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars"]
LIMIT = 120


class Browser:
    """One page. Everything that the browser reports of it is in `events`, in order."""

    def __init__(self, page: pathlib.Path, width: int = 1100, height: int = 1400, dark: bool = False):
        self.directory = tempfile.TemporaryDirectory(prefix="mcore-browser-")
        self.events: list = []
        self.answers: dict = {}
        self.number = 0
        self.rest = b""
        commands_out, self.commands = os.pipe()
        self.replies, replies_in = os.pipe()
        words = ["chromium", *FLAGS, f"--user-data-dir={self.directory.name}", "--remote-debugging-pipe", "about:blank"]
        # The browser reads commands from descriptor 3 and writes to 4.
        script = f'exec "$@" 3<&{commands_out} 4>&{replies_in}'
        self.process = subprocess.Popen(
            ["sh", "-c", script, "sh", *words],
            pass_fds=(commands_out, replies_in),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_out)
        os.close(replies_in)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        if dark:
            self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.replies)
        # Its children may still write there for a moment.
        try:
            self.directory.cleanup()
        except OSError:
            subprocess.run(["rm", "-rf", self.directory.name], check=False)

    def ask(self, method: str, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + LIMIT
        while self.number not in self.answers:
            self.receive(end)
        answer = self.answers.pop(self.number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait_for(self, method: str) -> None:
        end = time.monotonic() + LIMIT
        while not any(event["method"] == method for event in self.events):
            self.receive(end)

    def receive(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.replies], [], [], left)[0]:
            raise AssertionError("the browser does not answer")
        piece = os.read(self.replies, 1 << 20)
        if not piece:
            raise AssertionError("the browser ended")
        *messages, self.rest = (self.rest + piece).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.events.append(message)

    # What happened

    @property
    def requests(self) -> list:
        return [event["params"]["request"]["url"] for event in self.events if event["method"] == "Network.requestWillBeSent"]

    @property
    def complaints(self) -> list:
        names = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event for event in self.events if event["method"] in names]

    def value(self, expression: str):
        """What a piece of script gives, run from outside of the page: its policy does not hold for that."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def screenshot(self, path, whole: bool = False) -> None:
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def pdf(self) -> bytes:
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True)["data"])
