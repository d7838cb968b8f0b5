"""`build`: builds the bot image."""

from __future__ import annotations

from pathlib import Path

from manager.errors import OK
from manager.fleet.session import Context
from manager.util import console


def build(context: Context) -> int:
    """Builds the bot image."""
    from manager.engine.image_build import build_image

    fleet = context.project().fleet
    bot = context.args.bot or (fleet.project_dir / fleet.bot_dir if fleet.bot_dir else None)
    image = build_image(
        fleet.project_dir,
        tag=context.args.tag or fleet.image_name,
        bot_dir=Path(bot) if bot else None,
        no_cache=context.args.no_cache,
        say=console.say,
    )
    console.say(image)
    return OK
