"""The tree's arithmetic against published vectors, and against the recursive definition of RFC 6962."""

import base64
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evidence import merkle
from app.evidence.merkle import BadProof

# The roots and probes published with the Certificate Transparency reference tree of eight leaves.
LEAVES = [
    bytes.fromhex(word)
    for word in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Inclusion(NamedTuple):
    """An inclusion probe."""

    at: int
    size: int
    root: bytes
    leaf: bytes
    proof: tuple[bytes, ...]


class Consistency(NamedTuple):
    """A consistency probe."""

    old: int
    size: int
    old_root: bytes
    root: bytes
    proof: tuple[bytes, ...]


def _raw(*words: str) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(word) for word in words)


_LAST = _raw("XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=")[0]
_FIFTH = _raw("Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=")[0]
INCLUSIONS = [
    Inclusion(
        5,
        8,
        _LAST,
        _raw("QnGia+DYqE8L1UyMMC58s6O10fpngKQLzOKHNHfatlg=")[0],
        _raw(
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
            "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        ),
    ),
    Inclusion(
        1,
        5,
        _FIFTH,
        _raw("lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=")[0],
        _raw(
            "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
            "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        ),
    ),
]
CONSISTENCIES = [
    Consistency(
        6,
        8,
        bytes.fromhex(ROOTS[5]),
        _LAST,
        _raw(
            "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=",
            "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        ),
    ),
    Consistency(
        2,
        5,
        bytes.fromhex(ROOTS[1]),
        _FIFTH,
        _raw(
            "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
        ),
    ),
]
GARBAGE = bytes(32)


def _mutated_proofs(
    proof: tuple[bytes, ...], *roots: bytes
) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    for place, each in enumerate(proof):
        yield (
            f"modified {place}",
            (*proof[:place], bytes([each[0] ^ 8, *each[1:]]), *proof[place + 1 :]),
        )
        yield f"short hash {place}", (*proof[:place], each[:-1], *proof[place + 1 :])
        yield f"long hash {place}", (*proof[:place], each + b"\0", *proof[place + 1 :])
        yield f"inserted {place}", (*proof[:place], each, *proof[place:])
    yield "removed component", proof[:-1]
    yield "truncated front", proof[1:]
    yield "empty proof", ()
    yield "trailing garbage", (*proof, GARBAGE)
    yield "preceding garbage", (GARBAGE, *proof)
    yield "empty component", (*proof, b"")
    for root in roots:
        yield "trailing root", (*proof, root)
        yield "preceding root", (root, *proof)


def _inclusion_probes(good: Inclusion) -> Iterator[tuple[str, Inclusion]]:
    for index in (good.at + 1, good.at - 1, good.at ^ 2, -1, good.size):
        yield f"index {index}", good._replace(at=index)
    for size in (good.size * 2, good.size // 2, 0, good.at):
        yield f"size {size}", good._replace(size=size)
    yield "wrong leaf", good._replace(leaf=GARBAGE)
    yield "empty leaf", good._replace(leaf=b"")
    yield "random root", good._replace(root=GARBAGE)
    yield "empty root", good._replace(root=b"")
    yield "both empty", good._replace(root=b"", leaf=b"")
    for name, proof in _mutated_proofs(good.proof, good.root):
        yield name, good._replace(proof=proof)


def _consistency_probes(good: Consistency) -> Iterator[tuple[str, Consistency]]:
    for old in (good.old + 1, good.old - 1, good.old ^ 2, -1, good.size + 1):
        yield f"old {old}", good._replace(old=old)
    for size in (good.size * 2, good.size // 2, good.old - 1):
        yield f"size {size}", good._replace(size=size)
    yield "swapped roots", good._replace(old_root=good.root, root=good.old_root)
    yield "wrong old root", good._replace(old_root=GARBAGE)
    yield "wrong root", good._replace(root=GARBAGE)
    yield "empty roots", good._replace(old_root=b"", root=b"")
    for name, proof in _mutated_proofs(good.proof, good.old_root, good.root):
        yield name, good._replace(proof=proof)


def _check_inclusion(probe: Inclusion) -> None:
    merkle.verify_inclusion(probe.leaf, probe.at, probe.size, probe.proof, probe.root)


def _check_consistency(probe: Consistency) -> None:
    merkle.verify_consistency(probe.old, probe.size, probe.proof, probe.old_root, probe.root)


def _node(leaves: list[bytes]) -> merkle.Node:
    """Complete subtrees straight from the leaves, by the definition."""

    def node(level: int, index: int) -> bytes:
        return _defined(leaves[index << level : (index + 1) << level])

    return node


def _defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, word for word."""
    if not leaves:
        return merkle.EMPTY
    if len(leaves) == 1:
        return merkle.hash_leaf(leaves[0])
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return merkle.hash_node(_defined(leaves[:middle]), _defined(leaves[middle:]))


def _leaves(count: int) -> list[bytes]:
    return [bytes([number & 255, number >> 8]) for number in range(count)]


def test_roots_are_the_published_ones() -> None:
    node = _node(LEAVES)
    assert [merkle.root(node, size).hex() for size in range(1, 9)] == ROOTS


def test_published_proofs_are_accepted_and_are_what_we_make() -> None:
    node = _node(LEAVES)
    for good in INCLUSIONS:
        _check_inclusion(good)
        assert tuple(merkle.inclusion(node, good.at, good.size)) == good.proof
    for pair in CONSISTENCIES:
        _check_consistency(pair)
        assert tuple(merkle.consistency(node, pair.old, pair.size)) == pair.proof


@pytest.mark.parametrize(
    ("check", "probe"),
    [
        pytest.param(_check_inclusion, probe, id=f"inclusion-{number}-{name}")
        for number, good in enumerate(INCLUSIONS)
        for name, probe in _inclusion_probes(good)
    ]
    + [
        pytest.param(_check_consistency, probe, id=f"consistency-{number}-{name}")
        for number, good in enumerate(CONSISTENCIES)
        for name, probe in _consistency_probes(good)
    ],
)
def test_every_published_kind_of_probe_is_rejected(
    check: Callable[[object], None], probe: object
) -> None:
    with pytest.raises(BadProof):
        check(probe)


@given(st.integers(1, 300), st.data())
def test_made_proofs_lead_to_the_root_of_the_definition(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    node, expected = _node(leaves), _defined(leaves)
    assert merkle.root(node, size) == expected
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion(node, index, size)
    merkle.verify_inclusion(merkle.hash_leaf(leaves[index]), index, size, proof, expected)
    old = data.draw(st.integers(0, size))
    grown = merkle.consistency(node, old, size)
    merkle.verify_consistency(old, size, grown, _defined(leaves[:old]), expected)


@given(st.integers(2, 200), st.data())
def test_a_proof_does_not_serve_another_place(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    node, expected = _node(leaves), _defined(leaves)
    index, other = data.draw(
        st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(
            lambda two: two[0] != two[1]
        )
    )
    proof = merkle.inclusion(node, index, size)
    with pytest.raises(BadProof):
        merkle.verify_inclusion(merkle.hash_leaf(leaves[other]), index, size, proof, expected)
    with pytest.raises(BadProof):
        merkle.verify_inclusion(merkle.hash_leaf(leaves[index]), other, size, proof, expected)


@given(st.integers(1, 200), st.data())
def test_a_forked_history_has_no_consistency_proof(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    old = data.draw(st.integers(1, size))
    forked = [*leaves]
    forked[data.draw(st.integers(0, old - 1))] = b"forged"
    proof = merkle.consistency(_node(forked), old, size)
    with pytest.raises(BadProof):
        merkle.verify_consistency(old, size, proof, _defined(leaves[:old]), _defined(forked))


@given(st.integers(1, 300), st.data())
def test_a_bundle_proves_all_its_leaves_by_one_root(size: int, data: st.DataObject) -> None:
    leaves = _leaves(size)
    wanted = sorted(data.draw(st.sets(st.integers(0, size - 1))))
    hashes = list(merkle.bundle(_node(leaves), iter(wanted), size))
    ours, others = iter(wanted), iter(hashes)
    following = next(ours, size)

    def walk(low: int, high: int) -> bytes:
        nonlocal following
        if following >= high:
            return next(others)
        if high - low == 1:
            found, following = merkle.hash_leaf(leaves[following]), next(ours, size)
            return found
        middle = low + merkle.split(high - low)
        left = walk(low, middle)
        return merkle.hash_node(left, walk(middle, high))

    assert walk(0, size) == _defined(leaves)
    assert next(others, None) is None
