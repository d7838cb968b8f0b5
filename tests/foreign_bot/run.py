"""A bot in the manner of the old system, written for the test: knows nothing of supervisors, containers or
paper mode.

Serves with Flask, has a package of its own named `database`, writes into ./logs, and ignores SIGTERM in its
first second.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from database.trades import Trades
from flask import Flask, jsonify

signal.signal(signal.SIGTERM, signal.SIG_IGN)
DEAF_S = float(os.environ.get("FOREIGN_DEAF_S", "1"))

parser = argparse.ArgumentParser()
for option in ("--exchange", "--symbol", "--strategy", "--market-type", "--duration", "--interval"):
    parser.add_argument(option)
args, _others = parser.parse_known_args()

Path("logs").mkdir(exist_ok=True)
logging.basicConfig(filename="logs/own.log", level=logging.INFO)
trades = Trades(os.environ["DB_PATH"])
app = Flask(__name__)


@app.get("/health")
def health() -> object:
    return jsonify(status="healthy", running=True, timestamp=time.time())


@app.get("/argv")
def argv() -> object:
    return jsonify(
        argv=sys.argv[1:], mode=os.environ["TRADING_MODE"], keys=[k for k in os.environ if "KEY" in k]
    )


def stop(_signal: int, _frame: object) -> None:
    print("cancelling orders", flush=True)
    trades.close()
    os._exit(0)


def trade() -> None:
    while True:
        trades.add(args.symbol)
        print(f"trade on {args.symbol}", flush=True)
        logging.info("trade")
        time.sleep(0.5)


def listen() -> None:
    time.sleep(DEAF_S)
    os.kill(os.getpid(), signal.SIGUSR1)


signal.signal(signal.SIGUSR1, lambda _signal, _frame: signal.signal(signal.SIGTERM, stop))
threading.Thread(target=listen, daemon=True).start()
threading.Thread(target=trade, daemon=True).start()
if args.duration:
    threading.Timer(float(args.duration), lambda: os._exit(0)).start()
app.run(host=os.environ["WEB_HOST"], port=int(os.environ["WEB_PORT"]))
