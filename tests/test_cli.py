"""Every command of the contract in processes of its own: what it prints, how it ends, and beside what else it runs."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.office import BREACH, EXAMPLES, PEOPLE, Said
from tests.server import Done, Home, Server, free_port, prepare, run

LIUHEN = Path(sys.executable).parent / "liuhen"
DONE, NO, UNUSABLE, UNAVAILABLE = 0, 1, 2, 3
SAID = [Said(f"c{number}", "yuan", "wmA", f"第{number}号琥珀报告") for number in range(5)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An initialised folder whose path is longer than a socket's address may be."""
    deep = tmp_path / "/".join(["很深的目录"] * 9)
    assert len(os.fsencode(deep)) > 108
    return prepare(tmp_path, data=deep)


@pytest.fixture(params=["alone", "beside a server"])
def place(request: pytest.FixtureRequest, home: Home) -> Iterator[Home]:
    """The folder, free or held by a running server: commands must not care."""
    if request.param == "alone":
        yield home
        return
    with Server(home):
        yield home


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """A file of envelopes, one of them a breach."""
    said = [*SAID, Said("c9", "yuan", "wmA", BREACH)]
    path = tmp_path / "messages.jsonl"
    path.write_text("".join(json.dumps(each.envelope()) + "\n" for each in said))
    return path


def console(home: Home, *arguments: str, feed: bytes = b"") -> Done:
    """The installed console script itself, fed through standard input."""
    ended = subprocess.run(
        [LIUHEN, *arguments],
        input=feed,
        capture_output=True,
        env=home.environment(),
        cwd=home.logs,
        timeout=120,
        check=False,
    )
    return Done(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def counts(answer: dict[str, Any]) -> tuple[int, ...]:
    return tuple(answer[name] for name in ("accepted", "duplicate", "quarantined", "rejected"))


def test_init_gives_the_first_administrator_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "data", tmp_path, {})
    first, second = run(home, "init", "--json"), run(home, "init", "--json")
    assert first.code == second.code == DONE
    assert (first.json()["login"], second.json()["login"]) == ("admin", None)
    assert len(first.json()["password"]) >= 16
    assert second.json()["created"] is False


def test_two_first_inits_at_once_make_one_administrator(tmp_path: Path) -> None:
    home = Home(tmp_path / "data", tmp_path, {})
    ended = together(home, ["init", "--json"], ["init", "--json"])
    assert [each.code for each in ended] == [DONE, DONE]
    assert sorted(each.json()["created"] for each in ended) == [False, True]


def test_a_folder_without_init_is_told_to_run_it(tmp_path: Path) -> None:
    ended = run(Home(tmp_path / "data", tmp_path, {}), "search", "琥珀", "--json")
    assert ended.code == UNAVAILABLE
    assert "liuhen init" in ended.err
    assert ended.json()["error"]["code"] == "schema_outdated"


@pytest.mark.parametrize(
    "scopes", [["ingest", "--scope", "search"], ["ingest,search"], ["ingest", "search"]]
)
def test_a_token_opens_what_its_scopes_name(home: Home, scopes: Sequence[str]) -> None:
    made = run(home, "token", "create", "--name", "推送", "--scope", *scopes, "--json")
    assert made.code == DONE
    with Server(home._replace(token=made.json()["token"])) as server, server.client() as client:
        assert client.post("/api/v1/messages", json={"messages": []}).status_code == 200
        assert client.get("/api/v1/messages", params={"q": "琥珀"}).status_code == 200
        assert client.get("/api/v1/alerts").status_code == 403


