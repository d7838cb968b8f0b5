"""The bot's output: all of it to the container's own, as much as possible to the dated files."""

import os
import signal
import time
from pathlib import Path

from tests.supervisor.harness import Box, alive, eventually

BURST = """
line = b"%07d " + b"x" * 111 + b"\\n"
data = b"".join(line % n for n in range({lines}))
while data:
    data = data[os.write({fd}, data):]
"""


def lines(count: int) -> bytes:
    return b"".join(b"%07d " % n + b"x" * 111 + b"\n" for n in range(count))


def today(box: Box) -> Path:
    folder = box.root / "logs" / time.strftime("%Y-%m-%d")
    folder.mkdir(exist_ok=True)
    return folder


def test_the_last_words_of_a_crash_are_kept(box: Box) -> None:
    box.bot(BURST.format(lines=20000, fd=2) + 'os.write(2, b"no line end"); os.abort()')
    box.set(max_restarts=0)
    life = box.start()
    state = box.until("failed")
    expected = lines(20000) + b"no line end"
    assert box.log("bot_stderr.log") == expected
    assert state["last_exit"]["signal"] == "SIGABRT"
    assert state["last_exit"]["stderr_tail"][-1] == "no line end"
    assert len(state["last_exit"]["stderr_tail"]) == 20
    own = [line for line in life.stderr.splitlines() if line.startswith("[supervisor]")]
    assert any("SIGABRT" in line for line in own)
    assert expected.decode() in life.stderr


def test_a_slow_reader_loses_nothing_and_hinders_nothing(box: Box) -> None:
    """Our stdout is a pipe that nobody reads for a while: the bot waits, probes and states go on."""
    count = 100_000
    box.bot(
        f"""
import threading
def burst():
{"".join("    " + line + chr(10) for line in BURST.format(lines=count, fd=1).splitlines())}
threading.Thread(target=burst, daemon=True).start()
serve()
"""
    )
    read_end, write_end = os.pipe()
    box.start(stdout=write_end)
    os.close(write_end)
    box.until("running")
    checked = box.state["health"]["checked_at"]
    eventually(lambda: box.state["health"]["checked_at"] > checked + 0.3)
    assert box.state["state"] == "running"
    assert len(box.log("bot_stdout.log")) < len(lines(count)), "the bot is held back, nothing piles up"
    got = bytearray()
    while len(got) < count * 120:
        got += os.read(read_end, 1 << 20)
    assert bytes(got) == lines(count)
    eventually(lambda: len(box.log("bot_stdout.log")) == count * 120)
    assert box.log("bot_stdout.log") == lines(count)
    os.close(read_end)


def test_a_reader_that_reader_is_gone_does_not_hold_the_bot_for_ever(box: Box) -> None:
    """An engine that is replaced while its containers run on: the bot goes on, and the gap is said where
    it is.
    """
    count = 50_000
    box.timings["reader_timeout"] = 0.3
    box.bot(BURST.format(lines=count, fd=1) + "on_term(lambda: say('bye') or sys.exit(0)); serve()")
    read_end, write_end = os.pipe()
    life = box.start(stdout=write_end)
    os.close(write_end)
    box.until("running")
    assert box.log("bot_stdout.log") == lines(count)
    got = bytearray()
    while b"missing here" not in got:
        got += os.read(read_end, 1 << 16)
    life.stop()
    while chunk := os.read(read_end, 1 << 16):
        got += chunk
    os.close(read_end)
    kept, _own, rest = bytes(got).partition(b"\n[supervisor] this output was not read for a while: ")
    missing = int(rest.split(maxsplit=1)[0])
    assert lines(count).startswith(kept)
    assert kept.count(b"\n") + missing == count, "a line that was cut counts as missing"
    assert rest.endswith(b"have them\nbye\n")


def test_a_blocked_output_does_not_keep_it_from_stopping(box: Box) -> None:
    box.bot(BURST.format(lines=10000, fd=1))
    box.set(stop_timeout=0.3)
    read_end, write_end = os.pipe()
    life = box.start(stdout=write_end)
    os.close(write_end)
    eventually(lambda: len(box.log("bot_stdout.log")) >= 65536)
    began = time.monotonic()
    assert life.stop() in (0, 1)
    assert time.monotonic() - began < 10
    assert box.state["state"] == "stopped"
    os.close(read_end)


def test_what_an_ended_bot_left_in_a_blocked_pipe_still_comes_out(box: Box) -> None:
    count = 1500  # more than one pipe holds, less than two and a chunk
    box.bot(BURST.format(lines=count, fd=1) + "sys.exit(0)")
    read_end, write_end = os.pipe()
    box.start(stdout=write_end)
    os.close(write_end)
    box.until("completed")
    assert box.log("bot_stdout.log") == lines(count)
    got = bytearray()
    while len(got) < count * 120:
        got += os.read(read_end, 1 << 20)
    assert bytes(got) == lines(count)
    os.close(read_end)


def test_a_stray_process_that_holds_the_pipe_delays_nothing_for_long(box: Box) -> None:
    box.bot('subprocess.Popen(["sleep", "5"], start_new_session=True); say("bye"); sys.exit(0)')
    box.timings["drain"] = 0.3
    box.start()
    assert box.until("completed")["last_exit"]["code"] == 0
    assert box.log("bot_stdout.log") == b"bye\n"


