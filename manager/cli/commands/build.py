"""`build`: builds the bot image."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from manager.errors import OK
from manager.fleet.session import Session
from manager.util import console


def build(session: Session, args: Namespace) -> int:
    """Builds the bot image."""
    from manager.engine.image_build import build_image

    fleet = session.project().fleet
    bot = args.bot or (fleet.project_dir / fleet.bot_dir if fleet.bot_dir else None)
    image = build_image(
        fleet.project_dir,
        tag=args.tag or fleet.image_name,
        bot_dir=Path(bot) if bot else None,
        no_cache=args.no_cache,
        say=console.say,
    )
    console.say(image)
    return OK
