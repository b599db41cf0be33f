"""`liuhen demo`: cut short at any moment it goes on, and a later start keeps what is there."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.server import Home, free_port, run

LIUHEN = Path(sys.executable).parent / "liuhen"
COUNT = 5_000
LOGINS = ("officer", "supervisor", "inspector", "adviser", "administrator", "auditor")
PATIENCE = 120  # seconds; only a demonstration that hangs needs them


@contextmanager
def demonstration(home: Home, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process, writing to `demo.out`; killed at the end if it still runs."""
    command = [str(LIUHEN), "demo", "--port", str(port), "--count", str(COUNT)]
    with (home.logs / "demo.out").open("wb") as out:
        process = subprocess.Popen(
            command, env=home.environment(), cwd=home.logs, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def accepted(port: int) -> int:
    """How many messages this server has archived so far; 0 while it does not answer."""
    try:
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
    except httpx.TransportError:
        return 0
    found = re.search(r'liuhen_messages_total\{status="accepted"\} ([0-9.]+)', metrics)
    return int(float(found[1])) if found else 0


def test_the_demonstration_goes_on_where_it_was_killed_and_keeps_its_logins(
    tmp_path: Path,
) -> None:
    home, port = Home(tmp_path / "data", tmp_path, {}), free_port()
    notes, done = home.data / "sample.json", home.data / "sample.json.done"

    with demonstration(home, port) as process:
        wait_until(notes.exists, process)  # before the first login is made
    first = json.loads(notes.read_text())

    with demonstration(home, port) as process:
        wait_until(lambda: accepted(port) > 0, process)
    assert not done.exists()

    with demonstration(home, port) as process:
        wait_until(done.exists, process)
        for login in LOGINS:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
                credentials = {"login": login, "password": first["logins"][login]}
                assert client.post("/session", json=credentials).status_code == 204
                roles = client.get("/session").json()["roles"]
                assert [role["role"] for role in roles] == [login]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    printed = (home.logs / "demo.out").read_text()
    assert all(first["logins"][login] in printed for login in LOGINS)
    assert f"http://127.0.0.1:{port}" in printed

    with demonstration(home, port) as process:
        wait_until(
            lambda: first["logins"]["officer"] in (home.logs / "demo.out").read_text(), process
        )
        assert accepted(port) == 0  # nothing is pushed again
    checked = run(home, "fsck", "--json").json()
    assert (checked["ok"], checked["records"], checked["quarantined"]) == (True, COUNT, 0)
