"""The fake engine behind the real client's calls, on a machine so busy that many answers come too late."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from manager.engine.http_socket import ApiError, TooSlow
from manager.errors import EngineError, NameTaken, NotFound
from tests.fakes.clock import Clock
from tests.fakes.engine import FakeEngine


class SlowHttp:
    """Stands for `http_socket.call`. Of all calls, `late` of 1 are answered after the caller has given up.

    Half of those have had their effect all the same, and half have not. `takes_s`: what each answer takes, a
    list of containers `lists_s`.
    """

    def __init__(
        self,
        fake: FakeEngine,
        clock: Clock,
        late: float,
        seed: int,
        takes_s: float = 0.0,
        lists_s: float = 0.0,
    ) -> None:
        self._fake, self._clock, self._late = fake, clock, late
        self._takes_s, self._lists_s = takes_s, lists_s
        self._random = random.Random(seed)
        self.too_late: Counter[str] = Counter()

    def __call__(
        self,
        _path: str,
        method: str,
        api: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        timeout: float = 10,
    ) -> Any:
        takes_s = self._lists_s if api == "/containers/json" else self._takes_s
        if takes_s > timeout:
            self.too_late[f"{method} {api.rpartition('/')[2]}"] += 1
            self._clock.sleep(timeout)
            raise TooSlow(f"timed out after {timeout:.0f} s")
        self._clock.sleep(takes_s)
        if self._random.random() >= self._late:
            return self._answer(method, api, query or {}, body)
        self.too_late[f"{method} {api.rpartition('/')[2]}"] += 1
        if self._random.random() < 0.5:
            self._answer(method, api, query or {}, body)
        self._clock.sleep(timeout)
        raise TooSlow(f"timed out after {timeout:.0f} s")

    def _answer(self, method: str, api: str, query: Mapping[str, Any], body: Any) -> Any:
        try:
            return json.loads(json.dumps(self._do(method, api.strip("/").split("/"), query, body)))
        except NotFound as error:
            raise ApiError(404, str(error)) from error
        except NameTaken as error:
            raise ApiError(409, str(error)) from error
        except EngineError as error:
            raise ApiError(500, str(error)) from error

    def _do(self, method: str, words: list[str], query: Mapping[str, Any], body: Any) -> Any:
        fake, subject = self._fake, words[1] if len(words) > 1 else ""
        match method, words[0], words[-1]:
            case "GET", "version", _:
                return fake.version()
            case "GET", "info", _:
                return fake.info()
            case "GET", "images", "json":
                return fake.image("/".join(words[1:-1]))
            case "GET", "networks", _ if not subject:
                return fake.networks(query["filters"]["name"][0])
            case "GET", "networks", _:
                if not (network := fake.network(subject)):
                    raise NotFound("no such network")
                return network
            case "POST", "networks", "create":
                return fake.create_network(body["Name"], body["Labels"], body["Options"])
            case "DELETE", "networks", _:
                return fake.remove_network_if_empty(subject)
            case "GET", "containers", "json" if len(words) == 2:
                filters = query.get("filters", {})
                if "publish" in filters:
                    return []
                return fake.containers(filters.get("label", ()), filters.get("id", ()))
            case "GET", "containers", "json":
                return fake.inspect(subject)
            case "POST", "containers", "create":
                return {"Id": fake.create(query["name"], body)}
            case "POST", "containers", "start":
                return fake.start(subject)
            case "POST", "containers", "stop":
                return fake.stop(subject, int(query["t"]))
            case "POST", "containers", "wait":
                return {"StatusCode": fake.wait(subject, 0.0)}
            case "POST", "containers", "update":
                return fake.update(subject, body)
            case "DELETE", "containers", _:
                return fake.discard(subject) if query.get("force") else fake.remove(subject)
            case _:
                raise AssertionError(f"{method} /{'/'.join(words)}")