def test_a_full_disk_drops_lines_there_counts_them_and_says_so(box: Box) -> None:
    """A limit on file sizes stands in for the disk: the write fails in the middle of a line all the same."""
    count = 20000
    box.bot(BURST.format(lines=count, fd=1) + "serve()")
    read_end, write_end = os.pipe()
    life = box.start(file_limit=1_000_000, stdout=write_end)
    os.close(write_end)
    got = bytearray()
    while len(got) < count * 120:
        got += os.read(read_end, 1 << 20)
    assert bytes(got) == lines(count)
    box.until("running")
    written = box.log("bot_stdout.log")
    assert len(written) == 1_000_000
    assert lines(count).startswith(written)
    missing = count - written.count(b"\n")
    state = eventually(lambda: box.state if box.state["logs_dropped"]["stdout"] == missing else None)
    assert state["logs_dropped"]["stderr"] == 0
    assert life.stderr.count("cannot write bot_stdout.log: File too large") == 1
    os.close(read_end)


def test_a_fifo_in_the_place_of_a_file_blocks_nothing(box: Box) -> None:
    os.mkfifo(today(box) / "bot_stdout.log")
    os.mkfifo(today(box) / "daemon.log")
    box.bot('say("one"); say("two"); serve()')
    life = box.start()
    assert box.until("running")["logs_dropped"]["stdout"] == 2
    assert life.stdout == b"one\ntwo\n"
    reader = os.open(today(box) / "daemon.log", os.O_RDONLY | os.O_NONBLOCK)
    assert life.stop() == 0
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_a_link_in_the_place_of_a_file_is_not_followed(box: Box) -> None:
    victim = box.root / "victim"
    victim.write_text("precious")
    (today(box) / "bot_stdout.log").symlink_to(victim)
    box.bot('say("one"); serve()')
    box.start()
    box.until("running")
    assert victim.read_text() == "precious"


def test_a_log_that_is_removed_or_moved_away_begins_anew(box: Box) -> None:
    box.bot(
        """
import threading
def tick():
    n = 0
    while True:
        say(f"tick {n}")
        n += 1
        time.sleep(0.02)
threading.Thread(target=tick, daemon=True).start()
serve()
"""
    )
    box.start()
    box.until("running")
    path = today(box) / "bot_stdout.log"
    path.rename(path.with_name("moved"))
    eventually(path.exists)
    path.unlink()
    today(box)
    eventually(path.exists)


def test_a_reader_that_is_gone_ends_nothing(box: Box) -> None:
    box.bot('[(say("tick"), time.sleep(0.02)) for _ in range(10)]; serve()')
    read_end, write_end = os.pipe()
    box.start(stdout=write_end)
    os.close(write_end)
    os.close(read_end)
    box.until("running")
    assert box.log("bot_stdout.log") == b"tick\n" * 10


def test_a_supervisor_killed_in_a_flood_leaves_whole_files(box: Box) -> None:
    box.bot("while True: os.write(1, b'y' * 119 + b'\\n')")
    life = box.start()
    eventually(lambda: len(box.log("bot_stdout.log")) > 1_000_000)
    pid = box.state["bot_pid"]
    life.signal(signal.SIGKILL)
    life.wait()
    eventually(lambda: not alive(pid))  # its pipe is gone
    assert set(box.log("bot_stdout.log")) == set(b"y\n")


def test_two_floods_at_once_stay_apart(box: Box) -> None:
    count = 30000
    box.bot(
        f"""
import threading
def burst(fd):
    data = b"".join((b"%07d " % n + b"x" * 111 + b"\\n") for n in range({count}))
    while data:
        data = data[os.write(fd, data):]
both = [threading.Thread(target=burst, args=(fd,)) for fd in (1, 2)]
[thread.start() for thread in both]
[thread.join() for thread in both]
serve()
"""
    )
    life = box.start()
    box.until("running")
    assert box.log("bot_stdout.log") == box.log("bot_stderr.log") == life.stdout == lines(count)


def test_a_flood_is_bounded_on_disk_and_counted(box: Box) -> None:
    """The container's own output is complete, and the bot is not held up."""
    box.set(log_day_limit=1)
    count = 100_000
    box.bot(BURST.format(lines=count, fd=1) + 'os.write(2, b"Traceback\\n")\nserve()')
    life = box.start()
    box.until("running")
    state = eventually(lambda: box.state if box.state["logs_over_limit"]["stdout"] else None)
    assert state["logs_dropped"] == {"stdout": 0, "stderr": 0}
    life.stop()
    assert len(life.stdout) == count * 120
    sizes = {path.name: path.stat().st_size for path in today(box).iterdir()}
    assert 0 < sum(size for name, size in sizes.items() if name != "daemon.log") < 1_100_000
    assert box.log("bot_stderr.log") == b"Traceback\n"
    assert box.log("daemon.log").count(b"bot_stdout.log has reached the limit of 1 MB a day") == 1
    last = box.log("bot_stdout.log").splitlines()[-1]
    assert last.startswith(b"[supervisor] ")
    assert int(last.split()[1]) == box.state["logs_over_limit"]["stdout"]
