"""A bot can write into the state folder: the supervisor goes on, and repairs it."""

import json
from pathlib import Path

import pytest

from tests.supervisor.harness import Box, eventually


def is_locked(path: Path) -> bool:
    """Whether the file at `path` is regular, and locked by somebody."""
    import fcntl

    if path.is_symlink() or not path.is_file():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize(
    "deed",
    [
        "os.unlink(LOCK)",
        "os.unlink(LOCK); os.symlink('/etc/passwd', LOCK)",
        "os.unlink(LOCK); os.mkdir(LOCK); os.mkdir(LOCK + '/x')",
        "os.unlink(LOCK); open(LOCK, 'w')",
        "os.unlink(LOCK); os.mkfifo(LOCK)",
    ],
)
def test_a_lock_that_the_bot_replaced_is_put_back(box: Box, deed: str) -> None:
    lock = box.root / "state/supervisor.lock"
    box.bot(f"LOCK = {str(lock)!r}; {deed}; serve()")
    box.start()
    box.until("running")
    eventually(lambda: is_locked(lock))
    assert "supervisor.lock was removed or replaced" in box.daemon_log
    (box.root / "run2").mkdir()
    second = box.start(run="run2")
    eventually(lambda: "no second bot is started here" in second.stderr)
    second.stop()
    assert box.until("running")["bot_pid"]


@pytest.mark.parametrize(
    "deed",
    [
        "os.mkdir(FILE); os.mkdir(FILE + '/x')",
        "os.symlink('/etc/passwd', FILE)",
        "os.mkfifo(FILE)",
        "os.mkdir(FILE + '.tmp'); os.mkdir(FILE + '.tmp/x')",
        "os.mkfifo(FILE + '.tmp')",
    ],
)
def test_a_state_file_that_the_bot_replaced_is_written_again(box: Box, deed: str) -> None:
    path = box.root / "state/supervisor.json"
    box.bot(f"FILE = {str(path)!r}; os.unlink(FILE); {deed}; (HERE / 'done').touch(); serve()")
    box.start()
    eventually((box.root / "done").exists)
    eventually(lambda: path.is_file() and not path.is_symlink() and json.loads(path.read_text()))
    box.until("running")
    assert box.lives[-1].stop() == 0
    assert box.state["state"] == "stopped"


def test_what_a_bot_left_with_a_replaced_lock_is_killed(box: Box) -> None:
    lock = box.root / "state/supervisor.lock"
    box.bot(
        "first = not (HERE / 'child').exists()\n"
        "if first:\n"
        "    child = subprocess.Popen(['sleep', '60'], start_new_session=True, close_fds=False, stdout=-3,"
        " stderr=-3)\n"
        "    (HERE / 'child').write_text(str(child.pid))\n"
        f"    os.unlink({str(lock)!r})\n"
        "    time.sleep(0.5)\n"
        "    sys.exit(1)\n"
        "serve()"
    )
    box.start()
    box.until("running", total=1)
    child = (box.root / "child").read_text()
    assert f"killing process {child}, which the last bot left behind" in box.daemon_log
