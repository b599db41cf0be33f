"""The README's commands do what it says."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
BIN = str(Path(sys.executable).parent)


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "LIUHEN_DATA": str(tmp_path / "data"), "LIUHEN_LOG_LEVEL": "warning"}


def commands(first: str) -> list[str]:
    """The lines of the block that begins with a command."""
    (block,) = [each for each in BLOCKS if each.startswith(first)]
    return [line.replace(".venv/bin", BIN) for line in block.splitlines() if line]


def test_the_first_steps_run_as_written(surroundings: dict[str, str]) -> None:
    *steps, serve = commands(".venv/bin/liuhen init")
    outputs = [
        subprocess.run(  # noqa: S602  (the README's lines are shell)
            step,
            shell=True,
            cwd=ROOT,
            env=surroundings,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for step in steps
    ]
    assert "管理员" in outputs[0]
    assert outputs[1].startswith("lh_")
    assert "新入档 34" in outputs[2]
    assert "家族信托" in outputs[4]
    assert "0 处不符" in outputs[5]
    assert serve.endswith("liuhen serve")


def test_every_make_target_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_curl_example_is_accepted_and_alerted(surroundings: dict[str, str]) -> None:
    (line,) = re.findall(r"<<'EOF'\n(.*?)\nEOF", README, re.DOTALL)
    liuhen = f"{BIN}/liuhen"

    def run(*arguments: str, given: str = "") -> dict[str, object]:
        done = subprocess.run(
            [liuhen, *arguments, "--json"],
            input=given,
            env=surroundings,
            check=True,
            capture_output=True,
            text=True,
        )
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    run("init")
    assert run("ingest", "-", given=line)["accepted"] == 1
    lag = run("catch-up")["lag"]
    assert isinstance(lag, dict)
    assert set(lag) >= {"screening", "search", "findings", "alerts", "seal", "seal_audit"}
    assert not any(lag.values())
    found = run("search", "保本")
    assert found["total"] == {"value": 1, "relation": "eq"}


def test_make_run_serves_the_sample_company(surroundings: dict[str, str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["make", "run", f"PORT={port}"],
        cwd=ROOT,
        env=surroundings,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        shown = ""
        while "新入档 20000" not in shown:
            line = process.stdout.readline()
            assert line, f"make run ended: {shown}"
            shown += line
        password = re.findall(r"officer\s+│\s+(\S+)", shown)[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            assert http.get("/readyz").json()["ready"] is True
            login = {"login": "officer", "password": password}
            assert http.post("/api/v1/session", json=login).status_code == 204
            found = http.get("/api/v1/messages", params={"q": "托", "count": "exact"}).json()
        assert found["total"]["value"] > 0
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
