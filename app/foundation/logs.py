"""Structured logs that cannot carry content: only listed keys get through, whatever the caller passes.

Exceptions are logged by type and place, never by message: a database error quotes the parameters it was
given, and those are people's words.
"""

import errno
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

ALLOWED = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "module",
        "request_id",
        "actor",
        "route",
        "method",
        "status",
        "milliseconds",
        "code",
        "error",
        "where",
        "corp_id",
        "seq",
        "after",
        "end",
        "count",
        "accepted",
        "duplicate",
        "quarantined",
        "rejected",
        "bytes",
        "follower",
        "job",
        "kind",
        "attempts",
        "state",
        "lag",
        "name",
        "path",
        "port",
        "pid",
        "version",
        "signal",
        "reason",
        "seconds",
        "table",
        "retry_after",
    ]
)


def get(name: str) -> FilteringBoundLogger:
    """A logger; call it as `log.info("event_name", key=value)`."""
    logger: FilteringBoundLogger = structlog.get_logger(module=name.removeprefix("app."))
    return logger


def configure(level: str, style: str) -> None:
    """Set up this process's logging, the libraries' included."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            describe_exception,
            keep_allowed,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    level_of_libraries = max(number, logging.WARNING)
    logging.basicConfig(level=level_of_libraries, handlers=[_Libraries()], force=True)
    threading.excepthook = _note_thread


class _Libraries(logging.Handler):
    """Passes on which library complains, where and by which exception; its words may quote content."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else record.msg
        level = logging.ERROR if record.levelno >= logging.ERROR else logging.WARNING
        where = f"{record.filename}:{record.lineno}"
        get(record.name).log(level, "library", where=where, exc_info=error)


def _note_thread(failed: threading.ExceptHookArgs) -> None:
    get(__name__).error("thread_failed", exc_info=failed.exc_value)


def keep_allowed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop every key that is not on the list."""
    return {key: value for key, value in event.items() if key in ALLOWED}


def describe_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and the places it came through."""
    error = event.pop("exc_info", None)
    if error is True:  # as `log.exception` passes it
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = _kinds(error)
        event["where"] = _places(error.__traceback__) or event.get("where", "-")
    return event


def _kinds(error: BaseException) -> str:
    names = [_kind(error)]
    cause = error.__cause__
    while cause is not None:
        names.append(_kind(cause))
        cause = cause.__cause__
    return " < ".join(names)


def _kind(error: BaseException) -> str:
    """The type, and of a system error its symbol: `OSError(EADDRINUSE)`."""
    number = getattr(error, "errno", None)
    symbol = errno.errorcode.get(number) if isinstance(number, int) else None
    return f"{type(error).__name__}({symbol})" if symbol else type(error).__name__


def _places(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-6:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
