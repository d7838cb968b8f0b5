"""Be a bot that does nothing, cheaply: answer every request as healthy, exit at once on SIGTERM.

With BENCH_LINES it first writes that many lines, as fast as they are taken, and says how long that took.
Its `--help` ends, too: `manager build` asks for it.
"""

import os
import signal
import socket
import sys
import time

ANSWER_BODY = b'{"status":"healthy","running":true,"timestamp":0}'
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + ANSWER_BODY
LINE_BYTES = 120


def write_lines(count: int) -> None:
    """Write each line by itself, as a bot's logger does it."""
    filling = b"x" * (LINE_BYTES - 10) + b"\n"
    started = time.monotonic()
    for number in range(count):
        line = b"%09d" % number + filling
        while line:
            line = line[os.write(1, line) :]
    seconds = time.monotonic() - started
    os.write(1, f"bench-done {seconds:.6f}\n".encode())


def serve(port: int) -> None:
    """Answer one request at a time, for ever."""
    with socket.create_server(("0.0.0.0", port), backlog=16) as listener:
        while True:
            client, _address = listener.accept()
            with client:
                client.settimeout(5)
                try:
                    client.recv(4096)
                    client.sendall(ANSWER)
                except OSError:
                    pass


if sys.argv[1:] == ["--help"]:
    print("usage: run.py, without arguments")
    sys.exit()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
write_lines(int(os.environ.get("BENCH_LINES", "0"))) if os.environ.get("BENCH_LINES") else None
serve(int(os.environ["WEB_PORT"]))
