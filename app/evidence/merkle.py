"""The Merkle tree of RFC 6962 over SHA-256: roots, proofs and their checks. Pure functions over hashes.

A tree is known by its complete subtrees: `node(level, index)` is the hash over the leaves
`[index << level, index + 1 << level)`. Whoever can give those (`tiles.Reader`) has every root and every proof.
All hashes are exactly 32 bytes; a proof with any other is wrong.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()  # the root of a tree without leaves
Node: TypeAlias = Callable[[int, int], bytes]


class BadProof(ValueError):
    """A proof does not prove what it should."""


def hash_leaf(data: bytes) -> bytes:
    """The hash of a leaf (RFC 6962 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash over two subtrees (RFC 6962 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def range_hash(node: Node, low: int, high: int) -> bytes:
    """The hash over the leaves `[low, high)`; `low` is where a subtree of that size may begin."""
    size = high - low
    if size == 0:
        return EMPTY
    level = size.bit_length() - 1
    if size == 1 << level:
        return node(level, low >> level)
    middle = low + split(size)
    return hash_node(range_hash(node, low, middle), range_hash(node, middle, high))


def root(node: Node, size: int) -> bytes:
    """The root of the tree over the first `size` leaves."""
    return range_hash(node, 0, size)


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size` (RFC 6962 2.1.1), nearest hash first."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + split(high - low)
        if index < middle:
            proof.append(range_hash(node, middle, high))
            high = middle
        else:
            proof.append(range_hash(node, low, middle))
            low = middle
    return proof[::-1]


def consistency(node: Node, old: int, size: int) -> list[bytes]:
    """The proof that the tree of `size` begins with the tree of `old` (RFC 6962 2.1.2)."""
    if not 0 <= old <= size:
        raise ValueError("a tree does not shrink")
    if old in (0, size):
        return []
    proof: list[bytes] = []
    low, high, is_whole = 0, size, True
    while old != high:
        middle = low + split(high - low)
        if old <= middle:
            proof.append(range_hash(node, middle, high))
            high = middle
        else:
            proof.append(range_hash(node, low, middle))
            low, is_whole = middle, False
    if not is_whole:
        proof.append(range_hash(node, low, high))
    return proof[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> None:
    """Check an inclusion proof (RFC 9162 2.1.3.2); raises `BadProof`."""
    if not 0 <= index < size:
        raise BadProof("no such leaf in a tree of this size")
    _require_hashes(leaf, expected, *proof)
    turns = _turns(index, size - 1, len(proof))
    found = leaf
    for each, is_left in zip(proof, turns, strict=True):
        found = hash_node(each, found) if is_left else hash_node(found, each)
    if found != expected:
        raise BadProof("the proof leads to another root")


def verify_consistency(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check a consistency proof (RFC 9162 2.1.4.2); raises `BadProof`."""
    if not 0 <= old <= size:
        raise BadProof("a tree does not shrink")
    _require_hashes(old_root, new_root, *proof)
    if old in (0, size):
        _verify_trivial(old, size, proof, old_root, new_root)
        return
    if not proof:
        raise BadProof("the proof is empty")
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    place, last = old - 1, size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = now = path[0]
    for each, is_left in zip(path[1:], _turns(place, last, len(path) - 1), strict=True):
        if is_left:
            was, now = hash_node(each, was), hash_node(each, now)
        else:
            now = hash_node(now, each)
    if was != old_root or now != new_root:
        raise BadProof("the proof leads to other roots")


def bundle(node: Node, indexes: Iterator[int], size: int) -> Iterator[bytes]:
    """The hashes that prove many leaves at once, in the order in which a walk from the left needs them.

    `indexes` ascend. A subtree without a wanted leaf is one hash; a wanted leaf is none, for its holder has it.
    """
    wanted = next(indexes, size)
    stack = [(0, size)] if size else []
    while stack:
        low, high = stack.pop()
        if wanted >= high:
            yield range_hash(node, low, high)
        elif high - low == 1:
            wanted = next(indexes, size)
        else:
            middle = low + split(high - low)
            stack += [(middle, high), (low, middle)]


def _turns(place: int, last: int, count: int) -> list[bool]:
    """Whether each hash of a path stands to the left; raises `BadProof` when there are too many or too few."""
    turns = []
    while last:
        is_left = bool(place & 1) or place == last
        turns.append(is_left)
        if is_left:
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    if len(turns) != count:
        raise BadProof(f"the proof has {count} hashes instead of {len(turns)}")
    return turns


def _verify_trivial(
    old: int, size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    if proof:
        raise BadProof("nothing is to be proved")
    if old == size and old_root != new_root:
        raise BadProof("two roots for one size")
    if old == 0 and old_root != EMPTY:
        raise BadProof("an empty tree has another root")


def _require_hashes(*hashes: bytes) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise BadProof("a hash has 32 bytes")
