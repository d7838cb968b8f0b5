"""Try the library that signs an exchange's orders, where that is not ccxt itself.

ccxt loads it at the first signature. One that is there and cannot be used would be noticed only then, behind
a pre-flight that has found everything in order.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path

from gridbot.exchanges.ccxt_client import load
from gridbot.exchanges.venues import LIGHTER_LIBRARY
from gridbot.model.errors import ConfigError

HOW = "docs/exchanges.md (Signing libraries) says how it gets into the bot's image"


def require_signing_library(exchange: str, env: Mapping[str, str] = os.environ) -> None:
    """Check that the library that signs this exchange's orders can be used. Raises ConfigError."""
    if exchange == "lighter":
        _require_lighter(env.get(LIGHTER_LIBRARY) or "")
    if exchange == "apex":
        try:
            importlib.import_module("apexpro.zklink_sdk")
        except Exception as err:
            raise _lacking("apex", f"apexomni: {_words(err)}") from err


def _require_lighter(path: str) -> None:
    if not Path(path).is_file():
        what = f"is {path}, where there is no file" if path else "is not set"
        raise _lacking("lighter", f"{LIGHTER_LIBRARY} {what}")
    load("lighter")  # so that what follows does not import all of ccxt
    signer = importlib.import_module("ccxt.static_dependencies.lighter_client.signer")
    try:
        signer.load_lighter_library(path)
    except Exception as err:
        raise _lacking("lighter", f"{LIGHTER_LIBRARY}: {path} cannot be used: {_words(err)}") from err


def _lacking(exchange: str, what: str) -> ConfigError:
    text = f"live trading on {exchange} needs its signing library ({what}): {HOW}"
    return ConfigError(text, "signing_library", exchange=exchange, what=what)


def _words(err: Exception) -> str:
    """Return the first sentence of an error, which may be long."""
    return (str(err).splitlines() or [""])[0].partition(". ")[0] or type(err).__name__
