"""Sealing: the tree is that of the leaves, heads are signed once and never contradict each other."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select, update

from app.access import OPERATOR, Event, record
from app.access.audit import Filter, page
from app.access.domain import TokenScope
from app.bootstrap import Services
from app.evidence import fsck, logs, merkle, note, tiles
from app.evidence.models import LogCheckpoint, LogTile
from app.evidence.signer import Head, Signer, SignerKeyMissing, SignerRefuses
from app.foundation.keys import INTL
from app.main import create_app
from tests.evidence.conftest import seal

Fill = Callable[[int], None]
CORP = 1


def _differences(services: Services) -> list[str]:
    return fsck.check(services.db, services.signer, services.settings.log_origin)


def _origin(services: Services, log: int = CORP) -> str:
    with services.db.read() as connection:
        return logs.origins(connection, services.settings.log_origin)[log]


@pytest.fixture
def client(services: Services) -> TestClient:
    token = services.access.create_token("t", [TokenScope.SEARCH], OPERATOR)
    return TestClient(create_app(services), headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("counts", [(1,), (255, 1, 1), (256,), (300, 700, 3)])
def test_the_root_is_that_of_the_leaves_however_they_came(
    services: Services, fill: Fill, counts: tuple[int, ...]
) -> None:
    for count in counts:
        fill(count)
        seal(services)
    size = sum(counts)
    with services.db.read() as connection:
        leaves = logs.record_leaves(connection, CORP, 0, size)
        sealed = logs.latest(connection, CORP)
        assert sealed is not None
        assert sealed.size == size
        tree = fsck.Tree()
        for leaf in leaves:
            for _ in tree.add(merkle.hash_leaf(leaf)):
                pass
        reader = tiles.Reader(connection, CORP)
        assert sealed.root == tree.root() == merkle.root(reader.node, size)
    assert _differences(services) == []


def test_heads_are_signed_and_name_the_head_of_the_other_log(
    services: Services, fill: Fill
) -> None:
    fill(3)
    with services.db.write() as connection:
        record(connection, Event.FSCK_RUN, OPERATOR)
    seal(services)
    seal(services)
    fill(1)
    seal(services)
    with services.db.read() as connection:
        sealed = logs.latest(connection, CORP)
        entries = page(connection, Filter(), before=None, limit=50)
    assert sealed is not None
    head = note.parse(note.open_note(sealed.note, _origin(services), services.signer.public))
    assert head.anchor is not None
    assert (head.size, head.anchor.origin) == (4, "liuhen/audit")
    anchored = [link.entry for link in entries if link.entry.event == Event.LOG_SEAL]
    assert [each.subject for each in anchored] == [_origin(services)]  # at most once a minute
    with services.db.read() as connection:
        node = tiles.Reader(connection, logs.AUDIT).node
        assert merkle.root(node, head.anchor.size) == head.anchor.root


def test_a_changed_leaf_is_never_signed_over(services: Services, fill: Fill) -> None:
    fill(5)
    seal(services)
    with (
        services.db.write() as connection
    ):  # an insider with the database: the tile is derived anew
        connection.execute(
            update(LogTile).where(LogTile.log_id == CORP).values(hashes=bytes(32) * 5)
        )
    fill(1)
    with pytest.raises(SignerRefuses):
        seal(services)


def test_a_rewritten_database_is_found_by_fsck(services: Services, fill: Fill) -> None:
    fill(300)
    seal(services)
    with services.db.write() as connection:
        kept = connection.execute(
            select(LogTile.hashes).where(
                LogTile.log_id == CORP, LogTile.level == 0, LogTile.number == 1
            )
        ).scalar_one()
        connection.execute(
            update(LogTile)
            .where(LogTile.log_id == CORP, LogTile.level == 0, LogTile.number == 1)
            .values(hashes=kept[32:] + kept[:32])
        )
    assert _differences(services) == [f"{_origin(services)}：散列块 0/1 与叶子不符"]


def test_a_cut_tail_is_found_by_what_was_signed(services: Services, fill: Fill) -> None:
    fill(2)
    seal(services)
    services.signer._heads |= {_origin(services): Head(9, bytes(32))}
    assert any("尾部被截断" in each for each in _differences(services))
    fill(1)
    with pytest.raises(SignerRefuses):
        seal(services)


def test_rebuilding_ends_in_the_same_tree_and_signs_nothing_new(
    services: Services, fill: Fill
) -> None:
    fill(300)
    seal(services)
    with services.db.read() as connection:
        before = connection.execute(select(LogTile).order_by(LogTile.level, LogTile.number)).all()
        signed = logs.count(connection, CORP)
    for follower in services.followers:
        if follower.name == "seal":
            follower.reset()
    seal(services)
    with services.db.read() as connection:
        after = connection.execute(select(LogTile).order_by(LogTile.level, LogTile.number)).all()
        corp = [row for row in before if row.log_id == CORP]
        assert [row for row in after if row.log_id == CORP] == corp
        assert logs.count(connection, CORP) == signed
    assert _differences(services) == []


def test_checkpoints_cannot_be_removed(services: Services, fill: Fill) -> None:
    fill(1)
    seal(services)
    with pytest.raises(Exception, match="append-only"), services.db.write() as connection:
        connection.execute(delete(LogCheckpoint))


def test_a_lost_signing_key_is_not_replaced(tmp_path: Path) -> None:
    signer = Signer(tmp_path, is_new=True)
    (tmp_path / "signer.key").unlink()
    with pytest.raises(SignerKeyMissing):
        Signer(tmp_path, is_new=False)
    assert signer.public != Signer(tmp_path, is_new=True).public


def test_the_signer_remembers_across_restarts(tmp_path: Path) -> None:
    leaves = [bytes([number]) for number in range(8)]

    def node(level: int, index: int) -> bytes:
        part = [merkle.hash_leaf(each) for each in leaves[index << level : (index + 1) << level]]
        while len(part) > 1:
            part = [merkle.hash_node(part[n], part[n + 1]) for n in range(0, len(part), 2)]
        return part[0]

    def sign(size: int, root: bytes | None = None) -> str:
        signer = Signer(tmp_path, is_new=True)
        head = note.Checkpoint("log", size, root or merkle.root(node, size))
        return signer.sign(head, lambda old: merkle.consistency(node, old, size))

    assert sign(5) == sign(5)
    sign(7)
    for size, root in ((6, None), (7, bytes(32)), (8, bytes(32))):
        with pytest.raises(SignerRefuses):
            sign(size, root)
    sign(8)


def test_a_message_comes_with_its_proof(services: Services, client: TestClient, fill: Fill) -> None:
    fill(300)
    waiting = client.get("/api/v1/messages/msg_1_7/proof")
    assert (waiting.status_code, waiting.json()["code"]) == (503, "not_sealed")
    seal(services)
    told = client.get("/api/v1/messages/msg_1_7/proof").json()
    raw = {name: base64.b64decode(told[name]) for name in ("leaf", "leaf_hash", "root")}
    assert merkle.hash_leaf(raw["leaf"]) == raw["leaf_hash"]
    path = [base64.b64decode(each) for each in told["path"]]
    merkle.verify_inclusion(raw["leaf_hash"], told["index"], told["size"], path, raw["root"])
    public = base64.b64decode(told["vkey"].split("+", 2)[2])[1:]
    head = note.parse(note.open_note(told["checkpoint"], told["origin"], public))
    assert (head.size, head.root) == (told["size"], raw["root"])
    text = client.get("/api/v1/messages/msg_1_7").json()["text"].encode()
    field = told["fields"]["text"]
    assert INTL.commit(base64.b64decode(field["salt"]), text) == base64.b64decode(
        field["commitment"]
    )


def test_the_log_is_served_in_tiles(services: Services, client: TestClient, fill: Fill) -> None:
    fill(300)
    seal(services)
    listed = client.get("/api/v1/logs").json()["items"]
    assert [(each["log"], each["origin"]) for each in listed] == [
        ("audit", "liuhen/audit"),
        ("records-1", "liuhen/records/ww1"),
    ]
    head = note.parse(
        client.get("/api/v1/logs/records-1/checkpoint").text.partition("\n\n")[0] + "\n"
    )
    assert head.size == 300
    full = client.get("/api/v1/logs/records-1/tile/0/000").content
    part = client.get("/api/v1/logs/records-1/tile/0/001.p/44").content
    assert (len(full), len(part)) == (8192, 44 * 32)
    tree = fsck.Tree()
    for start in range(0, 300 * 32, 32):
        for _ in tree.add((full + part)[start : start + 32]):
            pass
    assert tree.root() == head.root
    assert client.get("/api/v1/logs/records-1/tile/0/001").status_code == 404
    assert client.get("/api/v1/logs/records-1/tile/0/1").status_code == 400
    assert client.get("/api/v1/logs/records-9/checkpoint").status_code == 404


def test_the_log_proves_that_it_only_grew(
    services: Services, client: TestClient, fill: Fill
) -> None:
    fill(100)
    seal(services)
    fill(101)
    seal(services)
    told = client.get("/api/v1/logs/records-1/consistency", params={"old": 100}).json()
    path = [base64.b64decode(each) for each in told["path"]]
    roots = [base64.b64decode(told[name]) for name in ("old_root", "root")]
    merkle.verify_consistency(100, 201, path, *roots)
    assert client.get("/api/v1/logs/records-1/consistency", params={"old": 202}).status_code == 400
