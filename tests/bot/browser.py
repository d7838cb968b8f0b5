"""Headless Chromium for the page's tests."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


MOST_PAUSE_S = 0.4
"""Between two looks at a page that is waited for: each look is 4 ms of the processor."""


class Browser:
    """One page at a time; what it logged is checked by `complaints`."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self._opened = 0
        self._logged: list[str] = []

    def open(self, url: str, width: int, *, dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(url)
        deadline = time.monotonic() + 60.0
        while self._is_given_up() and time.monotonic() < deadline:
            self.driver.get(url)

    def open_as_new(self, url: str, width: int, script: str, *, dark: bool = False) -> None:
        """Open a page as if nothing had been opened at its address before: what was stored there is removed,
        and what was logged until the earlier page had ended is dropped. `script` is run before its own.
        """
        self._opened += 1
        begins = f"here begins page {self._opened}"
        # a page that loads itself again, as a file got lost, is still the same one
        source = f"""if ({json.dumps(url)}.startsWith(`${{location.origin}}/`)
            && sessionStorage.getItem("begun") !== {json.dumps(begins)}) {{
          localStorage.clear();
          sessionStorage.clear();
          sessionStorage.setItem("begun", {json.dumps(begins)});
          {script};
          console.info({json.dumps(begins)});
        }}"""
        made = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        try:
            # another address than the one that is shown, or only what is behind its # would change
            self.open(url.replace("/#", f"/?{self._opened}#"), width, dark=dark)
        finally:
            self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", made)
        messages, deadline = self._messages(), time.monotonic() + 60.0
        while not any(begins in message for message in messages) and time.monotonic() < deadline:
            time.sleep(0.05)  # the driver may hear of it after it has the page
            messages += self._messages()
        own = [number for number, message in enumerate(messages) if begins in message]
        assert own, f"the page did not begin: {messages}"
        self._logged = messages[own[-1] + 1 :]

    def _messages(self) -> list[str]:
        """Return what was logged since the last time."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [str(entry["message"]) for entry in entries]

    def _is_given_up(self) -> bool:
        """Tell whether Chromium gave the page up, as a test's container came or went (see `complaints`)."""
        return "ERR_NETWORK_CHANGED" in str(self.run("document.body?.innerText ?? ''"))

    def open_until(self, is_drawn: Callable[[], object], url: str, width: int, *, dark: bool = False) -> None:
        """Open a page and wait until it is drawn; once more if Chromium gave up one of its files because
        another test's container came or went (see `complaints`).
        """
        self.open(url, width, dark=dark)
        try:
            self.wait(is_drawn, 10.0)
        except AssertionError:
            self.open(url, width, dark=dark)
            self.wait(is_drawn)

    def run(self, script: str, *args: object) -> Any:
        return self.driver.execute_script(f"return {script}", *args)

    def text(self, selector: str) -> str:
        return str(self.run("document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def count(self, selector: str) -> int:
        return int(self.run("document.querySelectorAll(arguments[0]).length", selector))

    def wait(self, what: Callable[[], object], within: float = 60.0) -> None:
        begun = time.monotonic()
        deadline, next_check, pause = begun + within, begun, 0.05
        while not what():
            if time.monotonic() > deadline:
                body = self.run("document.body.innerText")
                kept = self.run(
                    "[location.href, ...Object.keys(localStorage), '|', ...Object.keys(sessionStorage)]"
                )
                raise AssertionError(
                    f"not within {within} s; the page says:\n{body}\n{self.complaints()}\n{kept}"
                )
            if time.monotonic() > next_check:
                if self._is_given_up():
                    self.driver.refresh()
                next_check = time.monotonic() + 1.0
            time.sleep(pause)
            pause = min(MOST_PAUSE_S, pause * 1.25)

    def complaints(self) -> list[str]:
        """Console messages of any level, none twice.

        A network interface that came or went (another test's container) makes Chromium give up requests to
        loopback too; that is not this page's fault. Nor is what the page of an earlier test said of a server
        that has ended.
        """
        messages, self._logged = [*self._logged, *self._messages()], []
        here = str(self.run("location.origin"))
        return [
            text
            for text in messages
            if "ERR_NETWORK_CHANGED" not in text
            and not ("ERR_CONNECTION_REFUSED" in text and not text.startswith(here))
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    profile = tempfile.mkdtemp(prefix="chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(shutil.which("chromedriver") or "/usr/bin/chromedriver")
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)
