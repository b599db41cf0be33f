"""What differs between two versions: file by file as a unified diff, and rule by rule in words a person reads."""

import difflib
import tomllib
from typing import Any, NamedTuple

from app.screening.wordfiles import Files


class FileChange(NamedTuple):
    """A file that differs; `kind` is `added`, `removed` or `changed`."""

    path: str
    kind: str
    diff: str


class RuleChange(NamedTuple):
    """A rule, or the head of a category (`rule` without a slash), that differs in the given fields."""

    rule: str
    name: str
    kind: str
    fields: tuple[str, ...]


def file_changes(old: Files, new: Files) -> list[FileChange]:
    """The files that differ, by path."""
    paths = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
    return [FileChange(path, _kind(path, old, new), _diff(path, old, new)) for path in paths]


def rule_changes(old: Files, new: Files) -> list[RuleChange]:
    """The rules and category heads that differ, by id."""
    before, after = _parts(old), _parts(new)
    found = []
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key, {}), after.get(key, {})
        if fields := tuple(
            sorted(f for f in one.keys() | other.keys() if one.get(f) != other.get(f))
        ):
            name = str((other or one).get("name", key))
            found.append(RuleChange(key, name, _kind(key, before, after), fields))
    return found


def _kind(key: str, old: Any, new: Any) -> str:
    if key not in old:
        return "added"
    return "changed" if key in new else "removed"


def _diff(path: str, old: Files, new: Files) -> str:
    before, after = (files.get(path, "").splitlines() for files in (old, new))
    return "\n".join(difflib.unified_diff(before, after, path, path, lineterm=""))


def _parts(files: Files) -> dict[str, dict[str, Any]]:
    """Every rule by `category/id`, and the rest of its file by `category`."""
    found: dict[str, dict[str, Any]] = {}
    for path, text in files.items():
        data = tomllib.loads(text.removeprefix("\ufeff"))
        if not path.startswith("categories/"):
            found |= {f"{path}: {key}": {"": value} for key, value in data.items()}
            continue
        slug = str(data["category"])
        found |= {f"{slug}/{rule['id']}": rule for rule in data.pop("rule", [])}
        found[slug] = data
    return found
