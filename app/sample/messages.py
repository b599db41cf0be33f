"""Half a year of talk at the sample company, as contract envelopes in order of time.

The same company, `until` and `count` give the same envelopes, and a larger `count` only adds to them. Ids are
made of the seed and a counter, never of the moment. So the caller keeps `until` beside the data: a second
push then yields nothing but duplicates, while another `until` would give old ids new content.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from itertools import count as numbers
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

from app.archive.domain import Action, Party
from app.sample.company import FIRST_DAY, Assignment, Client, Company
from app.sample.content import Draft, body
from app.sample.dialogue import Said, Scene, cast, fill, scenes, tell
from app.sample.diary import Diary
from app.sample.rooms import ROBOT_PARTY, Directory, Room, insiders, outsider, single
from app.sample.stories import TEAM, Story, stories

Envelope: TypeAlias = dict[str, Any]

SOURCE: Final = "sample"

_ATTEMPTS: Final = 12  # at finding a free moment, before a conversation is dropped
_ACTIONS: Final = {
    "revoke": Action.RECALL,
    "switch": Action.SWITCH,
    "agree": Action.AGREE,
    "disagree": Action.DISAGREE,
}
_QUOTE: Final = "「{}：{}」\n- - - - - - - - - - - - - - -\n{}"
_GREETING_HOURS: Final = (10, 16)  # of the day an adviser takes a client over
_SHARES: Final = (70, 9, 8, 13)  # of 100 conversations, in the order of a teller's places


class Line(NamedTuple):
    """One line with its speaker, seconds after the first line, and the id of the line it takes back."""

    id: str
    sender: Party
    kind: str
    words: str
    offset: int
    recalls: str | None = None


class Told(NamedTuple):
    """A line with its room and moment."""

    at: dt.datetime
    room: Room
    line: Line


class Setting(NamedTuple):
    """A room and its parts: which party speaks for which letter of a scene, and names for its slots."""

    room: Room
    parts: dict[str, Party]
    names: dict[str, str]


def messages(company: Company, until: dt.datetime, count: int = 20_000) -> Iterator[Envelope]:
    """Tell the half year before `until` (aware) in `count` envelopes, oldest first."""
    told = islice(_Teller(company, until).tell(), count)
    in_order = sorted(told, key=lambda each: (each.at, each.line.id))
    return (_envelope(company, each) for each in in_order)


class _Teller:
    """Fills the diary: stories first, then first meetings on their days, then everyday talk."""

    def __init__(self, company: Company, until: dt.datetime) -> None:
        self._company = company
        self._diary = Diary(until)
        self._directory = Directory(company)
        self._clients = self._rng("order").sample(company.clients, len(company.clients))
        self._busy = tuple(accumulate((rank + 10) ** -0.75 for rank in range(len(self._clients))))
        self._teams = [group.group_id for group in company.groups if not group.clients]
        self._families = [group for group in company.groups if group.clients]
        self._experts = [e for e in company.employees if e.department == "family"]
        self._places = {
            "client": self._with_client,
            "group": self._with_family,
            "internal": self._with_colleague,
            "team": self._in_team,
        }

    def tell(self) -> Iterator[Told]:
        """Everything there is to tell, conversation by conversation, without end."""
        for story in stories(self._company):
            yield from self._story(story)
        for number, assignment in enumerate(self._company.assignments):
            if assignment.start >= FIRST_DAY:
                yield from self._first_meeting(number, assignment)
        for number in numbers():
            yield from self._everyday(number)

    def _rng(self, name: str) -> Random:
        return Random(f"{self._company.seed}/{name}")  # noqa: S311

    def _story(self, story: Story) -> Iterator[Told]:
        script, rng = story.script, self._rng(story.script.slug)
        day = self._diary.workday(-script.days_ago)
        setting = self._stage(story, day)
        words = cast(rng, **setting.names)
        said = [Said(line.role, line.kind, fill(line.words, words)) for line in script.lines]
        pauses = [line.after for line in script.lines]
        lines = _lines(said, setting.parts, pauses, story.ids)
        start = self._diary.on(day, rng, script.hour)
        if not self._diary.book(setting.room.key, start, _length(lines)):
            raise ValueError(f"no free moment for the story {script.slug}")
        yield from _dated(start, setting.room, lines)

    def _stage(self, story: Story, day: int) -> Setting:
        adviser = self._directory.staff(story.adviser)
        if story.client:
            client = self._directory.client(story.client)
            parts = {"adviser": adviser, "client": outsider(client)}
            return Setting(single(*parts.values()), parts, _names(adviser, client))
        peer = self._directory.staff(story.colleague or "")
        parts = {"adviser": adviser, "colleague": peer}
        room = (
            self._directory.room(TEAM, day)
            if story.script.place == "team"
            else single(adviser, peer)
        )
        return Setting(room, parts, {})

    def _first_meeting(self, number: int, assignment: Assignment) -> Iterator[Told]:
        rng = self._rng(f"welcome/{number}")
        client = self._directory.client(assignment.client)
        setting = _tete_a_tete(self._directory.staff(assignment.employee), client)
        scene = self._welcome(rng, assignment)
        lines = _improvised(scene, setting, rng, f"s{self._company.seed}-w{number:05d}")
        start = self._diary.on(assignment.start, rng, rng.randint(*_GREETING_HOURS))
        if self._diary.book(setting.room.key, start, _length(lines)):
            yield from _dated(start, setting.room, lines)

    def _welcome(self, rng: Random, assignment: Assignment) -> Scene:
        consenting, taken_over, reluctant = scenes("welcome")
        if self._directory.is_handover(assignment):
            return taken_over
        return rng.choices((consenting, reluctant), (6, 1))[0]

    def _everyday(self, number: int) -> Iterator[Told]:
        rng = self._rng(f"talk/{number}")
        place, sit = rng.choices(tuple(self._places.items()), _SHARES)[0]
        for _ in range(_ATTEMPTS):
            day, start = self._diary.moment(rng)
            setting = sit(rng, day)
            if setting is None:
                continue
            scene = rng.choice(scenes(place))
            lines = _improvised(scene, setting, rng, f"s{self._company.seed}-t{number:05d}")
            if self._diary.book(setting.room.key, start, _length(lines)):
                yield from _dated(start, setting.room, lines)
                return

    def _with_client(self, rng: Random, day: int) -> Setting | None:
        client = rng.choices(self._clients, cum_weights=self._busy)[0]
        adviser = self._directory.serving(client.external_id, day)
        if adviser is None:
            return None
        expert = rng.choice([e for e in self._experts if e.userid != adviser.id])
        setting = _tete_a_tete(adviser, client)
        return setting._replace(
            names=setting.names | {"同事": expert.name, "同事号": expert.userid}
        )

    def _with_family(self, rng: Random, day: int) -> Setting:
        group = rng.choice(self._families)
        room = self._directory.room(group.group_id, day)
        adviser, *helpers = insiders(room)
        client = self._directory.client(rng.choice(group.clients))
        parts = {"顾": adviser, "助": rng.choice(helpers), "客": outsider(client)}
        return Setting(room, parts, _names(adviser, client))

    def _with_colleague(self, rng: Random, day: int) -> Setting:
        one, other = rng.sample(self._directory.present(day), 2)
        return Setting(single(one, other), {"甲": one, "乙": other}, self._gossip(rng))

    def _in_team(self, rng: Random, day: int) -> Setting:
        room = self._directory.room(rng.choice(self._teams), day)
        chief, *others = insiders(room)
        one, other = rng.sample(others, 2)
        parts = {"甲": chief, "乙": one, "丙": other, "机": ROBOT_PARTY}
        return Setting(room, parts, self._gossip(rng))

    def _gossip(self, rng: Random) -> dict[str, str]:
        return {"客户": rng.choice(self._clients).address, "同事": rng.choice(self._experts).name}


def _tete_a_tete(adviser: Party, client: Client) -> Setting:
    parts = {"顾": adviser, "客": outsider(client)}
    return Setting(single(*parts.values()), parts, _names(adviser, client))


def _names(adviser: Party, client: Client) -> dict[str, str]:
    name = adviser.name or ""
    return {"称呼": client.address, "顾问": name, "小顾": f"小{name[0]}"}


def _improvised(scene: Scene, setting: Setting, rng: Random, prefix: str) -> list[Line]:
    said = list(tell(scene, cast(rng, **setting.names)))
    pauses = [_pause(rng, *pair) for pair in pairwise([*said[:1], *said])]
    ids = [f"{prefix}-{number:02d}" for number in range(len(said))]
    return _lines(said, setting.parts, pauses, ids)


def _pause(rng: Random, before: Said, after: Said) -> int:
    if before.who == after.who:
        return rng.randint(4, 40)
    return min(int(rng.lognormvariate(4.3, 1)) + 5, 1800)  # a median of 80 seconds


def _lines(
    said: Sequence[Said], parts: Mapping[str, Party], pauses: Iterable[int], ids: Iterable[str]
) -> list[Line]:
    lines: list[Line] = []
    offset = 0
    for each, pause, line_id in zip(said, pauses, ids, strict=True):
        offset += pause if lines else 0
        lines.append(_line(Line(line_id, parts[each.who], each.kind, each.words, offset), lines))
    return lines


def _line(line: Line, before: Sequence[Line]) -> Line:
    if line.kind == "revoke":
        recalled = next(past.id for past in reversed(before) if past.sender == line.sender)
        return line._replace(recalls=recalled)
    if line.kind == "quote":
        quoted = _QUOTE.format(before[-1].sender.name, before[-1].words, line.words)
        return line._replace(kind="text", words=quoted)
    return line


def _length(lines: Sequence[Line]) -> dt.timedelta:
    return dt.timedelta(seconds=lines[-1].offset)


def _dated(start: dt.datetime, room: Room, lines: Iterable[Line]) -> Iterator[Told]:
    for line in lines:
        yield Told(start + dt.timedelta(seconds=line.offset), room, line)


def _envelope(company: Company, told: Told) -> Envelope:
    line, room = told.line, told.room
    hearers = [] if line.kind == "switch" else room.hearers(line.sender)
    envelope = {
        "corp": company.code,
        "source": SOURCE,
        "source_msg_id": line.id,
        "source_seq": None,
        "sent_at": told.at.isoformat(timespec="milliseconds"),
        "conversation": {"kind": room.kind, "id": room.id, "name": room.name},
        "sender": line.sender._asdict(),
        "recipients": [party._asdict() for party in hearers],
        "kind": line.kind,
        "action": _ACTIONS.get(line.kind, Action.SEND),
        "content": _content(told),
        "recalls": line.recalls,
        "raw": None,
    }
    return envelope | ({"text": line.words} if line.kind == "text" else {})


def _content(told: Told) -> dict[str, Any]:
    line = told.line
    if line.recalls:
        return {"pre_msgid": line.recalls}
    draft = Draft(
        line.words.split(" / "),
        int(told.at.timestamp()),
        line.sender.id,
        told.room.name or "",
        [party.name or "" for party in told.room.members],
        Random(line.id),  # noqa: S311
    )
    return body(line.kind, draft)
