"""What `liuhen log …` and `liuhen export …` can ask of a data folder, beside the operations of `app.operate`."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from pydantic import ValidationError

from app.access import OPERATOR, Event, record
from app.bootstrap import Services
from app.evidence import exports
from app.evidence.api import consistency_of, list_of, proof_of
from app.evidence.exports_api import ExportIn, shown
from app.evidence.follower import SealFollower
from app.evidence.logs import NotSealed
from app.foundation.followers import CursorMoved, catch_up, take_lease
from app.foundation.http import InvalidFields
from app.retention.api import candidates_of

Answer: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[int, int], None]


def list_logs(services: Services) -> Answer:
    """Every log with its newest signed head."""
    origin = services.settings.log_origin
    return list_of(services.db, services.signer, origin).model_dump(mode="json")


def prove_message(services: Services, name: str) -> Answer:
    """The inclusion proof of a message."""
    found = proof_of(
        services.db,
        services.keyring,
        services.signer,
        services.settings.log_origin,
        OPERATOR,
        name,
    )
    return found.model_dump(mode="json")


def prove_consistency(services: Services, log: str, old: int, size: int | None) -> Answer:
    """The proof that a log only grew between two sizes."""
    found = consistency_of(services.db, log, old, size)
    return found.model_dump(mode="json")


def create_export(services: Services, body: Answer) -> Answer:
    """Ask for a package; the answer holds the preview."""
    try:
        wanted = ExportIn(**body)
    except ValidationError as error:
        places = [".".join(map(str, each["loc"])) for each in error.errors()]
        raise InvalidFields(f"请检查：{'、'.join(places)}", fields=places) from None
    return shown(exports.request(services.db, OPERATOR, wanted.request())).model_dump(mode="json")


def show_export(services: Services, name: str) -> Answer:
    """State and progress of a package."""
    with services.db.read() as connection:
        return shown(exports.one(connection, name)).model_dump(mode="json")


def approve_export(services: Services, name: str, note: str) -> Answer:
    """Approve somebody's request, or, with a reason, one's own."""
    return shown(exports.approve(services.db, OPERATOR, name, note)).model_dump(mode="json")


def build_export(services: Services, name: str, on_progress: Progress) -> Answer:
    """Build an approved package here and now, sealing the logs first when nobody else does."""
    with services.db.read() as connection:
        found = exports.one(connection, name)
    if found.state in (exports.State.REQUESTED, exports.State.REJECTED):
        raise exports.ExportStateWrong("尚未批准，不能制作", state=found.state)
    for _ in range(PATIENCE):
        try:
            services.builder.build(name, on_progress)
            break
        except NotSealed:
            _seal(services)
    with services.db.write() as connection:
        found = exports.one(connection, name)
        record(connection, Event.EXPORT_DOWNLOAD, OPERATOR, name, file=found.file_name)
    package = services.builder.package(found)
    return {**shown(found).model_dump(mode="json"), "package": str(package.resolve())}


def self_check(services: Services, count: int) -> Answer:
    """Draw random records and retrieve each in every way."""
    with services.db.write() as connection:
        record(connection, Event.RETENTION_READ, OPERATOR, "self-check")
    return services.self_check.run(count).model_dump(mode="json")


def list_candidates(services: Services, corp: str) -> Answer:
    """When each group of a corp's records may go, and what keeps it."""
    with services.db.write() as connection:
        record(connection, Event.RETENTION_READ, OPERATOR, "candidates")
    return candidates_of(services.db, corp).model_dump(mode="json")


def _seal(services: Services) -> None:
    """Follow with the sealing followers, unless a runner somewhere does."""
    for follower in services.followers:
        if not isinstance(follower, SealFollower):
            continue
        if not take_lease(services.db, follower.name, services.holder):
            continue
        with suppress(CursorMoved):  # a runner of this process does the same
            catch_up(follower, services.tails_of(follower), lambda _lag: None)
    time.sleep(LOOK_EVERY)


LOOK_EVERY = 0.05  # seconds between two attempts
PATIENCE = 2_000  # attempts
NOT_TWICE = frozenset({"create_export"})
OPERATIONS: dict[str, Callable[..., Answer]] = {
    operation.__name__: operation
    for operation in (
        list_logs,
        prove_message,
        prove_consistency,
        create_export,
        show_export,
        approve_export,
        build_export,
        self_check,
        list_candidates,
    )
}
