"""What holds for the whole of `app/`, read from its source: layers, docstrings, sizes, who commits."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
APP = ROOT / "app"
ROOMS = sorted(path for path in APP.iterdir() if (path / "__init__.py").is_file())
SOURCES = sorted(APP.rglob("*.py"))
LONGEST = 400  # lines
LONGER = {  # file: why it is not cut
    "access/api.py": "every route of sign-in, users, tokens and audit with their shapes",
    "access/service.py": "one service over users, sessions and tokens",
    "archive/append.py": "the one door: a turn and what it looks up",
    "evidence/verify.py": "a program of its own that is one file by promise",
    "foundation/database.py": "the one place for what differs between the databases",
}
_FOUNDATION = {"foundation/database.py"}  # makes the transactions everybody else runs in


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def _name(path: Path) -> str:
    return path.relative_to(APP).as_posix()


def test_rooms_build_only_on_the_rooms_below_them() -> None:
    assert lint_imports(str(ROOT / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_says_what_it_guarantees(room: Path) -> None:
    assert len(ast.get_docstring(_tree(room / "__init__.py")) or "") > 40


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(_tree(path)) or not path.read_text("utf-8").strip()


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    length = len(path.read_text("utf-8").splitlines())
    if _name(path) in LONGER:
        assert length > LONGEST, "short enough by now: take it off the list"
    else:
        assert length <= LONGEST


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_no_service_lives_in_a_module(path: Path) -> None:
    names = [
        target.id
        for statement in _tree(path).body
        if isinstance(statement, (ast.Assign, ast.AnnAssign))
        for target in ast.walk(statement)
        if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store)
    ]
    assert [name for name in names if "service" in name.lower()] == []


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_no_global_is_changed(path: Path) -> None:
    assert [node.lineno for node in ast.walk(_tree(path)) if isinstance(node, ast.Global)] == []


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_rooms_leave_the_commit_to_the_transaction(path: Path) -> None:
    calls = (node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call))
    committing = [
        call.lineno
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in {"commit", "rollback"}
    ]
    assert _name(path) in _FOUNDATION or committing == []
