"""Small word lists that load at once, people who work on them, and messages to screen."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.access import EVERYTHING, Action, Caller
from app.bootstrap import Services
from app.foundation import followers
from app.screening import store
from app.screening.lexicons import Version
from app.screening.store import Found

SPEECH = (Path(__file__).parents[3] / "wordlists" / "speech.toml").read_text()
CATEGORY = """\
category = "{slug}"
name = "{name}"
kind = "claim"
severity = "{severity}"
suggestion = "样例"
[[basis]]
text = "样例"
source = "样例"
date = "2026-01-01"
mark = "待核实"
"""
RULE = """
[[rule]]
id = "{id}"
name = "{id}"
say = [{say}]
match = [{match}]
no_match = [{no_match}]
"""
PEOPLE = {
    name: Caller("user", f"usr_{name}", name, frozenset(Action), EVERYTHING)
    for name in ("a", "b", "c")
}
DRAFTER, APPROVER, THIRD = PEOPLE.values()


def _list(words: Iterable[str]) -> str:
    return ", ".join(json.dumps(word, ensure_ascii=False) for word in words)


def rule(name: str, *say: str, match: Iterable[str] = (), no_match: Iterable[str] = ()) -> str:
    """A rule; its words are its examples unless others are given."""
    return RULE.format(
        id=name,
        say=_list(say),
        match=_list(match or say),
        no_match=_list(no_match or ["今天净值更新了"]),
    )


def category(*rules: str, slug: str = "sample", name: str = "样例类", severity: str = "red") -> str:
    """A category file."""
    return CATEGORY.format(slug=slug, name=name, severity=severity) + "".join(rules)


def lists(**categories: str) -> dict[str, str]:
    """A complete set of files."""
    shared = {"concepts.toml": "", "speech.toml": SPEECH, "evasion.toml": ""}
    return shared | {f"categories/{slug}.toml": text for slug, text in categories.items()}


FIRST = lists(sample=category(rule("one", "琉璃稳赢")))
SAMPLE = "categories/sample.toml"


def wording(*words: str) -> dict[str, str | None]:
    """A changed sample file whose one rule says these words."""
    return {SAMPLE: category(rule("one", *words))}


def changed(*words: str) -> dict[str, str]:
    """`FIRST` with a rule that says these words."""
    return lists(sample=category(rule("one", *words)))


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """The files in a folder."""
    (folder / "categories").mkdir(parents=True)
    for path, text in files.items():
        (folder / path).write_text(text)
    return folder


def approved(services: Services, *words: str) -> Version:
    """A version with these words, drafted by one and approved by another."""
    made = services.lexicons.draft(DRAFTER, wording(*words), based_on="released")
    return services.lexicons.approve(APPROVER, made.id)


def released(services: Services, *words: str) -> Version:
    """The same, in force."""
    return services.lexicons.release(DRAFTER, approved(services, *words).id)


def envelope(number: int, text: str, *, client: str = "wmA1", day: int = 5) -> bytes:
    """A message of an adviser to a client."""
    message: dict[str, Any] = {
        "corp": "ww1",
        "source": "test",
        "source_msg_id": str(number),
        "sent_at": f"2026-03-{day:02d}T10:{number // 60 % 60:02d}:{number % 60:02d}+08:00",
        "conversation": {"kind": "single"},
        "sender": {"type": "employee", "id": "he.yu", "name": "何屿"},
        "recipients": [{"type": "client", "id": client, "name": "样例客户"}],
        "kind": "text",
        "action": "send",
        "text": text,
    }
    return json.dumps(message).encode()


def archive(services: Services, *lines: bytes) -> None:
    """Archive the lines."""
    receipts = services.capture.receive(lines)
    assert all(receipt.error is None for receipt in receipts)


def catch_up(services: Services) -> None:
    """Let screening reach the end."""
    followers.catch_up(services.followers[0], services.tails(), lambda _left: None)


def findings(services: Services) -> list[Found]:
    """Everything found, oldest first."""
    with services.db.read() as connection:
        return store.after(connection, 0, 100_000)
