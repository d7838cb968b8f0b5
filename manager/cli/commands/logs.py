"""Run `logs`: the output of one or many bots, in order, also as it arrives."""

from __future__ import annotations

from collections.abc import Iterable

from manager.engine.streams import STREAMS
from manager.errors import OK, EngineUnreachable, ManagerError, UsageError
from manager.fleet import listing
from manager.fleet.selection import Selection, require_known
from manager.fleet.session import Session
from manager.i18n import Text, labelled
from manager.monitor.logs.printing import Printer
from manager.monitor.logs.source import LogQuery, Source
from manager.typed import TYPE_CHECKING, NamedTuple
from manager.util import console

if TYPE_CHECKING:
    from argparse import Namespace

    from manager.config.fleet import Fleet
    from manager.engine.containers import Container, Observed
    from manager.fleet.project import Project
    from manager.monitor.logs.lines import LogLine


class Shown(NamedTuple):
    """Hold an instance whose output is shown."""

    id: str
    log_dir: str
    container: Container | None


def logs(session: Session, args: Namespace) -> int:
    """Print the bots' output; with -f continuously, across restarts and recreations."""
    fleet = session.settings()
    engine = session.engine(fleet.parallelism)
    observed = listing.observed(fleet.name, engine)
    if args.follow and args.until is not None:
        raise UsageError("--until cannot be used with --follow")
    if args.since is not None and args.until is not None and args.since > args.until:
        raise UsageError("--since is later than --until")
    pattern = None
    if args.grep:
        from manager.monitor.logs.pattern import Pattern

        pattern = Pattern(args.grep)
    wanted = LogQuery(
        args.follow,
        not args.follow or args.tail is not None or args.since is not None,
        None if pattern else args.tail,  # the last N that match: chosen from all of them
        args.since,
        args.until,
        STREAMS[1:] if args.errors else STREAMS,
        pattern.may_match if pattern else None,
    )
    views = _by_labels(args, observed) or _selected(
        Selection(args.ids, args.config), session.project(), observed, wanted
    )
    _say_where_from(views, fleet, wanted)
    sources = {
        view.id: Source(
            engine,
            fleet.name,
            view.id,
            fleet.data_dir / view.log_dir,
            wanted,
            console.warning,
            view.container.id if view.container else None,
        )
        for view in views
    }
    printer = Printer(list(sources), stamps=args.timestamps, as_json=args.json)
    if len(sources) == 1 and wanted.tail is not None and not wanted.follow:
        [(instance, source)] = sources.items()
        return _print_last(instance, source, printer)
    from manager.cli.multiplexed_logs import Multiplexer  # threads and queues: few lines of one come without

    _raise_file_limit()
    return Multiplexer(engine, sources, follow=args.follow).run(
        printer, pattern, args.tail if pattern else None
    )


def _print_last(instance: str, source: Source, printer: Printer) -> int:
    """Print the last lines of one instance. Returns the exit code."""
    lines: list[LogLine] = []
    error: ManagerError | None = None
    try:
        for line in source.past():
            lines.append(line)  # one by one: those before an error are shown
    except ManagerError as caught:
        error = caught
    printer.show(instance, lines)
    printer.flush()
    if error is None:
        return OK
    if isinstance(error, EngineUnreachable):
        raise error
    console.error(labelled(instance, error))
    return error.exit_code


def _raise_file_limit() -> None:
    """Allow a connection and some files per instance: two hundred exceed the usual limit of 1024."""
    import resource
    from contextlib import suppress

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS has a lower one than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _by_labels(args: Namespace, observed: Observed) -> list[Shown] | None:
    """Return the instances named by their ids, if their containers' labels tell all that is asked for.

    None otherwise: configs and the fleet's state are most of the work.
    """
    if args.config or not args.ids:
        return None
    shown = []
    for instance in dict.fromkeys(args.ids):
        container = observed.containers.get(instance)
        log_dir = listing.labelled_log_dir(container)
        if log_dir is None:
            return None
        shown.append(Shown(instance, log_dir, container))
    return shown


def _selected(selection: Selection, project: Project, observed: Observed, wanted: LogQuery) -> list[Shown]:
    """Return the named instances; without any, all that have output."""
    fleet, containers = project.fleet, observed.containers
    named = selection.named(project)
    if named is not None and all(instance in containers for instance in named):
        return [_shown(instance, containers[instance], project) for instance in named]
    from manager.fleet import observe

    # without the image and what drifted, which no line depends on
    snapshot = observe.assemble(
        project, observed, observe.NO_IMAGE, made_before=dict.fromkeys(project.specs, ())
    )
    if named is None:
        shown = [_shown(view.id, view.container, project) for view in snapshot.views.values()]
        if not (views := [view for view in shown if _has_lines(view, fleet, wanted)]):
            raise UsageError("there are no instances")
        return views
    for instance in named:
        require_known(instance, snapshot)
        view = _shown(instance, containers.get(instance), project)
        if not (wanted.follow or _has_lines(view, fleet, wanted)):
            folder = fleet.relative(fleet.data_dir / view.log_dir)
            raise ManagerError(
                "{id} has no container, and no dated logs in {folder}", id=instance, folder=folder
            )
    return [_shown(instance, containers.get(instance), project) for instance in named]


def _shown(instance: str, container: Container | None, project: Project) -> Shown:
    return Shown(instance, listing.log_dir_of(instance, container, project.specs.get(instance)), container)


def _has_lines(view: Shown, fleet: Fleet, wanted: LogQuery) -> bool:
    return view.container is not None or (wanted.past and (fleet.data_dir / view.log_dir).is_dir())


def _say_where_from(views: Iterable[Shown], fleet: Fleet, wanted: LogQuery) -> None:
    """Print a note if lines come from files, because users expect a container."""
    ids = ", ".join(view.id for view in views if view.container is None)
    if ids and wanted.past:
        folder = fleet.relative(fleet.export_file.parent)
        console.warning(
            Text("no container: {ids}; the lines are from the files in {folder}", ids=ids, folder=folder)
        )
    elif ids:
        console.warning(Text("no container: {ids}; waiting for one", ids=ids))
