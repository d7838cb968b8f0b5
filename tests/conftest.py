"""Options of the whole test run, and what its workers share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from manager import i18n
from manager.web import access
from tests import cases, fleet, scheduling

if TYPE_CHECKING:
    from tests.bot.browser import Browser

DEAR = tuple(scheduling.TOGETHER)
DEAR_S = 900
"""The first of them makes it: an engine, an image of another commit, a whole benchmark."""
LONG_S = 7200
MEMORY = Path("/dev/shm")
MEMORY_FREE = 6 << 30
"""What has to be free there. A run needs a fiftieth of it: pytest removes what passed tests leave."""
CHEAP = 1 << 4
"""What a guess of a password costs here; tests/unit/web/test_cost.py holds what it costs elsewhere."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: as often as the figures in tests/faults/README.md need it."""
    parser.addoption(
        "--long",
        action="store_true",
        help="the long form: many more cases of the same tests, and the tests marked long_form",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give the workers the run id of the process that starts them; say which form this is before tests are
    imported.

    A script's `make test &` hands down an ignored SIGINT, and `nohup make test` an ignored SIGHUP, and then
    no manager that a test starts is interrupted. Nor is a container's PYTHONDONTWRITEBYTECODE ours: the
    tests start some thousand Pythons, and without .pyc files each of them compiles its source again.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    access.COST["n"] = CHEAP  # before any module of tests makes a password
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    cases.is_long = config.getoption("--long")
    if not is_worker(config):
        keep_folders_in_memory()
        if config.pluginmanager.hasplugin("xdist"):
            config.option.testrunuid = fleet.RUN_ID


def keep_folders_in_memory() -> None:
    """Have pytest make the tests' folders in memory, where there is room: what syncs and renames the files
    of some ten thousand little fleets takes a quarter of the time of their tests on a disk, and no test
    pulls the plug.
    """
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return
    is_small = place.f_bavail * place.f_frsize < MEMORY_FREE
    if not is_small and not place.f_flag & os.ST_NOEXEC and os.access(MEMORY, os.W_OK | os.X_OK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Take our own: `-n` alone is enough on a command line."""
    return scheduling.Spread(config, log)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Have nobody look for garbage among ten thousand tests: not while they are collected, which each worker
    does for itself, and not afterwards.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long forms to `--long`, begin with what takes longest, and give more time to what shares
    something dear, and to the long form.
    """
    if not cases.is_long:
        later = [item for item in items if item.get_closest_marker("long_form") is not None]
        config.hook.pytest_deselected(items=later)
        items[:] = [item for item in items if item not in later]
    items.sort(key=lambda item: scheduling.rank(item.nodeid))
    for item in items:
        if item.get_closest_marker("timeout") is None and (cases.is_long or item.nodeid.startswith(DEAR)):
            item.add_marker(pytest.mark.timeout(LONG_S if cases.is_long else DEAR_S))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the managers that tests start from writing into the cache of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        if "PIP_CACHE_DIR" not in os.environ:
            patch.setenv("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Give the next test the language that this one was given: a command line that runs in this process may
    select another.
    """
    before = i18n._language
    yield
    i18n._language = before


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove the run's images and late networks when all its workers have ended."""
    if not is_worker(session.config):
        fleet.remove_images()
        if shutil.which("docker"):
            fleet.remove_late_networks()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all pages that a worker looks at: to start one takes seconds."""
    from tests.bot.browser import chromium

    with chromium() as opened:
        opened.driver.set_script_timeout(60)
        yield opened


def is_worker(config: pytest.Config) -> bool:
    """Return whether this process runs tests for another one."""
    return hasattr(config, "workerinput")
