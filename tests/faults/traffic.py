"""Clients that push without rest, and a ledger of what was sent and what the server has promised to keep."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final, NamedTuple

import httpx

CORP: Final = "ww-faults"
SOURCE: Final = "faults"
BREACH: Final = "保本保息"
ASK: Final = "能保本"
COMMON: Final = "样例消息"  # in every text with a token
OVERSIZED: Final = (70_000, 200_000)  # bytes of an unreadable line that is kept in a blob
_START: Final = datetime(2026, 3, 2, 1, tzinfo=UTC)
_BREACH_SHARE: Final = 0.04
_GARBAGE_SHARE: Final = 0.10
_GROUP_SHARE: Final = 0.3
_AGAIN_SHARE: Final = 0.5  # of the pushes cut off are repeated, the others never


class Line(NamedTuple):
    """One line of NDJSON. `id` is None for one that cannot be read and belongs in quarantine.

    `token` stands in no other message; `is_breach` asks for an alert.
    """

    data: bytes
    id: str | None = None
    token: str = ""
    is_breach: bool = False


class Place(NamedTuple):
    """Where something is said; the first of the parties speaks."""

    conversation: dict[str, str | None]
    parties: tuple[dict[str, str], ...]


@dataclass
class Ledger:
    """What is known from outside. `faults` are answers that no server may give."""

    sent: dict[str, Line] = field(default_factory=dict)
    kept: dict[str, tuple[int, str]] = field(default_factory=dict)
    garbage_sent: set[bytes] = field(default_factory=set)
    garbage_kept: set[bytes] = field(default_factory=set)
    refused: int = 0
    cut_off: int = 0
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, batch: list[Line]) -> bytes:
        """Note a batch and give the body that carries it."""
        with self._lock:
            self.sent |= {line.id: line for line in batch if line.id}
            self.garbage_sent |= {line.data for line in batch if not line.id}
        return b"\n".join(line.data for line in batch)

    def settle(self, batch: list[Line], answer: httpx.Response) -> bool:
        """Note an answer; False when the batch may be sent again."""
        with self._lock:
            if answer.status_code == httpx.codes.OK:
                for line, result in zip(batch, answer.json()["results"], strict=True):
                    self._keep(line, result)
                return True
            self.refused += 1
            if not is_unavailable(answer):
                self.faults.append(f"{answer.status_code} {answer.text}")
            return False

    def note_cut_off(self) -> None:
        """Note a push that ended without an answer."""
        with self._lock:
            self.cut_off += 1

    def _keep(self, line: Line, result: dict[str, Any]) -> None:
        if line.id is None:
            expected = result["status"] == "quarantined"
            self.garbage_kept.add(line.data)
        else:
            place = result["seq"], result["digest"]
            expected = result["status"] in ("accepted", "duplicate")
            expected = expected and self.kept.setdefault(line.id, place) == place
        if not expected:
            self.faults.append(f"{line.id}: {result}")


def is_unavailable(answer: httpx.Response) -> bool:
    """Whether this is the documented refusal for the moment: 503, `unavailable`, when to retry."""
    return (
        answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
        and answer.headers["content-type"] == "application/problem+json"
        and answer.json()["code"] == "unavailable"
        and int(answer.headers["retry-after"]) > 0
    )


class Feed:
    """Batches that never repeat: a few conversations, now and then a breach, an unreadable or an oversized line."""

    def __init__(
        self, name: str, chance: Random, *, largest: int = 8, oversized: float = 0.05
    ) -> None:
        self.name, self.chance = name, chance
        self._largest, self._oversized = largest, oversized
        self._numbers, self._tokens = count(), count()

    def batch(self) -> list[Line]:
        """The next batch."""
        lines = [self.message() for _ in range(self.chance.randint(1, self._largest))]
        if self.chance.random() < _GARBAGE_SHARE:
            lines.append(self.garbage(self.chance.randint(10, 200)))
        if self.chance.random() < self._oversized:
            lines.append(self.garbage(self.chance.randint(*OVERSIZED)))
        self.chance.shuffle(lines)
        return lines

    def message(self) -> Line:
        """The next message of an adviser, harmless or a breach, to be found by its token."""
        is_breach = self.chance.random() < _BREACH_SHARE
        token = f"q{self.name}n{next(self._tokens):07d}q"
        said = f"这款{BREACH}" if is_breach else "今天市场平稳"
        return self._line(self._place(), f"{said}，{COMMON} {token}", token, is_breach=is_breach)

    def exchange(self) -> list[Line]:
        """A client's question and the yes that makes it a violation, one after the other."""
        place = self._place()
        asked = self._line(place._replace(parties=place.parties[::-1]), f"{ASK}吗")
        return [asked, self._line(place, "能的", is_breach=True)]

    def _line(self, place: Place, text: str, token: str = "", *, is_breach: bool = False) -> Line:
        number = next(self._numbers)
        name = f"{self.name}-{number}"
        envelope = {
            "corp": CORP,
            "source": SOURCE,
            "source_msg_id": name,
            "sent_at": (_START + timedelta(seconds=number)).isoformat(),
            "conversation": place.conversation,
            "sender": place.parties[0],
            "recipients": place.parties[1:],
            "kind": "text",
            "action": "send",
            "text": text,
        }
        data = json.dumps(envelope, ensure_ascii=False).encode()
        return Line(data, name, token, is_breach)

    def garbage(self, size: int) -> Line:
        """A line that is no JSON."""
        return Line(b'{"broken": ' + self.chance.randbytes(size // 2).hex().encode())

    def _place(self) -> Place:
        """One adviser each, so that nobody seems to agree with anybody."""
        adviser, client = self.chance.randrange(3), self.chance.randrange(5)
        is_group = self.chance.random() < _GROUP_SHARE
        return Place(
            {"kind": "group", "id": f"wr{adviser}"} if is_group else {"kind": "single", "id": None},
            (
                {"type": "employee", "id": f"adviser{adviser}"},
                {"type": "client", "id": f"wm{client}"},
            ),
        )


class Pusher:
    """A client with its own feed; what was cut off or refused is sent again later, or sometimes never."""

    def __init__(self, feed: Feed, ledger: Ledger) -> None:
        self.feed, self._ledger = feed, ledger
        self.again: list[list[Line]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread()

    def start(self, client: httpx.Client) -> None:
        """Push over this connection until it breaks or `stop` is called."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(client,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the push in hand."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait until the connection has broken."""
        self._thread.join(60)
        assert not self._thread.is_alive(), "a push got neither an answer nor an error"

    def push(self, client: httpx.Client, batch: list[Line]) -> httpx.Response:
        """Push one batch; raises httpx.TransportError."""
        answer = client.post(
            "/api/v1/messages",
            content=self._ledger.send(batch),
            headers={"Content-Type": "application/x-ndjson"},
        )
        if not self._ledger.settle(batch, answer):
            self.again.append(batch)
        return answer

    def _run(self, client: httpx.Client) -> None:
        with client:
            while not self._stopping.is_set():
                batch = self.again.pop() if self.again else self.feed.batch()
                try:
                    answer = self.push(client, batch)
                except httpx.TransportError:
                    self._ledger.note_cut_off()
                    if self.feed.chance.random() < _AGAIN_SHARE:
                        self.again.append(batch)
                    return
                if not answer.is_success:
                    self._stopping.wait(0.05)
