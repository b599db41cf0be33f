"""The words of people, and the process's memory of who is present. Pure data."""

import threading
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

EMPLOYEE = "employee"
CLIENT = "client"
GROUP = "group"

Known: TypeAlias = tuple[int, str, str]  # corp, type, id

MAX_REMEMBERED = 200_000


class PartyRow(NamedTuple):
    """Somebody in a message: `type` is `employee` or `client`, any other is not kept as a person.

    The archive's own party has the same fields in the same order and fits as it is.
    """

    type: str
    id: str
    name: str | None = None


def fold_userid(userid: str) -> str:
    """The form in which employee ids are kept: WeCom's userids do not tell case apart."""
    return userid.strip().lower()


def identity_of(party: tuple[str, str, str | None]) -> tuple[str, str]:
    """The type and id under which a party is one person."""
    kind, identifier, *_ = party
    return str(kind), fold_userid(identifier) if kind == EMPLOYEE else identifier


class KnownPeople:
    """The process's memory of parties and groups whose rows are committed; keeps SQL off the hot path.

    Holds at most `limit` of them; a full memory starts anew, which costs statements and never truth.
    """

    def __init__(self, limit: int = MAX_REMEMBERED) -> None:
        self._limit = limit
        self._known: set[Known] = set()
        self._guard = threading.Lock()

    def missing(
        self, corp_id: int, parties: Iterable[tuple[str, str, str | None]]
    ) -> list[tuple[str, str, str | None]]:
        """The parties not remembered, each once, in the order given; robots and unknowns left out."""
        wanted = {
            identity_of(party): party for party in reversed(list(parties)) if _is_kept(party[0])
        }
        return [
            party
            for identity, party in reversed(wanted.items())
            if (corp_id, *identity) not in self._known
        ]

    def missing_groups(
        self, corp_id: int, groups: Iterable[tuple[str, str | None]]
    ) -> list[tuple[str, str | None]]:
        """The groups not remembered, each once."""
        wanted = {group[0]: group for group in groups}
        return [group for key, group in wanted.items() if (corp_id, GROUP, key) not in self._known]

    def remember(
        self,
        corp_id: int,
        parties: Iterable[tuple[str, str, str | None]],
        groups: Iterable[tuple[str, str | None]] = (),
    ) -> None:
        """Remember what `note_parties` wrote, after its transaction has committed."""
        new = {(corp_id, *identity_of(party)) for party in parties}
        new |= {(corp_id, GROUP, group[0]) for group in groups}
        with self._guard:
            if len(self._known) + len(new) > self._limit:
                self._known = set()
            self._known |= new


def _is_kept(kind: str) -> bool:
    return kind in (EMPLOYEE, CLIENT)