def test_a_path_of_commands_gives_the_documented_objects(place: Home, messages: Path) -> None:
    first = run(place, "ingest", str(messages), "--json")
    again = run(place, "ingest", str(messages), "--json")
    assert (first.code, counts(first.json())) == (DONE, (6, 0, 0, 0))
    assert (again.code, counts(again.json())) == (DONE, (0, 6, 0, 0))
    assert first.json()["seconds"] >= 0

    followed = run(place, "catch-up", "--json")
    assert followed.code == DONE
    assert set(followed.json()["lag"]) >= {"screening", "search"}
    assert not any(followed.json()["lag"].values())

    found = run(place, "search", "琥", "--limit", "2", "--json")
    assert found.code == DONE
    assert found.json()["total"] == {"value": 5, "relation": "eq"}
    assert len(found.json()["items"]) == 2
    assert found.json()["took_ms"] > 0
    more = run(place, "search", "琥", "--limit", "2", "--cursor", found.json()["next"], "--json")
    assert not ids(found.json()) & ids(more.json())
    breach = run(place, "search", "--category", "principal_guarantee", "--json")
    assert ids(breach.json()) == {"c9"}

    checked = run(place, "fsck", "--json")
    assert checked.code == DONE
    assert (checked.json()["ok"], checked.json()["records"]) == (True, 6)

    for part in ("search", "screening"):
        rebuilt = run(place, "rebuild", part, "--json")
        assert (rebuilt.code, rebuilt.json()["rebuilt"]) == (DONE, part)
    assert ids(run(place, "search", "琥", "--json").json()) == {each.id for each in SAID}

    healthy = run(place, "doctor", "--json")
    assert healthy.code == DONE
    assert healthy.json()["ok"] is True
    assert {"database", "search", "disk"} <= set(healthy.json()["parts"])


def test_people_and_users_are_made_by_commands(place: Home, tmp_path: Path) -> None:
    document = tmp_path / "people.json"
    document.write_text(json.dumps(PEOPLE))
    report = run(place, "people", "import", str(document), "--json")
    assert report.code == DONE
    assert report.json()["applied"]["employees"] == len(PEOPLE["employees"])

    clients = tmp_path / "clients.csv"
    clients.write_bytes("external_id,name\nwmZ,客户样例\n".encode("gb18030"))
    listed = run(
        place, "people", "import", str(clients), "--kind", "clients", "--corp", "ww0001", "--json"
    )
    assert listed.json()["applied"]["clients"] == 1

    made = ["user", "create", "--login", "officer", "--role", "officer", "--password"]
    assert run(place, *made, "样例口令-不在别处使用", "--json").code == DONE
    twice = run(place, *made, "样例口令-不在别处使用", "--json")
    assert (twice.code, twice.json()["error"]["code"]) == (UNUSABLE, "login_taken")


def test_an_import_with_a_bad_entry_names_it_and_says_no(home: Home, tmp_path: Path) -> None:
    document = tmp_path / "people.json"
    document.write_text(json.dumps({"corp": {"code": "ww0001"}, "employees": [{"name": "无账号"}]}))
    report = run(home, "people", "import", str(document))
    assert report.code == NO
    assert "userid" in report.out


def test_wecom_messages_and_standard_input_are_read(home: Home) -> None:
    wecom = ["ingest", "-", "--format", "wecom", "--corp", "ww0001", "--json"]
    ended = console(home, *wecom, feed=EXAMPLES.read_bytes())
    lines = len(EXAMPLES.read_bytes().splitlines())
    assert (ended.code, counts(ended.json())) == (DONE, (lines, 0, 0, 0))
    assert "\n" not in ended.out.strip()  # one object, nothing else


