"""Envelopes by the million: contract lines for load tests, put together from pieces rendered beforehand.

2,000 advisers, 100,000 clients and 1,500 groups, all weighted as in a business where few speak most; 181 days
from `START` in the rhythm of working weeks, oldest first; about 0.2 % breaches. The same count and seed give
the same bytes; ids come from a counter, so another count gives old ids new moments.
"""

import datetime as dt
import json
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, TypeAlias, TypeVar

from app.sample.company import DAYS, SEED
from app.sample.content import Draft, body
from app.sample.dialogue import SLOT
from app.sample.diary import HOURS, SATURDAY, WEEKEND
from app.sample.roster import CORP, SHANGHAI
from app.sample.vocabulary import BITS, Table, person, tables

SOURCE: Final = "load"
START: Final = dt.datetime(2025, 1, 1, tzinfo=SHANGHAI)
ADVISERS: Final = 2_000
CLIENTS: Final = 100_000
GROUPS: Final = 1_500

_FOLDER: Final = Path(__file__).parent / "phrases"
_HOUR_MS: Final = 3_600_000
_GROUP_SHARE: Final = 0.08
_INBOUND_SHARE: Final = 0.45  # of single chats
_BREACH_SHARE: Final = 0.0038  # of what advisers write to one client: 0.2 % of everything
_MEDIA_SHARE: Final = 0.05
_PHRASE_BITS: Final = 12
_SINGLE: Final = '"conversation":{"kind":"single","id":null,"name":null}'
_TAILS: Final = (*[""] * 8, "，谢谢", "~", "。", "。", "[玫瑰]", "😊", "，不急", "，以合同为准")

T = TypeVar("T")


class Phrase(NamedTuple):
    """A sentence as a %-frame with the tables that fill it."""

    frame: str
    slots: tuple[Table, ...]


Phrases: TypeAlias = list[Phrase]  # 2 ** _PHRASE_BITS of them, drawn by weight


class Voices(NamedTuple):
    """What each side says."""

    adviser: Phrases
    client: Phrases
    group: Phrases
    breach: Phrases


class Head(NamedTuple):
    """The JSON of conversation, sender and recipients, and what the sender may say."""

    json: str
    phrases: Phrases


def load(count: int, seed: int = SEED) -> Iterator[bytes]:
    """Yield `count` lines of NDJSON, each one envelope of the contract."""
    rng = Random(f"{seed}/load")  # noqa: S311
    words = tables(rng)
    voices = Voices(*(_phrases(name, words, rng) for name in Voices._fields))
    next_head, next_message = _heads(rng, voices), _messages(rng, voices)
    for number, moment in enumerate(_moments(rng, count)):
        head = next_head()
        yield (
            f'{{"corp":"{CORP}","source":"{SOURCE}","source_msg_id":"l{seed}-{number}",'
            f'"source_seq":{number},"sent_at":"{moment}",{head.json},{next_message(head.phrases)},'
            '"recalls":null,"raw":null}\n'
        ).encode()


def _phrases(name: str, words: dict[str, Table], rng: Random) -> Phrases:
    lines = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    phrases = [_phrase(line, words) for line in lines]
    return rng.choices(
        rng.sample(phrases, len(phrases)), _falling(len(phrases), 0.75, 3), k=1 << _PHRASE_BITS
    )


def _phrase(line: str, words: dict[str, Table]) -> Phrase:
    frame = SLOT.sub("%s", line.replace("%", "%%"))
    return Phrase(frame, tuple(words[slot] for slot in SLOT.findall(line)))


def _falling(size: int, power: float, start: float) -> list[float]:
    """Weights that fall with the rank, as Zipf found them."""
    return [(rank + start) ** -power for rank in range(size)]


def _by_weight(items: Sequence[T], rng: Random, power: float, start: float) -> Callable[[], T]:
    """Make a picker that prefers the first items."""
    shares = list(accumulate(_falling(len(items), power, start)))
    total, draw = shares[-1], rng.random
    return lambda: items[bisect(shares, draw() * total, 0, len(items) - 1)]


def _messages(rng: Random, voices: Voices) -> Callable[[Phrases], str]:
    """Make a writer of the rest of an envelope: kind, action, and text or content."""
    bits, draw = rng.getrandbits, rng.random
    media = _media(rng)

    def fill(phrases: Phrases) -> str:
        frame, slots = phrases[bits(_PHRASE_BITS)]
        return frame % tuple([slot[bits(BITS)] for slot in slots])

    def text(phrases: Phrases) -> str:
        written = fill(phrases)
        if len(written) < 22 and draw() < 0.55:  # noqa: PLR2004
            written = f"{written}，{fill(phrases)}"
        if phrases is voices.adviser and draw() < _BREACH_SHARE:
            written = fill(voices.breach)
        return written + _TAILS[bits(4)]

    def message(phrases: Phrases) -> str:
        if draw() < _MEDIA_SHARE:
            return media[bits(10)]
        return f'"kind":"text","action":"send","text":"{text(phrases)}","content":{{}}'

    return message


