"""Logs: only listed keys, exceptions by type and place, never a word of anybody's."""

import json
import logging
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.foundation import logs

SECRET = "客户说保本"  # noqa: S105


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put this process's logging back."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, threading.excepthook)
    root.handlers = []
    yield
    root.handlers, level, threading.excepthook = before
    root.setLevel(level)


class Log:
    """Logging as in a process, once begun; gives what was written."""

    def __init__(self, style: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._style, self._capsys = style, capsys

    def begin(self) -> None:
        """Set it up; within the test, because pytest changes stderr between its phases."""
        logs.configure("debug", self._style)

    def written(self) -> str:
        """What was written since last asked."""
        return self._capsys.readouterr().err


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(request.param, capsys)


def break_down() -> None:
    raise KeyError(SECRET)


def fail() -> None:
    try:
        break_down()
    except KeyError as cause:
        raise ValueError(SECRET) from cause


def test_a_line_carries_listed_keys_and_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    logs.get("app.archive.append").info("appended", count=3, text=SECRET, row={"text": SECRET})
    written = capsys.readouterr().err
    line = json.loads(written)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "appended",
        "level": "info",
        "module": "archive.append",
        "count": 3,
    }


@given(st.dictionaries(st.text(), st.integers()))
def test_no_key_gets_through_that_is_not_listed(event: dict[str, int]) -> None:
    assert logs.keep_allowed(None, "info", dict(event)).keys() == event.keys() & logs.ALLOWED


def test_nothing_listed_names_content() -> None:
    assert not logs.ALLOWED & {"text", "content", "body", "payload", "query", "message", "detail"}


def test_an_exception_is_logged_by_type_and_place(log: Log) -> None:
    log.begin()
    try:
        fail()
    except ValueError as error:
        logs.get("app.x").error("failed", exc_info=error)
        logs.get("app.x").exception("failed_too")
    lines = log.written()
    assert lines.count("ValueError < KeyError") == 2
    assert lines.count("test_logs.py") >= 2
    assert SECRET not in lines


def test_a_system_error_says_which_one(log: Log) -> None:
    log.begin()
    logs.get("app.x").error("failed", exc_info=OSError(28, SECRET))
    lines = log.written()
    assert "OSError(ENOSPC)" in lines
    assert SECRET not in lines


def test_a_library_is_heard_without_its_words(log: Log) -> None:
    log.begin()
    library = logging.getLogger("some.library")
    try:
        fail()
    except ValueError as error:
        library.exception(SECRET)
        library.error(error)
    library.warning("quoting %s", SECRET)
    library.info(SECRET)
    lines = log.written()
    assert lines.count("some.library") == 3
    assert lines.count("ValueError") == 2
    assert lines.count("test_logs.py") >= 3
    assert SECRET not in lines


def test_a_thread_that_dies_is_heard_without_its_words(log: Log) -> None:
    log.begin()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    lines = log.written()
    assert "thread_failed" in lines
    assert "ValueError" in lines
    assert SECRET not in lines


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "json")
    logs.get("app.x").info("quiet")
    logs.get("app.x").warning("loud")
    assert "quiet" not in (written := capsys.readouterr().err)
    assert "loud" in written
