"""Route what changes something: the engine side starts one of the manager's own commands for each."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from manager.web.protocol import ActionVerb
from manager.web.web_side import models, models_actions
from manager.web.web_side.app_state import AppState, who
from manager.web.web_side.bot_pages import url_of_page


def routes_of_actions(app_state: AppState) -> APIRouter:
    """Return the routes below /api/v1."""
    router = APIRouter()
    ask = app_state.link.ask

    @router.get(
        "/instances/{instance_id}/actions/{verb}",
        response_model=models_actions.Question,
        summary="What a person should know before an action: what `top` asks",
    )
    def question(instance_id: models.InstanceId, verb: ActionVerb) -> Any:
        return ask("question", instance=instance_id, verb=verb)

    @router.post(
        "/instances/{instance_id}/actions",
        response_model=models_actions.Action,
        status_code=202,
        summary="Start, stop, restart, upgrade or close one instance, leave its alerts, ask its exchange",
    )
    def act(instance_id: models.InstanceId, asked: models_actions.ActionRequest, request: Request) -> Any:
        return ask("act", instance=instance_id, by=who(request.state.session), **asked.model_dump())

    @router.post(
        "/instances/{instance_id}/page",
        response_model=models_actions.OwnPage,
        summary="Open a bot's own page, at an origin of its own",
    )
    def page(instance_id: models.InstanceId, request: Request) -> Any:
        return {"url": url_of_page(app_state, instance_id, request)}

    @router.post(
        "/halt",
        response_model=models_actions.Action,
        status_code=202,
        summary="The kill switch: stop everything at once, as `manager halt` does",
    )
    async def halt(_asked: models_actions.HaltRequest, request: Request) -> Any:
        return await app_state.ask_at_once("halt", by=who(request.state.session))

    @router.get(
        "/actions",
        response_model=list[models_actions.Action],
        summary="The last actions, the newest first",
    )
    async def actions() -> Any:
        return await app_state.ask_of_actions("actions")

    @router.get(
        "/actions/{number}",
        response_model=models_actions.Action,
        summary="One action and what it has printed",
    )
    async def action(number: int) -> Any:
        return await app_state.ask_of_actions("action", number=number)

    return router