def test_bad_lines_spoil_no_others_and_are_counted_by_reason(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    good = json.dumps(SAID[0].envelope()).encode()
    path.write_bytes(b"\n".join([b"\xff\xfe", b"", good, b"[]", b'{"corp":"x"}', b"{" * 9]))
    answer = run(home, "ingest", str(path), "--json")
    assert (answer.code, counts(answer.json())) == (DONE, (1, 0, 4, 0))
    assert answer.json()["errors"]["not_utf8"] == 1
    assert "not_utf8 1" in run(home, "ingest", str(path)).out


def test_an_ingest_that_was_killed_is_simply_run_again(home: Home, tmp_path: Path) -> None:
    total = 20_000
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for number in range(total):
            file.write(json.dumps(Said(f"m{number}", "yuan", "wmA", "资料").envelope()) + "\n")
    process = subprocess.Popen(
        [LIUHEN, "ingest", str(path)], env=home.environment(), cwd=home.logs, stderr=subprocess.PIPE
    )
    archive = home.data / "archive.db-wal"
    before = archive.stat().st_size if archive.exists() else 0
    while process.poll() is None and (
        not archive.exists() or archive.stat().st_size < before + 1_000_000
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    answer = run(home, "ingest", str(path), "--json").json()
    assert answer["accepted"] + answer["duplicate"] == total
    checked = run(home, "fsck", "--json").json()
    assert (checked["ok"], checked["records"]) == (True, total)


def test_two_ingests_at_once_archive_everything_once(place: Home, tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.jsonl"
        said = [Said(f"both-{number}", "yuan", "wmA", "资料") for number in range(3_000)]
        said += [Said(f"{name}-{number}", "yuan", "wmA", "资料") for number in range(1_000)]
        path.write_text("".join(json.dumps(each.envelope()) + "\n" for each in said))
        files.append(["ingest", str(path), "--json"])
    ended = together(place, *files)
    assert [each.code for each in ended] == [DONE, DONE], [each.err for each in ended]
    answers = [each.json() for each in ended]
    assert sum(each["accepted"] for each in answers) == 5_000
    assert sum(each["duplicate"] for each in answers) == 3_000


def test_every_command_works_beside_every_other(place: Home, messages: Path) -> None:
    run(place, "ingest", str(messages))
    run(place, "catch-up")
    commands = (
        ["search", "琥珀", "--json"],
        ["fsck", "--json"],
        ["doctor", "--json"],
        ["token", "create", "--name", "并行", "--scope", "check", "--json"],
        ["catch-up", "--json"],
    )
    ended = together(place, *commands)
    assert [each.code for each in ended] == [DONE] * len(commands), [each.err for each in ended]


def test_catch_up_out_of_time_says_no_and_how_far(home: Home, messages: Path) -> None:
    run(home, "ingest", str(messages))
    ended = run(home, "catch-up", "--timeout", "0", "--json")
    assert (ended.code, ended.json()["lag"]["screening"]) == (NO, 6)


def test_a_search_that_finds_nothing_says_no(home: Home) -> None:
    ended = run(home, "search", "没有这句话", "--json")
    assert (ended.code, ended.json()["items"]) == (NO, [])


def test_fsck_of_a_changed_record_says_no_and_where(home: Home, messages: Path) -> None:
    run(home, "ingest", str(messages))
    with sqlite3.connect(home.data / "archive.db") as forger:
        triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'records'"
        for (name,) in forger.execute(triggers).fetchall():
            forger.execute(f"DROP TRIGGER {name}")
        forger.execute("UPDATE records SET text = '改过的话' WHERE source_msg_id = 'c3'")
    forger.close()
    ended = run(home, "fsck", "--json")
    assert (ended.code, ended.json()["ok"]) == (NO, False)
    assert ended.json()["differences"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["ingest", "没有的文件.jsonl"], "没有的文件"),
        (["ingest", "."], "没有文件"),
        (["ingest", "-", "--format", "wecom"], "--corp"),
        (["ingest", "-", "--format", "xml"], "--format"),
        (["ingest"], "Missing argument"),
        (["token", "create", "--name", "x", "--scope", "everything"], "everything"),
        (["user", "create", "--login", "xx", "--role", "king", "--password", "0123456789"], "king"),
        (["user", "create", "--login", "xx", "--role", "officer", "--password", "short"], "密码"),
        (["people", "import", "没有的文件.json"], "没有的文件"),
        (["rebuild", "everything"], "search"),
        (["search"], "检索词"),
        (["search", "琥珀", "--since", "2026-01-01T00:00:00"], "since"),
        (["search", "琥珀", "--severity", "blue"], "severity"),
        (["search", "琥珀", "--cursor", "xyz"], "翻页"),
        (["search", '"琥珀'], ""),
        (["screen", "没有的文件.jsonl"], "没有的文件"),
        (["frobnicate"], "frobnicate"),
        (["serve", "--port", "99999"], "PORT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_unusable_input_ends_with_two_and_names_what_is_wrong(
    initialised: Home, arguments: list[str], word: str
) -> None:
    ended = run(initialised, *arguments)
    assert ended.code == UNUSABLE, ended
    assert word in ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "abc"), ("LOG_LEVEL", "loud"), ("SEARCH_TIMEOUT_SECONDS", "-1")]
)
def test_a_bad_setting_is_named(initialised: Home, name: str, value: str) -> None:
    settings = {**initialised.settings, f"LIUHEN_{name}": value}
    ended = run(initialised._replace(settings=settings), "doctor", "--json")
    assert (ended.code, ended.json()["error"]["code"]) == (UNUSABLE, "bad_settings")
    assert f"LIUHEN_{name}" in ended.err


def test_a_database_that_does_not_answer_is_a_missing_part(initialised: Home) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    settings = {**initialised.settings, "LIUHEN_DATABASE_URL": url}
    ended = run(initialised._replace(settings=settings), "doctor", "--json")
    assert (ended.code, ended.json()["error"]["code"]) == (UNAVAILABLE, "unavailable")


