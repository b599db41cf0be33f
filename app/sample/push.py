"""Pushes envelopes in through the public ingestion API, batch by batch, in the order given.

A batch is repeated until the server has taken it: 429 and 503 are waited out as long as `Retry-After` says. The
server knows repeated messages by their ids, so a push that was cut short may simply be run again.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import httpx

_BUSY: Final = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
_PAUSE: Final = 5  # seconds, where a busy server does not say how long
_PATIENCE: Final = 600  # seconds of waiting on one batch
_TIMEOUT: Final = httpx.Timeout(10, read=120)


class Pushed(NamedTuple):
    """What became of the messages."""

    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """All messages the server answered for."""
        return sum(self)


def ndjson(envelopes: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Write each envelope as one line."""
    for envelope in envelopes:
        yield json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def push(
    base_url: str,
    token: str,
    lines: Iterable[bytes],
    batch: int = 1000,
    on_progress: Callable[[Pushed], None] | None = None,
) -> Pushed:
    """Send lines of NDJSON to `POST {base_url}/api/v1/messages`; tell the counts so far after each batch.

    Raises httpx.HTTPStatusError for an answer that is no success, and for a server that stays busy for ten minutes.
    """
    done = Pushed()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=_TIMEOUT) as client:
        for body in _batches(lines, batch):
            done = _sum(done, _send(client, body))
            if on_progress:
                on_progress(done)
    return done


def _batches(lines: Iterable[bytes], batch: int) -> Iterator[bytes]:
    remaining = iter(lines)
    while chunk := list(islice(remaining, batch)):
        yield b"".join(line if line.endswith(b"\n") else line + b"\n" for line in chunk)


def _send(client: httpx.Client, body: bytes) -> Pushed:
    waited = 0.0
    while True:
        response = client.post("/api/v1/messages", content=body)
        if response.status_code not in _BUSY or waited > _PATIENCE:
            break
        pause = _pause(response)
        time.sleep(pause)
        waited += pause
    answer = response.raise_for_status().json()
    return Pushed(*(answer[name] for name in Pushed._fields))


def _pause(response: httpx.Response) -> float:
    said = response.headers.get("retry-after", "")
    return int(said) if said.isdecimal() else _PAUSE


def _sum(one: Pushed, other: Pushed) -> Pushed:
    return Pushed(*(a + b for a, b in zip(one, other, strict=True)))
