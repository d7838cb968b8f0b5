"""Run `build`: build the bot image. `up` does it too if there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from manager.errors import OK, ImageMissing
from manager.fleet import bot_options_file
from manager.fleet.session import Session
from manager.i18n import Text
from manager.typed import TYPE_CHECKING
from manager.util import console

if TYPE_CHECKING:
    from argparse import Namespace


def build(session: Session, args: Namespace) -> int:
    """Build the bot image. Its id is printed for programs only, at the end of what a pipe gets."""
    image_id = _build(session, args.tag, args.bot, console.say, no_cache=args.no_cache)
    if not sys.stdout.isatty():
        console.say(image_id)
    return OK


def with_image(session: Session, args: Namespace, perform: Callable[[], int]) -> int:
    """Return the result of `perform`; if the fleet's image is missing, build it and try again.

    Not if fleet.toml names an image: ours under that name would start the wrong bots.
    """
    session.warned = set()
    try:
        return perform()
    except ImageMissing:
        fleet = session.project().fleet
        if fleet.image:
            raise
        say = console.warn if args.json else console.say
        say(
            Text(
                "the image {image} does not exist: building it, which takes some minutes",
                image=fleet.image_name,
            )
        )
        _build(session, "", "", say)
    return perform()


def _build(
    session: Session, tag: str, bot: str, say: Callable[[str], None], *, no_cache: bool = False
) -> str:
    from manager.engine.image_build import build_image

    fleet = session.project().fleet
    if not tag:
        # Two folders with one fleet name share the image's name: the other fleet's bots would run an image of
        # ours.
        session.observe().require_ours()
    folder = bot or (fleet.project_dir / fleet.bot_dir if fleet.bot_dir else None)
    engine = session.engine()

    def try_bot(image: str) -> None:
        from manager.ops.checks import build_probe

        specs = [] if tag else session.project().specs.values()
        options = build_probe.probe(engine, image, fleet.name, specs, console.warning)
        if not tag:
            bot_options_file.save(fleet, options)

    return build_image(
        engine,
        fleet.project_dir,
        tag=tag or fleet.image_name,
        bot_dir=Path(folder) if folder else None,
        no_cache=no_cache,
        say=say,
        try_bot=try_bot if folder else None,
    )