def test_a_missing_root_key_is_named_and_not_replaced(home: Home, messages: Path) -> None:
    run(home, "ingest", str(messages))
    key = home.logs / "root.key"
    kept = key.read_bytes()
    key.unlink()
    ended = run(home, "doctor", "--json")
    assert ended.code == UNAVAILABLE
    assert "root.key" in ended.err
    assert not key.exists()
    key.write_bytes(kept)
    assert run(home, "doctor", "--json").code == DONE


def test_screen_gives_one_line_a_case_without_a_database(tmp_path: Path) -> None:
    cases = [
        {"id": "a", "messages": [{"role": "adviser", "text": BREACH}]},
        {"id": "b", "messages": [{"role": "adviser", "text": "不保本的，产品有风险。"}]},
    ]
    source, out = tmp_path / "cases.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(case) + "\n" for case in cases))
    home = Home(tmp_path / "data", tmp_path, {})
    assert run(home, "screen", str(source), "-o", str(out)).code == DONE
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["a", "b"]
    violations = {hit["category"] for hit in lines[0]["hits"] if hit["outcome"] == "violation"}
    assert "principal_guarantee" in violations
    assert not any(hit["outcome"] == "violation" for hit in lines[1]["hits"])
    printed = run(home, "screen", str(source))
    assert printed.out == out.read_text()
    assert not home.data.exists()


def test_a_broken_case_is_named_by_its_line(tmp_path: Path) -> None:
    source = tmp_path / "cases.jsonl"
    source.write_text('{"id":"a","messages":[{"role":"adviser","text":"好"}]}\n{"id":\n')
    ended = run(Home(tmp_path / "data", tmp_path, {}), "screen", str(source))
    assert ended.code == UNUSABLE
    assert "第 2 行" in ended.err


def test_settings_and_version_are_told(initialised: Home) -> None:
    listed = run(initialised, "settings", "--json").json()
    assert {"LIUHEN_DATA", "LIUHEN_DATABASE_URL", "LIUHEN_KEYS_URL", "LIUHEN_SUITE"} <= set(listed)
    assert all(listed.values())
    assert run(initialised, "version", "--json").json()["version"].count(".") == 2


def test_help_loads_nothing_heavy() -> None:
    asked = "import sys; sys.argv = ['liuhen', '--help']; import app.cli; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    loaded = set(ended.stdout.decode().split())
    assert "app.cli" in loaded
    assert not loaded & {"sqlalchemy", "fastapi", "jieba", "app.sample", "app.bootstrap"}


def test_a_server_ends_cleanly_on_sigterm_and_leaves_no_socket(home: Home) -> None:
    with Server(home) as server:
        assert (home.data / "operator.sock").exists()
        assert server.stop() == DONE
    assert not (home.data / "operator.sock").exists()


def test_a_killed_servers_socket_keeps_nobody_out(home: Home) -> None:
    with Server(home) as server:
        server.kill()
        assert (home.data / "operator.sock").exists()
        assert run(home, "doctor", "--json").code == DONE
        server.start()
        assert run(home, "doctor", "--json").code == DONE


def test_a_second_server_on_the_folder_is_refused(home: Home) -> None:
    with Server(home):
        ended = run(home, "serve", "--port", str(free_port()))
    assert ended.code == UNAVAILABLE
    assert "正在使用" in ended.err


def test_a_second_server_on_the_port_is_refused_by_name(home: Home, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = prepare(tmp_path / "other")
    with Server(home) as server:
        ended = run(other, "serve", "--port", str(server.port))
    assert ended.code == UNAVAILABLE
    assert str(server.port) in ended.err


def test_the_socket_opens_for_the_folders_owner_alone(home: Home) -> None:
    with Server(home):
        assert (home.data / "operator.sock").stat().st_mode & 0o077 == 0


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One folder for commands that change nothing."""
    return prepare(tmp_path_factory.mktemp("initialised"))


def together(home: Home, *commands: Sequence[str]) -> list[Done]:
    """Run commands at the same time; gives how they ended in their order."""
    ended: dict[int, Done] = {}

    def do(number: int, arguments: Sequence[str]) -> None:
        ended[number] = run(home, *arguments)

    threads = [threading.Thread(target=do, args=each) for each in enumerate(commands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [ended[number] for number in range(len(commands))]


def ids(page: dict[str, Any]) -> set[str]:
    return {each["source_msg_id"] for each in page["items"]}
