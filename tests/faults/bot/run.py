"""A bot that misbehaves on demand.

Its `--strategy` says how it lives; a word in /data/do is obeyed at any moment, once. It keeps the contract of
docker/README.md in everything else: /health on WEB_PORT, SIGTERM, its last words in BOTFLEET_REPORT.

    well      healthy until SIGTERM, ends at once          crash     20 and more lines on stderr, exit code 3
    slow      needs three seconds to end                   done      ends by itself with 0
    deaf      reports 7 open orders, then ignores SIGTERM  sick      its /health says 503
    mute      ignores SIGTERM and reports nothing
    asks      trades at the address in the variable that FAULT_EXCHANGE names; while nothing answers there,
              its /health says 503
    needs     the same, and ends with 1 when there is no answer at its start
"""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ORDERS = Path("/data/do")
LINES = 25

healthy = True
trades = 0


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/api/status":
            self.answer(200, {"trades": trades, "mode": os.environ["TRADING_MODE"]})
            return
        status = "healthy" if healthy else "sick"
        self.answer(200 if healthy else 503, {"status": status, "running": healthy, "timestamp": time.time()})

    def answer(self, code: int, payload: dict[str, object]) -> None:
        body = json.dumps(payload)
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Print nothing where a client disconnects: tests compare every line of this bot."""


def report(open_orders: int) -> None:
    path = Path(os.environ["BOTFLEET_REPORT"])
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"open_orders_left": open_orders}))
    new.rename(path)


def on_sigterm(*_: object) -> None:
    if strategy == "slow":
        time.sleep(3)
    if strategy == "deaf":
        report(7)
    if strategy in ("deaf", "mute"):
        return
    report(0)
    print("bye", flush=True)
    os._exit(0)


def crash() -> None:
    for number in range(1, LINES + 1):
        print(f"fault number {number}", file=sys.stderr)
    os._exit(3)


def eat_memory() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1 << 20)))


def fork_without_end() -> None:
    while True:
        try:
            if os.fork() == 0:
                time.sleep(600)
        except OSError:
            time.sleep(0.01)


def write_without_end() -> None:
    """Rows 1, 2, 3 … of a table, a commit each."""
    database = sqlite3.connect(os.environ["DB_PATH"], timeout=60)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS fills (id INTEGER PRIMARY KEY, note TEXT)")
    while True:
        database.execute("INSERT INTO fills (note) VALUES (hex(randomblob(8)))")
        database.commit()
        time.sleep(0.001)


def trade() -> bool:
    """Asks the exchange for a price, and calls an answer a trade."""
    global trades
    address = os.environ[os.environ["FAULT_EXCHANGE"]]
    try:
        with urllib.request.urlopen(f"{address}/api/v1/ticker", timeout=2) as answer:
            json.load(answer)
    except (OSError, ValueError):
        return False
    trades += 1
    return True


def obey(word: str) -> None:
    global healthy
    match word.split():
        case ["crash"]:
            crash()
        case ["exit", code]:
            os._exit(int(code))
        case ["signal", number]:
            os.kill(os.getpid(), int(number))
        case ["sick"]:
            healthy = False
        case ["hog"]:
            eat_memory()
        case ["bomb"]:
            threading.Thread(target=fork_without_end, daemon=True).start()
        case ["write"]:
            threading.Thread(target=write_without_end, daemon=True).start()
        case ["say", *words]:
            print(*words, flush=True)
        case ["write", stream, in_hex]:
            os.write(2 if stream == "stderr" else 1, bytes.fromhex(in_hex))
        case ["flood", count]:
            for line in range(int(count)):
                print(f"{line:07} {'x' * 90}")
            print("flooded", flush=True)


signal.signal(signal.SIGTERM, on_sigterm)
strategy = sys.argv[sys.argv.index("--strategy") + 1]
if strategy == "crash":
    crash()
if strategy == "done":
    sys.exit(0)
asks = strategy in ("asks", "needs")
if strategy == "needs" and not trade():
    sys.exit("no answer from the exchange")
healthy = strategy != "sick"
server = Server(("0.0.0.0", int(os.environ["WEB_PORT"])), Health)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(
    f"trading as {os.environ['BOTFLEET_INSTANCE']}, key "
    f"{'given' if os.environ.get('FAULT_KEY') else 'withheld'}",
    flush=True,
)
beat = 0
while True:
    try:
        word = ORDERS.read_text()
        ORDERS.unlink()
    except OSError:
        word = ""
    obey(word)
    if asks:
        healthy = trade()
    beat += 1
    if beat % 10 == 0:
        print(f"tick {beat // 10}", flush=True)
    time.sleep(0.1)
