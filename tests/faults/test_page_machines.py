"""The page and the metrics over three machines in a real browser: one is killed, one hangs, one goes on."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import sshd_here
from tests.bot.browser import Browser
from tests.faults import bots
from tests.faults.conftest import SETTINGS, Note, new_project
from tests.faults.engines import needs_root
from tests.faults.linked import Linked, two_engines
from tests.fleet import Project, eventually
from tests.integration.test_serve import LINK, Serve
from tests.sshd_here import Place, Sshd
from tests.two_machines import another

pytestmark = [
    pytest.mark.engine,
    pytest.mark.browser,
    pytest.mark.long_form,
    needs_root,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium and chromedriver"),
    pytest.mark.skipif(sshd_here.server() is None, reason="OpenSSH's server is not installed"),
]

ID, ELSEWHERE = "one", ("osaka", "tokyo")
GIVEN_UP_S = 120
"""A look each 30 s, which waits for 20 s, on a busy machine."""
METRICS_S = 240


def test_of_three_machines_one_is_killed_and_one_hangs(
    tmp_path: Path, fault_image: str, browser: Browser, note: Note
) -> None:
    with (
        two_engines(fault_image) as engines,
        new_project(tmp_path / "here", fault_image) as here,
        another(tmp_path / "osaka", fault_image, engines.first.environ) as osaka,
        another(tmp_path / "tokyo", fault_image, engines.second.environ) as tokyo,
        sshd_here.running(tmp_path / "to-osaka", place_of_first(engines, tmp_path)) as to_osaka,
        sshd_here.running(tmp_path / "to-tokyo", engines.place_of_second(tmp_path)) as to_tokyo,
    ):
        write_links(here, {"osaka": (to_osaka, osaka), "tokyo": (to_tokyo, tokyo)})
        for number, project in enumerate((here, osaka, tokyo)):
            if number:
                settings = project.folder / "config" / "fleet.toml"
                settings.write_text(f'name = "{project.name}"\n{SETTINGS}')
            bots.add(project, ID, number)
            project.manager("up", "--wait")
        serve = Serve(here)
        try:
            watched(browser, serve, lambda: hang(to_tokyo), lambda: kill(to_osaka, engines))
        finally:
            hang(to_tokyo, signal.SIGCONT)
            serve.end(signal.SIGTERM)
    note(
        "of three machines with an id on each, one is killed and one stands still",
        "page and /metrics in Chromium; sshd and engine killed, sshd stopped by SIGSTOP",
        1,
        "their rows are unreachable with when they were last seen; the others' go on",
    )


def watched(
    browser: Browser, serve: Serve, hang_tokyo: Callable[[], None], kill_osaka: Callable[[], None]
) -> None:
    client = serve.client()
    link = LINK.findall(eventually(lambda: serve.output.read_text(), what="the next link"))[-1]
    browser.complaints()
    browser.open(f"http://127.0.0.1:{serve.port}/page/icon.svg", 1280)
    browser.run("localStorage.clear()")
    browser.run("localStorage.setItem('botfleet-language', 'en')")
    browser.open(link, 1280)
    shown = {name: (name, [ID]) for name in ELSEWHERE}
    browser.wait(lambda: states(browser) == shown, GIVEN_UP_S)

    def is_up(name: str, value: int) -> Callable[[], bool]:
        line = f'host="{name}"}} {value}.0'
        return lambda: any(
            line in told for told in client.get("/metrics")[2].decode().splitlines() if "_host_up{" in told
        )

    for name in ELSEWHERE:
        eventually(is_up(name, 1), timeout=METRICS_S, what=f"{name} in the metrics")
    hang_tokyo()
    kill_osaka()
    browser.wait(
        lambda: all("unreachable, last seen" in head for head, _ids in states(browser).values()), GIVEN_UP_S
    )
    rows = browser.text(".machines")
    assert rows.count("unreachable (running") == len(ELSEWHERE)
    assert "stopped" not in rows
    assert browser.count(f".bot[data-id={ID}]") == 1, "this machine's own row of that id goes on"
    for name in ELSEWHERE:
        eventually(is_up(name, 0), timeout=METRICS_S, what=f"{name} as away in the metrics")
    assert browser.complaints() == []


def states(browser: Browser) -> dict[str, tuple[str, list[str]]]:
    """Each other machine on the page: its head, and the ids below it."""
    heads = browser.run(
        "[...document.querySelectorAll('.machine')].map((each) => [each.querySelector('h3').innerText,"
        " [...each.querySelectorAll('li strong')].map((id) => id.innerText)])"
    )
    return {head.partition(":")[0]: (head, ids) for head, ids in heads}


def place_of_first(engines: Linked, folder: Path) -> Place:
    """Where an sshd of the first engine's machine listens, and how this one reaches it."""
    (folder / "way").mkdir()
    second = engines.place_of_second(folder / "way")
    return second._replace(
        address="10.77.0.1",
        inside=("nsenter", f"--net=/var/run/netns/{engines.first.namespace}"),
        environ=tuple(engines.first.environ.items()),
    )


def write_links(here: Project, links: dict[str, tuple[Sshd, Project]]) -> None:
    """One configuration of ssh for both, and both in hosts.toml."""
    here.environ.update(links["osaka"][0].environ)
    config, hosts = here.folder.parent / "ssh_config", []
    texts = []
    for name, (sshd, project) in links.items():
        url = sshd.url(project.folder)
        address = url.rpartition("@")[2].partition(":")[0]
        texts.append(sshd.config.read_text().replace("Host *", f"Host {address}"))
        hosts.append(f'{name} = "{url}"\n')
    config.write_text("".join(texts))
    here.environ["BOTFLEET_SSH_CONFIG"] = str(config)
    (here.folder / "config" / "hosts.toml").write_text("".join(hosts))


def hang(sshd: Sshd, number: signal.Signals = signal.SIGSTOP) -> None:
    """Let the server stand still, with all that it serves."""
    assert sshd.process is not None
    first = psutil.Process(sshd.process.pid)
    for process in [first, *first.children(recursive=True)]:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def kill(sshd: Sshd, engines: Linked) -> None:
    sshd.stop()
    engines.first.kill(everything=True)
