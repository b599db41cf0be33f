import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from app.sample import Pushed, ndjson, push


class Server(ThreadingHTTPServer):
    """Answers like the ingestion API and remembers what it took; `refusals` are given first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.taken: list[list[dict[str, object]]] = []
        self.headers: list[dict[str, str]] = []
        self.known: set[object] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.refusals:
            status, headers = self.server.refusals.pop(0)
            self._answer(status, headers, {})
            return
        batch = [json.loads(line) for line in body.splitlines()]
        self.server.taken.append(batch)
        self.server.headers.append(
            {"path": self.path} | {k.lower(): v for k, v in self.headers.items()}
        )
        ids = {each["source_msg_id"] for each in batch}
        new = ids - self.server.known
        self.server.known |= ids
        counts = {
            "accepted": len(new),
            "duplicate": len(ids - new),
            "quarantined": 0,
            "rejected": 0,
        }
        self._answer(200, {}, dict(counts))

    def _answer(self, status: int, headers: dict[str, str], answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def _lines(count: int) -> list[bytes]:
    return list(ndjson({"source_msg_id": f"m{number}", "text": "您好"} for number in range(count)))


def test_lines_arrive_in_order_in_batches_with_the_token(server: Server) -> None:
    assert push(server.url, "secret", _lines(25), batch=10) == Pushed(accepted=25)
    assert [len(batch) for batch in server.taken] == [10, 10, 5]
    arrived = [message["source_msg_id"] for batch in server.taken for message in batch]
    assert arrived == [f"m{number}" for number in range(25)]
    for headers in server.headers:
        assert headers["path"] == "/api/v1/messages"
        assert headers["authorization"] == "Bearer secret"
        assert headers["content-type"] == "application/x-ndjson"


def test_a_second_push_yields_only_duplicates(server: Server) -> None:
    push(server.url, "secret", _lines(12), batch=5)
    assert push(server.url, "secret", _lines(12), batch=5) == Pushed(duplicate=12)


def test_progress_tells_the_counts_so_far(server: Server) -> None:
    told: list[int] = []
    push(server.url, "secret", _lines(25), 10, lambda done: told.append(done.total))
    assert told == [10, 20, 25]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_said(
    server: Server, naps: list[float], status: int
) -> None:
    server.refusals = [(status, {"retry-after": "7"}), (status, {})]
    assert push(server.url, "secret", _lines(3)) == Pushed(accepted=3)
    assert naps == [7, 5]


def test_a_server_that_stays_busy_is_given_up(server: Server, naps: list[float]) -> None:
    server.refusals = [(503, {"retry-after": "200"})] * 9
    with pytest.raises(httpx.HTTPStatusError):
        push(server.url, "secret", _lines(3))
    assert sum(naps) == 800


def test_another_refusal_is_raised_at_once(server: Server, naps: list[float]) -> None:
    server.refusals = [(401, {})]
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        push(server.url, "wrong", _lines(3))
    assert naps == []


def test_lines_without_a_line_end_are_kept_apart(server: Server) -> None:
    assert push(server.url, "secret", [line.strip() for line in _lines(4)]).accepted == 4


def test_nothing_to_push_is_no_request(server: Server) -> None:
    assert push(server.url, "secret", []) == Pushed()
    assert server.taken == []
