"""Any request that the API's own document allows, and many that it does not: never a fault of the server's.

Schemathesis makes the requests out of the document, and holds the answers against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.web.served import Served, a_bot, serving, signed_in, write_history

if TYPE_CHECKING:
    import schemathesis

STREAMS = ("/api/v1/events", "/api/v1/logs")
"""These do not end by themselves."""
CASES, LONG_CASES = 8, 120
"""Of each operation and way of asking."""
LEAST, LEAST_LONG = 60, 1000


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Live bots alone, so that no id that is made up starts a command; what halts them finds no engine."""
    figures = {"pnl": "10.5", "quote": "USDC", "base": "SOL"}
    with serving(
        tmp_path, [a_bot("bp_sol_01", **figures), a_bot("bp_old_01", "stopped", code=None)]
    ) as running:
        write_history(running.backend.session, {"bp_sol_01": ["0", "5"]})
        running.look()  # before it, /metrics says 503
        yield running


@pytest.mark.timeout(900)
def test_every_answer_is_as_the_document_says(served: Served, request: pytest.FixtureRequest) -> None:
    import schemathesis  # half a second for each worker that only collects
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as of_openapi

    held = [
        checks.not_a_server_error,
        of_openapi.status_code_conformance,
        of_openapi.content_type_conformance,
        of_openapi.response_schema_conformance,
    ]
    is_long = request.config.getoption("--long")
    reader = signed_in(served)
    _status, _headers, document = reader.get("/api/v1/openapi.json")
    document["paths"] = {path: item for path, item in document["paths"].items() if path not in STREAMS}
    headers = {"X-Botfleet-Token": reader.token, "Cookie": reader.cookie, "Accept-Language": "en"}
    count = 0

    def ask(case: schemathesis.Case[Any]) -> None:
        nonlocal count
        count += 1
        case.headers.update(headers)
        case.cookies.clear()
        case.call_and_validate(base_url=served.url, checks=held, timeout=30)

    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]
        has_input = bool(operation.path_parameters or operation.query or operation.body)
        for mode in schemathesis.GenerationMode if has_input else [schemathesis.GenerationMode.POSITIVE]:
            asking = given(case=operation.as_strategy(generation_mode=mode))(ask)
            with_many_cases(LONG_CASES if is_long else CASES)(asking)()
    assert count >= (LEAST_LONG if is_long else LEAST)


def with_many_cases(count: int) -> settings:
    """Return what says how many, the same ones each time."""
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
