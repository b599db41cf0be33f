"""Any sequence of batches, broken turns and restarts leaves what a plain model says, and fsck agrees."""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from app.archive import append
from app.archive.append import Door, Receipt, Status
from app.archive.domain import Envelope
from app.archive.store import read_log
from app.people import corp_codes
from tests.archive.conftest import Archive
from tests.archive.samples import between, in_group, put

RUNS = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SPELLINGS = (None, 1)  # indents
Answer = tuple[Status, int | None]


class Message(NamedTuple):
    """A message from small pools, so that ids, conversations and contents meet again."""

    corp: int
    source: str
    name: str
    place: int
    content: int
    spelling: int

    @property
    def key(self) -> tuple[int, str, str]:
        """What a message is known by."""
        return self.corp, self.source, self.name

    @property
    def raw(self) -> bytes:
        """The content in one of its spellings."""
        return json.dumps({"content": self.content}, indent=SPELLINGS[self.spelling]).encode()

    def envelope(self, corps: list[str]) -> Envelope:
        """The message as it is handed in; places are two single chats and two groups."""
        fields = {"corp": corps[self.corp], "source": self.source, "raw": self.raw}
        if self.place < 2:
            return between(self.name, f"wm{self.place}", **fields)
        return in_group(self.name, f"wr{self.place}", **fields)


MESSAGES = st.builds(
    Message,
    st.integers(0, 1),
    st.sampled_from(["wecom", "mail"]),
    st.sampled_from("abcdefghij"),
    st.integers(0, 3),
    st.integers(0, 1),
    st.integers(0, 1),
)
BATCHES = st.lists(MESSAGES, max_size=8)


class Model:
    """What an archive is, without any of what makes it fast or durable."""

    def __init__(self) -> None:
        self.logs: dict[int, list[Message]] = defaultdict(list)
        self.kept: dict[tuple[int, str, str], tuple[int, Message]] = {}
        self.conflicts: set[tuple[int, bytes]] = set()

    def append(self, batch: list[Message]) -> list[Answer]:
        """Take the messages one by one; how each is answered."""
        return [self._append(message) for message in batch]

    def _append(self, message: Message) -> Answer:
        if message.key not in self.kept:
            log = self.logs[message.corp]
            log.append(message)
            self.kept[message.key] = (len(log), message)
            return Status.ACCEPTED, len(log)
        seq, first = self.kept[message.key]
        if first.content == message.content:
            return Status.DUPLICATE, seq
        self.conflicts.add((message.corp, message.raw))
        return Status.QUARANTINED, None

    def counters(self, corp: int) -> Iterator[tuple[str, int]]:
        """In the log's order the id and the counter of each message."""
        last: Counter[int] = Counter()
        for message in self.logs[corp]:
            last[message.place] += 1
            yield message.name, last[message.place]


class Broken(Exception):
    """Stands for a defect of our own."""


class Log(RuleBasedStateMachine):
    """Batches for two corps that no other run uses."""

    archive: ClassVar[Archive]
    runs: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        run = next(self.runs)
        self.corps = [f"ww{run}-0", f"ww{run}-1"]
        self.door, self.model = self.archive.door, Model()

    def _put(self, batch: list[Message]) -> list[Receipt]:
        return put(self.door, *(message.envelope(self.corps) for message in batch))

    @rule(batch=BATCHES)
    def append(self, batch: list[Message]) -> None:
        """A batch is answered as the model answers it."""
        answers = self._put(batch)
        assert [(each.status, each.seq) for each in answers] == self.model.append(batch)
        assert [each.source_msg_id for each in answers] == [each.name for each in batch]

    @rule(batch=BATCHES)
    def break_a_turn(self, batch: list[Message]) -> None:
        """A turn that breaks at its end changes nothing."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(append, "announce", _raise)  # everything written, nothing committed
            with pytest.raises(Broken):
                self._put(batch)

    @rule()
    def forget_everything(self) -> None:
        """A new process knows only what is stored."""
        self.door = Door(self.archive.db, self.archive.keyring, self.archive.blobs)

    def teardown(self) -> None:
        """What is stored is what the model holds."""
        assert self.archive.differences() == []
        assert self._conflicts() == {(self.corps[n], raw) for n, raw in self.model.conflicts}
        for number, code in enumerate(self.corps):
            with self.archive.db.read() as connection:
                ids = {code: corp_id for corp_id, code in corp_codes(connection).items()}
                log = read_log(connection, ids.get(code, 0), 0, 1_000)
            expected = [
                (seq, *pair) for seq, pair in enumerate(self.model.counters(number), start=1)
            ]
            assert [(each.seq, each.source_msg_id, each.counter) for each in log] == expected

    def _conflicts(self) -> set[tuple[str | None, bytes]]:
        kept = self.archive.quarantined()
        return {(item.corp, data) for item, data in kept if item.corp in self.corps}


def _raise(*_: Any) -> None:
    raise Broken


def test_the_archive_does_what_a_plain_model_does(archive: Archive) -> None:
    run = type("Run", (Log,), {"archive": archive, "runs": itertools.count()})
    run_state_machine_as_test(run, settings=RUNS)
