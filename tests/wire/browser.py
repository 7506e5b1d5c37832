"""A real headless Chromium, driven through chromedriver in the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components import missing

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1500,1100",
)  # fmt: skip
PATIENCE_SECONDS = 60


class Browser:
    """One window. ``text`` waits for what the page shows; ``answers`` is every HTTP answer that it got so far."""

    def __init__(self, driver_url: str, profile: Path) -> None:
        self._driver_url = driver_url
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"
        self.answers: list[tuple[int, str]] = []
        self.complaints: list[str] = []

    def open(self, url: str) -> None:
        self._call("POST", f"{self._session}/url", {"url": url})

    def script(self, code: str, *values: Any) -> Any:
        """What the JavaScript function body returns."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": code, "args": list(values)})

    def shows(self, *texts: str) -> str:
        """The page's text, once it holds all of ``texts``. Raises AssertionError with the text when it never does."""
        seen = ""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            seen = str(self.script("return document.body.innerText"))
            if all(text in seen for text in texts):
                return seen
        raise AssertionError(f"{[text for text in texts if text not in seen]} not among: {seen}")

    def waits_for(self, selector: str) -> None:
        """Returns once the page has an element that the CSS selector finds. Raises AssertionError."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.script("return document.querySelector(arguments[0]) !== null", selector):
                return
        raise AssertionError(f"nothing is {selector}")

    def click(self, text: str) -> None:
        """Clicks the innermost visible element whose own text is ``text``."""
        self.shows(text)
        found = self.script(
            """const all = [...document.querySelectorAll('a,button,[role=tab],[role=treeitem],span,div,label')];
            const hit = all.filter(e => e.innerText && e.innerText.trim() === arguments[0]
              && e.offsetParent !== null).pop();
            if (hit) { hit.scrollIntoView({block: 'center'}); hit.click(); } return Boolean(hit);""",
            text,
        )
        assert found, f"nothing to click says {text!r}"

    def picture(self, path: Path) -> None:
        """A screenshot."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def listen(self) -> None:
        """Adds what the browser's logs have gained to ``answers`` and ``complaints``."""
        for entry in self._call("POST", f"{self._session}/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.responseReceived":
                response = message["params"]["response"]
                self.answers.append((int(response["status"]), str(response["url"])))
        for entry in self._call("POST", f"{self._session}/se/log", {"type": "browser"}):
            if entry["level"] == "SEVERE":
                self.complaints.append(entry["message"])

    def close(self) -> None:
        self._call("DELETE", self._session)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._driver_url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000]) from None


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a fresh profile below ``folder``."""
    program = shutil.which("chromedriver")
    if program is None or shutil.which("chromium") is None:
        missing("chromium with chromedriver", "scripts/test-tools installs Debian's chromium and chromium-driver")
    process = subprocess.Popen([program, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        port = next(
            found.group(1) for line in process.stdout if (found := re.search(r"successfully on port (\d+)", line))
        )
        window = Browser(f"http://127.0.0.1:{port}", folder / "profile")
        try:
            yield window
        finally:
            window.close()
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
