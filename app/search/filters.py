"""What a search is narrowed to, and what the searcher may see at all. Pure data, the same for every engine."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Order: TypeAlias = Literal["newest", "oldest"]


class Visible(NamedTuple):
    """What a scope shows: messages of any of these departments, and those with one employee, by corp and id."""

    departments: frozenset[int] = frozenset()
    employee: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Every field narrows further; an empty tuple or None does not narrow.

    Within a tuple any value will do. `since` (included) and `until` (excluded) are Unix milliseconds.
    `categories`, `severities` and `states` must be met by one and the same finding of the message. `departments` are
    those that an employee in the message belonged to when it was sent.

    `visible` is the searcher's scope, None for everything. Engines compile it into the query, so that totals keep
    the secret too.
    """

    corp_ids: tuple[int, ...] = ()
    advisers: tuple[str, ...] = ()  # employee ids
    clients: tuple[str, ...] = ()
    departments: tuple[int, ...] = ()
    conversation: int | None = None
    direction: str | None = None
    kind: str | None = None
    since: int | None = None
    until: int | None = None
    categories: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    has_media: bool | None = None
    recalled: bool | None = None
    order: Order = "newest"
    visible: Visible | None = None

    def by_finding(self) -> bool:
        """Whether only messages with a certain finding are wanted."""
        return bool(self.categories or self.severities or self.states)

    def narrowing(self) -> bool:
        """Whether the searcher asked for anything besides a corp, an order and the scope."""
        chosen = (
            self.conversation,
            self.direction,
            self.kind,
            self.since,
            self.until,
            self.has_media,
            self.recalled,
        )
        listed = (self.advisers, self.clients, self.departments)
        return self.by_finding() or any(listed) or any(value is not None for value in chosen)

    def sees_nothing(self) -> bool:
        """Whether the scope is empty on one side."""
        return self.visible == Visible()
