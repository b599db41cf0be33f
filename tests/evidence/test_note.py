"""Signed notes and checkpoints: what is signed is what is read, and every change of it is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.evidence import note
from app.evidence.note import Anchor, BadNote, Checkpoint

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
HEAD = Checkpoint("liuhen/records/ww1", 7, bytes(range(32)), Anchor("liuhen/audit", 3, bytes(32)))
NOTE = note.sign(HEAD.text(), HEAD.origin, KEY)


def test_what_was_signed_is_read_again() -> None:
    assert note.parse(note.open_note(NOTE, HEAD.origin, PUBLIC)) == HEAD


def test_lines_of_unknown_keys_are_ignored() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    witness = note.sign(HEAD.text(), "witness", other).splitlines()[-1]
    assert note.open_note(f"{NOTE}{witness}\n", HEAD.origin, PUBLIC) == HEAD.text()


@pytest.mark.parametrize("place", range(len(NOTE.encode()) - 1))
def test_no_byte_can_be_changed(place: int) -> None:
    raw = bytearray(NOTE.encode())
    raw[place] ^= 1
    with pytest.raises((BadNote, UnicodeDecodeError)):
        note.parse(note.open_note(raw.decode(), HEAD.origin, PUBLIC))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n1\nAAAA\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 42 + "B=\n",
        "\n1\n" + "A" * 43 + "=\n",
        "a\n1\n" + "A" * 43 + "=\nanchor x\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        note.parse(text)


def test_the_key_is_named_as_the_format_says() -> None:
    name, number, _ = note.vkey("example", PUBLIC).split("+", 2)
    assert (name, number) == ("example", note.key_id("example", PUBLIC).hex())
