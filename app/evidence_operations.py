"""What `liuhen log …` and `liuhen export …` can ask of a data folder, beside the operations of `app.operate`."""

from collections.abc import Callable
from typing import Any, TypeAlias

from app.access import OPERATOR
from app.bootstrap import Services
from app.evidence.api import consistency_of, list_of, proof_of

Answer: TypeAlias = dict[str, Any]


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


NOT_TWICE: frozenset[str] = frozenset()
OPERATIONS: dict[str, Callable[..., Answer]] = {
    operation.__name__: operation for operation in (list_logs, prove_message, prove_consistency)
}