def _media(rng: Random) -> list[str]:
    kinds = {
        "image": "",
        "voice": "12",
        "file": "样例月度报告.pdf",
        "link": "样例市场观察 / 每周一期",
    }
    return [
        _medium(kind, kinds[kind], rng)
        for kind in rng.choices(list(kinds), (6, 3, 2, 1), k=1 << 10)
    ]


def _medium(kind: str, words: str, rng: Random) -> str:
    draft = Draft(words.split(" / "), int(START.timestamp()), "", "", [], rng)
    content = json.dumps(body(kind, draft), ensure_ascii=False)
    return f'"kind":"{kind}","action":"send","content":{content}'


def _heads(rng: Random, voices: Voices) -> Callable[[], Head]:
    """Make a picker of who speaks to whom: a client with her adviser either way, or somebody in a group."""
    advisers = [_party("employee", f"load{n:04d}", rng) for n in range(ADVISERS)]
    clients = [_party("client", f"wmLoad{n:06d}", rng) for n in range(CLIENTS)]
    serving = rng.choices(advisers, _falling(ADVISERS, 0.6, 30), k=CLIENTS)
    pick_pair = _by_weight(list(zip(clients, serving, strict=True)), rng, 0.75, 200)
    pick_room = _by_weight(
        [_room(n, rng, advisers, clients, voices) for n in range(GROUPS)], rng, 0.6, 20
    )
    draw, choose = rng.random, rng.choice

    def head() -> Head:
        kind = draw()
        if kind < _GROUP_SHARE:
            return choose(pick_room())
        client, adviser = pick_pair()
        if draw() < _INBOUND_SHARE:
            return Head(f'{_SINGLE},"sender":{client},"recipients":[{adviser}]', voices.client)
        return Head(f'{_SINGLE},"sender":{adviser},"recipients":[{client}]', voices.adviser)

    return head


def _party(kind: str, party_id: str, rng: Random) -> str:
    return f'{{"type":"{kind}","id":"{party_id}","name":"{person(rng)}"}}'


def _room(
    number: int, rng: Random, advisers: list[str], clients: list[str], voices: Voices
) -> list[Head]:
    """Every third room is internal; the others are for two advisers and four clients."""
    place = (
        f'"conversation":{{"kind":"group","id":"wrLoad{number:04d}","name":"样例群{number:04d}"}}'
    )
    if number % 3 == 0:
        return _speakers(place, [(one, voices.group) for one in rng.sample(advisers, 8)])
    staff = [(one, voices.adviser) for one in rng.sample(advisers, 2)]
    return _speakers(place, staff + [(one, voices.client) for one in rng.sample(clients, 4)])


def _speakers(place: str, members: list[tuple[str, Phrases]]) -> list[Head]:
    def head(speaker: str, phrases: Phrases) -> Head:
        others = ",".join(party for party, _ in members if party != speaker)
        return Head(f'{place},"sender":{speaker},"recipients":[{others}]', phrases)

    return [head(*member) for member in members]


def _moments(rng: Random, count: int) -> Iterator[str]:
    """Spread `count` moments over the days, in order, as ISO 8601 with milliseconds."""
    draw = rng.random
    for start, share in _hours(count):
        prefix, step = start.strftime("%Y-%m-%dT%H:"), _HOUR_MS / max(share, 1)
        for number in range(share):
            ms = int((number + draw()) * step)
            yield f"{prefix}{ms // 60_000:02d}:{ms // 1_000 % 60:02d}.{ms % 1_000:03d}+08:00"


def _hours(count: int) -> Iterator[tuple[dt.datetime, int]]:
    """Give each hour its share of `count`, so that the shares add up."""
    starts = [START + dt.timedelta(hours=n) for n in range(24 * DAYS)]
    busy = list(accumulate(_busy(start) for start in starts))
    before = 0
    for start, so_far in zip(starts, busy, strict=True):
        reached = round(count * so_far / busy[-1])
        yield start, reached - before
        before = reached


def _busy(start: dt.datetime) -> float:
    return HOURS[start.hour] * (WEEKEND if start.weekday() >= SATURDAY else 1)
