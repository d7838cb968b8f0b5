"""Run `ps`: the fleet as a table, as JSON, or as a screen that refreshes itself."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from manager.cli.notices import (
    after_showing,
    interrupted_moves,
    one_output,
    say_foreign,
    say_interrupted_moves,
    say_strays,
    stray_texts,
)
from manager.errors import BAD_CONFIG, OK, ManagerError, UsageError
from manager.fleet import display, doing, instances_json, instances_json_refresh
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.i18n import _, bracketed, labelled, listed, mark
from manager.typed import TYPE_CHECKING
from manager.util import console, formatting
from manager.util.text_table import Column

if TYPE_CHECKING:
    from argparse import Namespace


def ps(session: Session, args: Namespace) -> int:
    """Print the fleet as a table, or as a JSON array."""
    if args.group and args.json:
        raise UsageError("--group cannot be used with --json, where every object has its tags")
    one_output(args)
    if args.watch is not None:
        return _watch(session, args)
    snapshot = session.observe()
    views = _reported(chosen(selected(Selection(args.ids, args.config), snapshot), args), snapshot, args)
    is_ours = say_foreign(snapshot)
    if args.json:
        console.say_json(display.ps_objects(views))
    elif args.format:
        console.say(_drawn(views, args.format, grouped=args.group))
    else:
        console.say(_table(views, snapshot, console.terminal_width(), grouped=args.group))
    say_strays(snapshot, Selection(args.ids, args.config))
    say_interrupted_moves(snapshot, Selection(args.ids, args.config))
    instances_json_refresh.refresh(session, snapshot, instances_json.find_pids(snapshot), console.warning)
    return after_showing(snapshot, Selection(args.ids, args.config)) if is_ours else BAD_CONFIG


def _reported(views: Iterable[Instance], snapshot: FleetSnapshot, args: Namespace) -> list[Instance]:
    """Return the instances with their bots' last reports, in the requested order."""
    reported = doing.with_reports(snapshot.project.fleet, views)
    return sorted(reported, key=doing.by_urgency) if args.sort == "worst" else reported


def chosen(views: Iterable[Instance], args: Namespace) -> list[Instance]:
    """Return the instances that match every filter. Case is ignored, and `SOL*` matches a prefix."""
    return [
        view
        for view in views
        if _matches(args.state, [view.status.state])
        and _matches(args.mode, [view.mode])
        and _matches(args.exchange, [view.exchange])
        and _matches(args.symbol, [view.symbol])
        and _matches(args.tag, tags_of(view))
    ]


def tags_of(view: Instance) -> Sequence[str]:
    """Return the tags in its config."""
    return view.spec.tags if view.spec else ()


def by_tag(views: Sequence[Instance]) -> dict[str, list[Instance]]:
    """Return tag → its instances; one with several tags is in each group, untagged ones in the last, with an
    empty name.
    """
    tags = sorted({tag for view in views for tag in tags_of(view)})
    groups = {tag: [view for view in views if tag in tags_of(view)] for tag in tags}
    untagged = [view for view in views if not tags_of(view)]
    return {**groups, "": untagged} if untagged else groups


def _matches(patterns: Sequence[str], values: Iterable[str | None]) -> bool:
    if not patterns:
        return True
    from fnmatch import fnmatchcase

    return any(
        fnmatchcase((value or "").casefold(), pattern.casefold()) for pattern in patterns for value in values
    )


def _table(views: Sequence[Instance], snapshot: FleetSnapshot, width: int | None, *, grouped: bool) -> str:
    if not snapshot.views:
        return _("no instances: create a config in config/active with `manager new`")
    if not views:
        return _("no instances match")
    if not grouped:
        return display.ps_table(views, width).text
    return _grouped(views, width)


def _drawn(views: Sequence[Instance], style: str, *, grouped: bool) -> str:
    """Return every column, for any width; with --group an instance has one row per tag."""
    if not grouped:
        return console.table(display.PS_COLUMNS, views, style)
    columns = [Column[TaggedView]("tag", mark("TAG"), lambda row: row[0])]
    columns += [_of_view(column) for column in display.PS_COLUMNS]
    rows = [(tag, view) for tag, members in by_tag(views).items() for view in members]
    return console.table(columns, rows, style)


TaggedView = tuple[str, Instance]


def _of_view(column: Column[Instance]) -> Column[TaggedView]:
    return Column(column.name, column.heading, lambda row: column.cell(row[1]), None, column.align)


def _grouped(views: Sequence[Instance], width: int | None) -> str:
    groups = by_tag(views)
    table = display.ps_table([view for members in groups.values() for view in members], width)
    rows, lines = iter(table.rows), [table.head]
    for tag, members in groups.items():
        lines.append(f"{tag or _('(no tag)')}{bracketed(len(members))}")
        lines += [line for _member in members for line in next(rows)]
    return "\n".join(lines)


def _watch(session: Session, args: Namespace) -> int:
    if args.format:
        raise UsageError("--format cannot be used with --watch, which fits the terminal")
    if args.json or not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; in a script, call `manager ps --json` repeatedly")
    from manager.util import screen

    first = session.observe()  # what is wrong with the command line is said before the screen is taken
    chosen(selected(Selection(args.ids, args.config), first), args)
    screen.redraw_every(lambda width: _frame(session, args, width), args.watch)
    return OK


def _frame(session: Session, args: Namespace, width: int) -> str:
    """Return one screen: a summary line, the table, and the problems."""
    now = formatting.clock(time.time())
    try:
        snapshot = session.observe()
        views = _reported(chosen(selected(Selection(args.ids, args.config), snapshot), args), snapshot, args)
    except ManagerError as error:
        return f"{now}  {labelled(_('error'), error)}"
    states = Counter(view.status.state for view in views)
    counts = listed(f"{count} {display.coloured(state, _(state))}" for state, count in states.items())
    named = Selection(args.ids, args.config).named(snapshot.project)
    problems = [
        *snapshot.foreign(),
        *snapshot.project.problems_of(named),
        *stray_texts(snapshot, named),
        *interrupted_moves(snapshot, named),
    ]
    return "\n".join(
        [
            f"{snapshot.project.fleet.name}  {now}  {counts}",
            "",
            _table(views, snapshot, width, grouped=args.group),
            *(labelled(_("error"), problem) for problem in problems),
        ]
    )
