"""Called in a server's process before it starts: which followers run, and where exactly the process dies."""

import os
import signal
import threading
from typing import Any, Final

import apsw
from sqlalchemy import Engine, event

from app.foundation.followers import Runner

_WRITING: Final = ("BEGIN IMMEDIATE", "INSERT", "UPDATE", "DELETE", "COMMIT")


def follow_nothing() -> None:
    """Let no follower run."""
    Runner.start = lambda _self: None  # type: ignore[method-assign,assignment]


def die_writing(follower: str, times: int) -> None:
    """Let one follower run alone and kill the process just before it does its n-th different thing to a database.

    A thing is the beginning of a transaction that writes, a statement that writes, or a commit, in the record
    database or in the search index. The same statement over and over counts once.
    """
    start = Runner.start

    def start_one(self: Runner) -> None:
        if self.follower.name == follower:
            start(self)

    Runner.start = start_one  # type: ignore[method-assign]
    doom = _Doom(follower, times)
    event.listen(Engine, "before_cursor_execute", lambda *given: doom.note(given[2]))
    event.listen(Engine, "commit", lambda _connection: doom.note("COMMIT"))
    apsw.connection_hooks.append(doom.watch)


class _Doom:
    """Counts what one thread writes, and kills the process in time."""

    def __init__(self, thread: str, times: int) -> None:
        self._thread, self._left, self._last = thread, times, ""

    def note(self, statement: str) -> None:
        """Something is about to be done."""
        if threading.current_thread().name != self._thread or statement == self._last:
            return
        if statement.lstrip().upper().startswith(_WRITING):
            self._last = statement
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, connection: apsw.Connection) -> None:
        """Have an index's connection tell what it does."""

        def trace(_cursor: Any, statement: str, _bindings: Any) -> bool:
            self.note(statement)
            return True

        connection.exec_trace = trace
