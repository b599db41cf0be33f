"""Which word lists are in force, in this process, at this moment.

`current` asks the database at every call, which costs a fraction of a millisecond, and gives the compiled lexicon of
the released version: never an older one. Compiling takes seconds, so `Keeper` does it beforehand for every version
that was approved, on a thread of its own; by the time of its release it only has to be looked up. Where nobody keeps,
or the release comes first, `current` compiles itself and its caller waits.

The lists that come with the program are the first released version. Newer ones are offered as a draft.
"""

import threading
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection

from app.access import NOTHING, Caller, Event, record
from app.foundation import logs
from app.foundation.database import Database, exclusive
from app.foundation.errors import AppError
from app.screening import examples, lexicons
from app.screening.examples import Verdict
from app.screening.lexicon import Lexicon
from app.screening.versions import State, Step
from app.screening.wordfiles import KEPT, compiled, pack, read_folder, unpack, version_of

LOCK = "lexicons"  # one transaction at a time changes which version is released
LOOK_EVERY = 5.0  # seconds, should a ring be lost between machines
PREPARED = 1  # approved versions compiled beforehand
PROGRAM = Caller("operator", "program", "随程序发布", frozenset(), NOTHING)


class Released:
    """The released lexicon as this process has it."""

    def __init__(self, db: Database, shipped: Path) -> None:
        self._db, self._shipped = db, shipped
        self._held: Lexicon | None = None

    def current(self) -> Lexicon:
        """The lexicon in force; raises `LexiconError` when this program cannot read it."""
        with self._db.read() as connection:
            version = lexicons.released_name(connection)
        version = version or self.install()
        held = self._held
        if held is None or held.version != version:
            held = self._held = self.compile(version)
        return held

    def begin(self) -> None:
        """See to it that there is a released version; raises `LexiconError` for shipped lists with a mistake."""
        with self._db.read() as connection:
            version = lexicons.released_name(connection)
        if version is None:
            self.install()

    def compile(self, version: str) -> Lexicon:
        """Any version's lexicon."""
        with self._db.read() as connection:
            packed = lexicons.packed(connection, version)
        return compiled(version, packed)

    def install(self) -> str:
        """Make the shipped lists the released version if there is none; gives the released version's name."""
        files = read_folder(self._shipped)
        version, packed = version_of(files), pack(files)
        verdict = tried(version, packed)
        with self._db.write() as connection:
            exclusive(connection, LOCK)
            if found := lexicons.released_name(connection):
                return found
            _add(connection, Step.INSTALL, version, packed, verdict, "随程序发布的词库")
        return version

    def offer(self) -> str | None:
        """Draft the shipped lists when this installation has never seen them; gives the draft's id.

        A released version is never replaced by this.
        """
        files = read_folder(self._shipped)
        version, packed = version_of(files), pack(files)
        with self._db.read() as connection:
            if lexicons.named(connection, version) or not lexicons.released_name(connection):
                return None
        verdict = tried(version, packed)
        with self._db.write() as connection:
            exclusive(connection, LOCK)
            if lexicons.named(connection, version):
                return None
            return _add(connection, Step.DRAFT, version, packed, verdict, "程序升级带来的新词库").id

    def prepare(self) -> None:
        """Compile what is released and what may be released next."""
        self.current()
        with self._db.read() as connection:
            approved = lexicons.of_state(connection, State.APPROVED, PREPARED)
        for each in approved:
            self.compile(each.version)


class Keeper:
    """Keeps the compiled lexicons ready on a thread of its own until it is stopped."""

    def __init__(self, db: Database, released: Released) -> None:
        self._db, self._released = db, released
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lexicons", daemon=True)

    def start(self) -> None:
        """Begin to keep."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being compiled."""
        self._stopping.set()
        self._db.bell.ring(lexicons.TOPIC)
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        is_offered = False
        while not self._stopping.is_set():
            seen = self._db.bell.count(lexicons.TOPIC)
            try:
                self._released.prepare()
                if not is_offered:
                    self._released.offer()
                    is_offered = True
            except AppError as error:  # a database away, a version this program cannot read
                logs.get(__name__).error("lexicon_not_ready", code=error.code, detail=error.detail)
            self._db.bell.wait(lexicons.TOPIC, seen, LOOK_EVERY)


@lru_cache(maxsize=KEPT)
def tried(version: str, packed: bytes) -> Verdict:
    """How the examples of these files go; raises `LexiconError` when they cannot be compiled."""
    return examples.run(compiled(version, packed), unpack(packed))


def _add(
    connection: Connection, step: Step, version: str, packed: bytes, verdict: Verdict, note: str
) -> lexicons.Version:
    made = lexicons.add(
        connection,
        step,
        PROGRAM,
        version=version,
        files=packed,
        verdict=verdict,
        note=note,
        based_on=None,
    )
    made = tested(connection, made, PROGRAM)
    record(connection, Event.LEXICON_DRAFT, PROGRAM, made.id, version=version, state=made.state)
    return made


def tested(connection: Connection, made: lexicons.Version, caller: Caller) -> lexicons.Version:
    """Take a draft whose examples all hold one step on."""
    if made.state is State.DRAFT and not made.failures:
        lexicons.change(connection, made, State.TESTED)
        lexicons.add_step(
            connection, made, Step.TEST, State.TESTED, caller, f"{made.examples} 条示例通过"
        )
        return made._replace(state=State.TESTED)
    return made


def files_of(connection: Connection, version: lexicons.Version) -> dict[str, str]:
    """The files of a version."""
    return unpack(lexicons.packed(connection, version.version))
