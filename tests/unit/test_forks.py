"""A fork is waited for and killed from any thread, as subprocess.Popen is."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

from tests.forks import Fork


def test_threads_that_wait_for_one_fork_all_learn_how_it_ended() -> None:
    for code in range(20):
        near, far = socket.socketpair()
        far.sendall(b"4194305\n")  # no process has that number
        fork = Fork(near)
        assert fork.poll() is None
        with far, ThreadPoolExecutor(4) as threads:
            waiting = [threads.submit(fork.wait, 2.0) for _ in range(4)]
            fork.kill()  # while somebody waits
            far.sendall(f"{code}\n".encode())
            assert [thread.result() for thread in waiting] == [code] * 4
        assert fork.poll() == code
