"""A kit behind ccxt's own `fetch`: only the HTTP client below it and the signing are replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests

from tests.bot.kits.kit import Kit
from tests.fake_exchange.book import RefusalError


def response(status: int, body: Any) -> requests.Response:
    """Return an answer as the HTTP client gives it; a text is its body as it is."""
    answer = requests.Response()
    answer.status_code, answer.reason, answer.url = status, "", "https://venue/"
    answer._content = (body if isinstance(body, str) else json.dumps(body)).encode()
    answer.headers["Content-Type"] = "application/json"
    return answer


def kind_of_call(kit: Kit, path: str, params: dict[str, Any], method: str) -> str:
    """Return `create`, `cancel`, the name of the list that is read, or `other`."""
    if kit.is_write(path, method):
        return "cancel" if kit.is_cancel(path, params, method) else "create"
    return next((name for name, suffix in kit.paths.items() if path.endswith(suffix)), "other")


def answer_over_http(
    kit: Kit, spoil: Callable[[], Exception | requests.Response | None], call: str = "create"
) -> None:
    """Let `kit` answer over HTTP, and to each `call` that is carried out with what `spoil` returns."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def sign(path: str, _api: Any, method: str, params: dict[str, Any], *_: Any) -> dict[str, Any]:
        asked[:] = [(path, dict(params))]
        return {"url": f"https://venue/{path}", "method": method, "body": None, "headers": {}}

    def request(method: str, _url: str, **_: Any) -> requests.Response:
        path, params = asked[0]
        try:
            answer = kit.answer(path, method, params)
        except RefusalError as err:
            refusal = kit.refusal(err)
            return response(refusal.status, refusal.body)
        spoilt = spoil() if kind_of_call(kit, path, params, method) == call else None
        if isinstance(spoilt, Exception):
            raise spoilt
        return response(200, answer) if spoilt is None else spoilt

    kit.api.sign, kit.api.session.request = sign, request
    del kit.api.fetch
