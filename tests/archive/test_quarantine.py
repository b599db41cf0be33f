"""What could not be understood is kept once, exactly, until one person has dealt with it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.archive import quarantine
from app.archive.models import QuarantineItem
from app.archive.quarantine import INLINE_BYTES, Item, Reject, State
from app.foundation.blobs import BlobDamaged, BlobMissing
from app.foundation.errors import Conflict, NotFound
from app.foundation.keys import BucketKey, KeyUnusable
from tests.archive.conftest import Archive

TAG_BYTES = 16  # of the cipher
LARGE = b"x" * (INLINE_BYTES - TAG_BYTES + 1)


def reject(data: bytes, **changes: str | None) -> Reject:
    fields: dict[str, str | None] = {
        "door": "messages",
        "corp": "ww1",
        "reason": "not_json",
        "detail": "第 1 个字符处不是合法的 JSON",
    }
    return Reject(**fields | changes, data=data)  # type: ignore[arg-type]


def kept(archive: Archive) -> list[bytes]:
    return [data for _, data in archive.quarantined()]


def page(archive: Archive, **wanted: object) -> list[int]:
    choice: dict[str, object] = {"state": None, "before": None, "limit": 10} | wanted
    with archive.db.read() as connection:
        return [each.id for each in quarantine.items(connection, **choice)]  # type: ignore[arg-type]


def settle(archive: Archive, number: int, state: State) -> None:
    with archive.db.write() as connection:
        quarantine.settle(connection, number, state)


def blob_files(archive: Archive, folder: Path) -> list[Path]:
    return [folder / "blobs" / name[:2] / name for name in archive.blobs.names()]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(datas=st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_are_kept_once_and_exactly(archive: Archive, datas: list[bytes]) -> None:
    before = set(kept(archive))
    archive.door.append([], [reject(data) for data in [*datas, *datas]])
    archive.door.append([], [reject(data) for data in datas])
    after = kept(archive)
    assert set(after) == before | set(datas)
    assert len(after) == len(set(after))


def test_the_same_bytes_by_another_door_or_of_another_corp_are_another_input(
    archive: Archive,
) -> None:
    archive.door.append(
        [],
        [
            reject(b"x"),
            reject(b"x", door="wecom"),
            reject(b"x", corp="ww2"),
            reject(b"x", corp=None),
        ],
    )
    archive.door.append([], [reject(b"x", reason="other", detail="其他")])
    found = [(item.door, item.corp, item.reason) for item, _ in archive.quarantined()]
    assert found == [
        ("messages", "ww1", "not_json"),
        ("wecom", "ww1", "not_json"),
        ("messages", "ww2", "not_json"),
        ("messages", None, "not_json"),
    ]


@pytest.mark.parametrize(
    ("size", "blobs"), [(0, 0), (len(LARGE) - 1, 0), (len(LARGE), 1), (3_000_000, 1)]
)
def test_small_input_lies_in_its_row_and_large_in_a_blob(
    archive: Archive, size: int, blobs: int
) -> None:
    archive.door.append([], [reject(b"z" * size)])
    [(item, data)] = archive.quarantined()
    assert (item.size, data) == (size, b"z" * size)
    assert len([*archive.blobs.names()]) == blobs


def test_nothing_is_stored_in_the_clear(archive: Archive, tmp_path: Path) -> None:
    secret = "保本保息".encode()
    archive.door.append([], [reject(secret), reject(secret + LARGE)])
    with archive.db.read() as connection:
        sealed = connection.execute(select(QuarantineItem.sealed)).scalars().all()
    stored = [each for each in sealed if each] + [
        path.read_bytes() for path in blob_files(archive, tmp_path)
    ]
    assert len(stored) == 2
    assert not any(secret in each for each in stored)


def test_items_are_listed_newest_first_by_page_and_state(archive: Archive) -> None:
    archive.door.append([], [reject(bytes([number])) for number in range(5)])
    numbers = page(archive)
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 5
    settle(archive, numbers[1], State.DISCARDED)
    settle(archive, numbers[3], State.REPLAYED)
    assert page(archive, limit=2) == numbers[:2]
    assert page(archive, before=numbers[1]) == numbers[2:]
    assert page(archive, state=State.WAITING) == [numbers[0], numbers[2], numbers[4]]
    assert page(archive, state=State.DISCARDED) == [numbers[1]]
    with archive.db.read() as connection:
        assert quarantine.waiting(connection) == 3


def test_an_item_tells_what_became_of_it(archive: Archive) -> None:
    archive.door.append([], [reject(b"x")])
    [before] = [item for item, _ in archive.quarantined()]
    assert (before.state, before.ended_at) == (State.WAITING, None)
    settle(archive, before.id, State.DISCARDED)
    [(after, data)] = archive.quarantined()
    assert after.ended_at is not None
    assert after == Item(*before)._replace(state=State.DISCARDED, ended_at=after.ended_at)
    assert data == b"x"


def test_of_many_who_settle_one_item_one_succeeds(archive: Archive) -> None:
    archive.door.append([], [reject(b"x")])
    [number] = page(archive)
    start = threading.Barrier(4)

    def attempt(state: State) -> bool:
        start.wait()
        try:
            settle(archive, number, state)
        except Conflict:
            return False
        return True

    states = [State.DISCARDED, State.REPLAYED, State.DISCARDED, State.REPLAYED]
    with ThreadPoolExecutor(4) as pool:
        won = [state for state, ok in zip(states, pool.map(attempt, states), strict=True) if ok]
    [(item, _)] = archive.quarantined()
    assert won == [item.state]


def test_an_unknown_item_is_not_found(archive: Archive) -> None:
    with pytest.raises(NotFound):
        settle(archive, 7, State.DISCARDED)
    with archive.db.read() as connection:
        with pytest.raises(NotFound):
            quarantine.item(connection, 7)
        with pytest.raises(NotFound):
            quarantine.open_bytes(connection, archive.keyring, archive.blobs, 7)


@pytest.fixture
def large(archive: Archive, tmp_path: Path) -> Path:
    """The file of a large input."""
    archive.door.append([], [reject(LARGE)])
    [path] = blob_files(archive, tmp_path)
    return path


def test_a_missing_blob_is_named(archive: Archive, large: Path) -> None:
    large.unlink()
    with pytest.raises(BlobMissing) as caught:
        archive.quarantined()
    assert caught.value.facts == {"name": large.name}


@pytest.mark.parametrize("damage", [b"", b"y"])
def test_a_damaged_blob_is_named(archive: Archive, large: Path, damage: bytes) -> None:
    large.write_bytes(damage + large.read_bytes()[:-1])
    with pytest.raises(BlobDamaged) as caught:
        archive.quarantined()
    assert caught.value.facts == {"name": large.name}


def test_without_its_key_an_item_cannot_be_opened(archive: Archive) -> None:
    archive.door.append([], [reject(b"x")])
    with archive.db.write() as connection:
        connection.execute(update(BucketKey).values(wrapped=None))
    with pytest.raises(KeyUnusable):
        archive.quarantined()


def test_a_corp_that_normalising_has_lengthened_is_cut_not_lost(archive: Archive) -> None:
    archive.door.append([], [reject(b"x", corp="w" * 300)])
    archive.door.append([], [reject(b"x", corp="w" * 300)])
    [(item, _)] = archive.quarantined()
    assert item.corp == "w" * 256
    assert archive.differences() == []
