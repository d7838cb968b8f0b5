"""Route what concerns the trader's other machines: what runs there, and the kill switch over all of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from manager.web.web_side import models_actions, models_hosts
from manager.web.web_side.app_state import AppState, who


def routes_of_hosts(app_state: AppState) -> APIRouter:
    """Return the routes below /api/v1."""
    router = APIRouter()
    ask = app_state.link.ask

    @router.get(
        "/hosts",
        response_model=models_hosts.Hosts,
        summary="The other machines and their instances, as they were last seen",
    )
    def hosts() -> Any:
        return ask("hosts")

    @router.post(
        "/hosts/halt",
        response_model=models_actions.Action,
        status_code=202,
        summary="The kill switch over all machines, as `manager halt --hosts` does",
    )
    async def halt(_asked: models_actions.HaltRequest, request: Request) -> Any:
        return await app_state.ask_at_once("halt_hosts", by=who(request.state.session))

    return router
