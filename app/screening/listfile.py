"""One word-list file as it was read, and the mistakes that can be told of it with their line."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.screening.domain import LexiconError, Severity


class File(NamedTuple):
    """A file's name below the word lists, its text and what TOML makes of it."""

    name: str
    source: str
    data: dict[str, Any]

    def line(self, *needles: str) -> int:
        """The line of the last needle, each looked for after the one before it."""
        at = 0
        for needle in needles:
            found = self.source.find(needle, at)
            at = found if found >= 0 else at
        return self.source.count("\n", 0, at) + 1

    def wrong(self, what: str, *needles: str) -> LexiconError:
        """A mistake at the line of the last needle."""
        return LexiconError(self.name, self.line(*needles), what)


def known(file: File, data: Mapping[str, Any], keys: set[str], *place: str) -> None:
    """Refuse an entry that nobody reads."""
    for key in data:
        if key not in keys:
            raise file.wrong(
                f"不认识的项目「{key}」，可用的有：{'、'.join(sorted(keys))}", *place, key
            )


def need(file: File, data: Mapping[str, Any], key: str) -> Any:
    """An entry that must be there."""
    if not data.get(key):
        raise file.wrong(f"缺少「{key}」", key)
    return data[key]


def severity_of(file: File, value: object, *place: str) -> Severity:
    """A severity by its name."""
    try:
        return Severity(str(value))
    except ValueError as error:
        raise file.wrong("severity 只能是 red、orange、yellow", *place) from error


def basis_of(file: File, data: Mapping[str, Any]) -> str:
    """The legal bases of a category in one line."""
    entries = need(file, data, "basis")
    for entry in entries:
        if set(entry) != {"text", "source", "date", "mark"}:
            raise file.wrong("每条 [[basis]] 要有 text、source、date、mark 四项", "[[basis]]")
    return "；".join(f"{entry['text']}（{entry['source']}，{entry['date']}）" for entry in entries)
