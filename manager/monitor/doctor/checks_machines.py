"""Check the trader's other machines: which tell nothing, where older copies trade, shared accounts.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from manager.i18n import Text
from manager.monitor.doctor.findings import Finding, fail, ok, warn
from manager.ops.hosts import account_looks
from manager.ops.hosts.account_looks import HostAnswer
from manager.ops.hosts.generations import Lost, Twin
from manager.ops.hosts.shared_accounts import SharedAccount
from manager.ops.move.interrupted import Interrupted


def check_all(
    answers: Sequence[HostAnswer],
    twins: Iterable[Twin],
    shared: Sequence[SharedAccount],
    lost: Iterable[Lost] = (),
) -> Iterator[Finding]:
    """Yield all findings about them. `lost`: moved instances that are no longer where they went."""
    for answer in answers:
        host = answer.host.name
        if answer.why is not None:
            yield fail(
                "host",
                Text("{host}: does not report its accounts: {why}", host=host, why=answer.why),
                Text("run `manager host check {host}`; its bots may well be trading", host=host),
            )
        elif answer.same_as:
            yield warn(
                "host",
                Text("{host}: is {other} under another name", host=host, other=answer.same_as),
                Text("run `manager host remove {host}`; one name is enough", host=host),
            )
        elif answer.look is not None and answer.look.generations is None:
            yield warn(
                "host",
                Text("{host}: an earlier manager, which does not report moved instances", host=host),
                Text("run `manager host deploy {host}`", host=host),
            )
        else:
            yield ok("host", Text("{host}: reports its accounts", host=host))
            for text in account_looks.other_versions([answer]):
                yield warn("host", text, Text("commands that only one of the two versions knows fail"))
    twin = None
    for twin in twins:
        yield fail(
            "twin",
            twin.text,
            Text("only keys that are bound to a machine's address keep such a copy from trading"),
        )
    if twin is None:
        yield ok("twin", Text("no older copy of a moved instance trades"))
    for moved in lost:
        yield fail(
            "lost", moved.text, Text("without such a backup, close what it holds at the exchange's own page")
        )
    for account in shared:
        yield fail(
            "shared-account",
            account.text,
            Text("give each bot an account of its own, as a sub-account of the exchange, or another symbol"),
        )
    if not shared:
        yield ok("shared-account", Text("no two bots of different machines are known to share an account"))


def of_moves(moves: Iterable[Interrupted]) -> Iterator[Finding]:
    """Yield the findings of moves that were interrupted."""
    for move in moves:
        yield fail(
            "move", move.text, Text("until then nothing reacts to fills of the orders that it has left open")
        )
