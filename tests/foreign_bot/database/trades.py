"""The foreign bot's trades, in the file that DB_PATH names."""

from __future__ import annotations

import sqlite3
import threading


class Trades:
    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("create table if not exists trades (symbol text)")

    def add(self, symbol: str) -> None:
        with self._lock, self._connection:
            self._connection.execute("insert into trades values (?)", (symbol,))

    def close(self) -> None:
        with self._lock:
            self._connection.close()
