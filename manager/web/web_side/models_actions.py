"""Describe what can be asked of the API beyond reading: a sign-in, an action; and how an action goes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from manager.web.protocol import MAX_KEY, MAX_TIME, ActionVerb
from manager.web.web_side.models import Answer


class Question(Answer):
    """Describe what a person should know before an action."""

    sentences: list[str]
    needs_id: bool = Field(description="whether the id has to be typed: real money")
    until: float | None = Field(description="of `snooze`: the time that it has without another one")


class OwnPage(Answer):
    """Tell where a bot's own page is."""

    url: str = Field(description="opens it once, within a minute, in one browser")


class ActionRequest(BaseModel):
    """Describe an action to carry out. `confirm`: the instance's id, needed where it trades real money."""

    verb: ActionVerb
    confirm: str = Field("", max_length=200)
    until: str = Field(
        "",
        max_length=MAX_TIME,
        description="of `snooze`: 30m, 8h, 2d, a time of day, or a date and time; empty: the next 08:00",
    )
    key: str = Field(
        "",
        max_length=MAX_KEY,
        description="what the asker has made up for this: asked for again with it, it is carried out once",
    )
    asked_at: float | None = Field(
        None,
        ge=0,
        le=1e12,
        description="of what is asked for again, because no answer came: when it was at first",
    )


class HaltRequest(BaseModel):
    """Describe the kill switch, for the whole fleet, or for this machine and all others."""

    confirm: Literal["halt"]


class Action(Answer):
    """Describe a command of the manager's in a process of its own. `exit_code`: null while it runs."""

    number: int
    command: str
    instance: str
    at: float
    lines: list[str] = Field(description="what it has printed; tabs are between the cells of a table")
    exit_code: int | None


class SignIn(BaseModel):
    """Describe the secret of the printed link, or a password, with a one-time code where one is asked for.

    `nonce`: what a browser has made up for its link, so that it can ask again where the answer got lost.
    """

    link: str = Field("", max_length=200)
    nonce: str = Field("", max_length=100)
    password: str = Field("", max_length=1000)
    code: str = Field("", max_length=10)
