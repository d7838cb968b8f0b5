"""Route what changes something: each route starts one of the manager's own commands."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from manager.i18n import Text
from manager.monitor.stats.instance_stats import InstanceStats
from manager.monitor.top import confirm
from manager.web import models
from manager.web.actions import Action, Verb
from manager.web.desk import Desk
from manager.web.problems import problem

HALT = "halt"


def routes_of_actions(desk: Desk) -> APIRouter:
    """Return the routes below /api/v1."""
    router = APIRouter()

    @router.get(
        "/instances/{instance_id}/actions/{verb}",
        response_model=models.Question,
        summary="What a person should know before an action: what `top` asks",
    )
    def question(instance_id: models.InstanceId, verb: Verb) -> Any:
        row = desk.known_row(instance_id)
        return {"sentences": confirm.before(verb, row), "needs_id": _needs_id(desk, row)}

    @router.post(
        "/instances/{instance_id}/actions",
        response_model=models.Action,
        status_code=202,
        summary="Start, stop or restart one instance, as `manager VERB ID` does",
    )
    def act(instance_id: models.InstanceId, asked: models.Asked, request: Request) -> Any:
        row = desk.known_row(instance_id)
        if row.id.startswith("-"):  # a command line would take it for an option
            return problem(403, Text("no instance {id}", id=row.id))
        if _needs_id(desk, row) and asked.confirm != row.id:
            return problem(409, Text("{id} trades real money: type its id to confirm", id=row.id))
        return _begun(desk, asked.verb, row.id, [row.id], request)

    @router.post(
        "/halt",
        response_model=models.Action,
        status_code=202,
        summary="The kill switch: stop everything at once, as `manager halt` does",
    )
    def halt(_asked: models.HaltAsked, request: Request) -> Any:
        return _begun(desk, HALT, "", [row.id for row in desk.lookout.latest.rows], request)

    @router.get("/actions", response_model=list[models.Action], summary="The last actions, the newest first")
    def actions() -> Any:
        return [each._asdict() for each in desk.actions.all()]

    @router.get(
        "/actions/{number}", response_model=models.Action, summary="One action and what it has printed"
    )
    def action(number: int) -> Any:
        found = desk.actions.find(number)
        if found is None:
            raise HTTPException(404)
        return found._asdict()

    return router


def _needs_id(desk: Desk, row: InstanceStats) -> bool:
    """Return whether the id has to be typed: it trades real money, or nobody can see now whether it does."""
    return row.is_live or not desk.is_fresh()


def _begun(
    desk: Desk, verb: str, instance: str, concerned: list[str], request: Request
) -> dict[str, Any] | JSONResponse:
    desk.readers.note()
    try:
        begun: Action = desk.actions.begin(
            verb, instance, concerned, desk.lookout.latest.fleet, request.state.session
        )
    except OSError as error:
        why = error.strerror or error
        return problem(500, Text("cannot run {verb} {id}: {why}", verb=verb, id=instance, why=why))
    return begun._asdict()
