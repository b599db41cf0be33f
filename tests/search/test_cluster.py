"""The clustered shape on real servers: PostgreSQL and one OpenSearch node."""

import ipaddress
import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from app import health, operate
from app.access import EVERYTHING, OPERATOR, Scope
from app.archive.store import read_log
from app.bootstrap import Services, open_services
from app.foundation import clock
from app.foundation.settings import Settings
from app.oversight import store
from app.oversight.domain import Step
from app.oversight.review import take_step
from app.oversight.store import Wanted
from app.search.domain import NeedsRebuild
from app.search.filters import Filters
from app.search.opensearch import Access, ClusterAway, OpenSearchIndex, follower, layout
from app.search.opensearch.bulk import IndexReadOnly
from app.search.opensearch.nodes import Nodes
from app.search.query import parse
from tests.search.firm import PEOPLE, department, follow, line, search, texts
from tests.server import free_port
from tests.servers.opensearch import ask


@pytest.fixture
def cluster_database(postgres: str, tmp_path: Path) -> Iterator[str]:
    name = f"cluster_{abs(hash(tmp_path)):x}"
    with psycopg.connect(postgres.format(name="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE liuhen_template".encode())
        yield postgres.format(name=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def services(
    cluster_database: str, tmp_path: Path, opensearch: str, prefix: str
) -> Iterator[Services]:
    """Everything wired as an entry wires it in the clustered shape, no follower running."""
    settings = Settings(
        data=tmp_path / "data",
        keys_url=f"file://{tmp_path}/root.key",
        database_url=SecretStr(cluster_database),
        search_url=SecretStr(opensearch),
        search_prefix=prefix,
        search_timeout_seconds=20,
    )
    with open_services(settings) as opened:
        yield opened


@pytest.fixture
def office(services: Services) -> Services:
    """The small firm, followed to the end."""
    services.people.import_json(OPERATOR, json.dumps(PEOPLE).encode())
    services.capture.receive(
        [
            line(1, "二月的话", month=2),
            line(2, "三月的话", month=3),
            line(3, "苏禾的话，保本保息", sender="su.he", month=3),
        ]
    )
    caught_up(services)
    return services


def cluster(services: Services) -> OpenSearchIndex:
    assert isinstance(services.index, OpenSearchIndex)
    return services.index


def caught_up(services: Services) -> None:
    follow(services)
    cluster(services).refresh()


def test_the_log_and_its_notes_reach_the_cluster(office: Services) -> None:
    assert texts(search(office, q="话")) == ["苏禾的话，保本保息", "三月的话", "二月的话"]
    assert texts(search(office, q="话", department=["east"])) == ["苏禾的话，保本保息", "二月的话"]
    assert texts(search(office, category=["principal_guarantee"])) == ["苏禾的话，保本保息"]
    west = Scope(frozenset({department(office, "west")}), None)
    seen = search(office, west, q="话", count="exact")
    assert (texts(seen), seen.total.value) == (["三月的话"], 1)


def test_an_alert_moves_on_and_the_cluster_follows(office: Services) -> None:
    assert texts(search(office, state=["open"])) == ["苏禾的话，保本保息"]
    with office.db.write() as connection:
        (alert,) = store.read_page(connection, Wanted(), EVERYTHING, before=None, limit=10)
        take_step(connection, alert.id, EVERYTHING, OPERATOR, Step.CLAIM)
    caught_up(office)
    assert texts(search(office, state=["open"])) == []
    assert texts(search(office, state=["claimed"])) == ["苏禾的话，保本保息"]


def test_a_late_write_of_older_knowledge_changes_nothing(office: Services) -> None:
    index = cluster(office)
    with office.db.read() as connection:
        messages = read_log(connection, 1, 0, 3)
        documents = follower._documents(connection, 1, messages)
    index._put(1, 1, documents, {}, 1)
    index.refresh()
    assert texts(search(office, state=["open"])) == ["苏禾的话，保本保息"]


def test_a_rebuild_serves_throughout_and_ends_the_same(office: Services) -> None:
    before = search(office, q="话", count="exact")
    index = cluster(office)
    seen: list[Sequence[str]] = []

    def look(_done: int, _whole: int) -> None:
        seen.append(texts(search(office, q="话")))

    office.rebuilder.run(look)
    assert len(seen) > 1
    assert {tuple(each) for each in seen} == {tuple(texts(before))}
    after = search(office, q="话", count="exact")
    assert (after.items, after.total) == (before.items, before.total)
    assert texts(search(office, category=["principal_guarantee"])) == ["苏禾的话，保本保息"]
    assert index._indexes(f"{layout.template_name(index.prefix, 1)}-*") == []
    office.capture.receive([line(9, "后来的话", month=4)])
    caught_up(office)
    assert texts(search(office, q="后来的话")) == ["后来的话"]
    assert index.check() == ()


def test_a_rebuild_that_was_cut_short_goes_on_where_it_stopped(office: Services) -> None:
    index = cluster(office)
    begun: list[int] = []

    def cut(done: int, whole: int) -> None:
        begun.append(whole)
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        office.rebuilder.run(cut)
    assert index.state.latest() == 1
    went_on: list[int] = []
    office.rebuilder.run(lambda _done, whole: went_on.append(whole))
    assert index.state.latest() == 2
    assert went_on[0] < begun[0]
    assert len(texts(search(office, q="话"))) == 3


def test_an_index_of_other_rules_asks_for_a_rebuild_and_gets_it(
    office: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = cluster(office)
    monkeypatch.setattr(layout, "VERSION", "layout 9")
    monkeypatch.setattr(index, "_known_until", 0.0)
    with pytest.raises(NeedsRebuild):
        search(office, q="话")
    operate.rebuild(office, "search", lambda _done, _whole: None)
    assert len(texts(search(office, q="话"))) == 3


def test_an_index_deleted_behind_our_back_is_noticed(office: Services) -> None:
    index = cluster(office)
    assert index.check() == ()
    months = index._indexes(f"{index.prefix}-g1-*")
    index._delete(f"/{months[0]}")
    assert index.check() != ()
    for month in months[1:]:
        index._delete(f"/{month}")
    with pytest.raises(NeedsRebuild):
        search(office, q="话")


def test_a_closed_index_stops_the_followers_is_reported_and_loses_nothing(
    office: Services, opensearch: str
) -> None:
    index = cluster(office)
    (part,) = (each for each in health.parts(office, None) if each.name == "search_cluster")
    assert part.is_ok, part.detail
    settings = f"/{index.prefix}-g1-*/_settings"
    ask(opensearch, settings, {"index.blocks.read_only_allow_delete": "true"}, "PUT")
    office.capture.receive([line(9, "磁盘满时的话", month=3)])
    with pytest.raises(IndexReadOnly, match="磁盘"):
        follow(office)
    (part,) = (each for each in health.parts(office, None) if each.name == "search_cluster")
    assert not part.is_ok
    assert "只读" in part.detail
    ask(opensearch, settings, {"index.blocks.read_only_allow_delete": None}, "PUT")
    caught_up(office)
    assert texts(search(office, q="磁盘满时的话")) == ["磁盘满时的话"]


def test_without_any_node_search_says_so_and_opening_it_does_not_fail() -> None:
    lost = OpenSearchIndex(Access((f"http://127.0.0.1:{free_port()}",)))
    with pytest.raises(ClusterAway, match="连不上") as refused:
        lost.search(parse("话"), Filters())
    assert refused.value.status == 503
    lost.close()


class Recorded(BaseHTTPRequestHandler):
    """Stands for a server with the security plugin, which our test server lacks: refuses all but one user."""

    def do_GET(self) -> None:
        """Answer one request."""
        user = f"Basic {b64encode(b'liuhen:secret').decode()}"
        is_known = self.headers["Authorization"] == user
        body = b'{"nodes":{"a":{"name":"n1"}}}' if is_known else b"Unauthorized"
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Type", "application/json" if is_known else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address and authority of a TLS server that wants a password."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorded) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", certificate
        server.shutdown()
        thread.join()


def self_signed(folder: Path) -> Path:
    """A key and a certificate for this machine, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "node.pem"
    path.write_bytes(key.private_bytes(pem, pkcs8, plain) + made.public_bytes(pem))
    return path


@pytest.mark.parametrize(
    ("password", "knows_authority", "complaint"),
    [("secret", True, None), ("wrong", True, "口令"), ("secret", False, "证书")],
)
def test_user_password_and_authority_are_used_and_a_wrong_one_is_named(
    secured: tuple[str, Path], password: str, *, knows_authority: bool, complaint: str | None
) -> None:
    url, authority = secured
    nodes = Nodes(Access((url,), "liuhen", password, str(authority) if knows_authority else ""))
    if complaint is None:
        assert nodes.ask("GET", "/_nodes/_local", within=5) == {"nodes": {"a": {"name": "n1"}}}
    else:
        with pytest.raises(ClusterAway, match=complaint):
            nodes.ask("GET", "/_nodes/_local", within=5)
    nodes.close()
