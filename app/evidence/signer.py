"""Signs the heads of the logs, and never two histories: what it signed last stands beside its key, outside the database.

A head is signed only if the one signed before is its beginning, proved by a consistency proof. Whoever rewrites the
database cannot have the rewriting signed.
"""

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import merkle, note
from app.foundation.errors import AppError
from app.foundation.files import replace, write_new

_SEED_BYTES = 32


class SignerRefuses(AppError):
    """What is to be signed contradicts what has been signed."""

    code = "signer_refuses"
    title = "签名被拒绝：日志与已签名的历史不一致"


class SignerKeyMissing(AppError):
    """There are signed checkpoints, but not the key they were signed with."""

    code = "signer_key_missing"
    title = "找不到日志签名密钥"
    status = 503


class Head(NamedTuple):
    """The size and root of a log."""

    size: int
    root: bytes


class Signer:
    """The signing key and the last head signed of each log; `folder` is where the root key is."""

    def __init__(self, folder: Path, *, is_new: bool) -> None:
        """Read the key, or make it when nothing was ever signed; raises `SignerKeyMissing`."""
        self._key = _load(folder / "signer.key", is_new=is_new)
        self._path = folder / "signer.state"
        self._turn = threading.Lock()
        self._heads = _read_state(self._path)

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def vkey(self, origin: str) -> str:
        """The public key as a verifier takes it for this log."""
        return note.vkey(origin, self.public)

    def head(self, origin: str) -> Head | None:
        """The last head signed of a log."""
        return self._heads.get(origin)

    def sign(self, head: note.Checkpoint, proof_from: Callable[[int], Sequence[bytes]]) -> str:
        """The signed checkpoint; `proof_from(old)` is the proof that the log of size `old` is its beginning.

        Raises `SignerRefuses` when it is not. The state is durable before the signature is given away.
        """
        with self._turn:
            last = self._heads.get(head.origin)
            if last is not None:
                _require_growth(last, head, proof_from)
            heads = self._heads | {head.origin: Head(head.size, head.root)}
            if heads != self._heads:
                replace(self._path, _written(heads))
                self._heads = heads
            return note.sign(head.text(), head.origin, self._key)

    def sign_bytes(self, data: bytes) -> bytes:
        """The bare Ed25519 signature over a statement's bytes."""
        return self._key.sign(data)


def _require_growth(
    last: Head, head: note.Checkpoint, proof_from: Callable[[int], Sequence[bytes]]
) -> None:
    if head.size < last.size:
        raise SignerRefuses(f"{head.origin}：已签名到 {last.size}，现在只有 {head.size}")
    try:
        merkle.verify_consistency(last.size, head.size, proof_from(last.size), last.root, head.root)
    except merkle.BadProof:
        raise SignerRefuses(f"{head.origin}：前 {last.size} 条与已签名的不同") from None


def _load(path: Path, *, is_new: bool) -> Ed25519PrivateKey:
    if not path.exists():
        if not is_new:
            raise SignerKeyMissing(f"请把日志签名密钥文件放回 {path}")
        write_new(path, os.urandom(_SEED_BYTES).hex().encode() + b"\n")
    try:
        seed = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError):
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise SignerKeyMissing(f"{path} 不是日志签名密钥文件：应为 64 个十六进制字符")
    return Ed25519PrivateKey.from_private_bytes(seed)


def _read_state(path: Path) -> dict[str, Head]:
    if not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text())
        return {
            origin: Head(int(size), bytes.fromhex(root)) for origin, (size, root) in kept.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        raise SignerKeyMissing(f"{path} 已损坏：请从备份恢复，它防止已签名的历史被改写") from None


def _written(heads: dict[str, Head]) -> bytes:
    kept = {origin: [head.size, head.root.hex()] for origin, head in sorted(heads.items())}
    return json.dumps(kept, indent=1).encode() + b"\n"
