"""Tell why no engine answers: slow, forbidden and absent are different errors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from manager.engine import http_socket
from manager.errors import EngineSlow, EngineUnreachable

if TYPE_CHECKING:
    from manager.engine.endpoint import Endpoint


def no_answer(why: object, endpoint: Endpoint, cause: BaseException | None = None) -> EngineUnreachable:
    """Return the error for an engine that does not answer."""
    causes = _causes(cause)
    if any(isinstance(error, TimeoutError | http_socket.TooSlow) or _is_timeout(error) for error in causes):
        return EngineSlow("the Docker Engine at {endpoint} is slow: {why}", why=why, endpoint=endpoint)
    if any(isinstance(error, PermissionError) for error in causes):
        return EngineUnreachable(
            "permission denied for the Docker Engine at {endpoint} ({why}): run `sudo usermod -aG docker"
            " {user}`, then log in again, or `newgrp docker`",
            why=why,
            endpoint=endpoint,
            user=os.environ.get("USER") or os.geteuid(),
        )
    from manager.util import bundle

    return EngineUnreachable(
        "no Docker Engine answers ({endpoint}: {why}); start it, or run `{command}`",
        why=why,
        endpoint=endpoint,
        command=bundle.engine_command(),
    )


def _is_timeout(error: BaseException) -> bool:
    """Return whether it is a timeout; each of the SDK's layers has its own exception."""
    return "Timeout" in type(error).__name__ or "timed out" in str(error)


def _causes(error: BaseException | None) -> list[BaseException]:
    causes = []
    while error is not None and error not in causes:
        causes.append(error)
        error = error.__cause__ or error.__context__
    return causes
