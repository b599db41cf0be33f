"""The words of the archive: who spoke, in which conversation, what kind of message. Pure data."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

MAX_ID_LENGTH = 256  # characters
MAX_TEXT_BYTES = 1_000_000  # UTF-8; longer input goes to quarantine with its bytes


class PartyType(StrEnum):
    """Who somebody is: 员工, 客户, 机器人, 未知."""

    EMPLOYEE = "employee"
    CLIENT = "client"
    ROBOT = "robot"
    UNKNOWN = "unknown"


class ConversationKind(StrEnum):
    """单聊 between two parties, or 群聊 with an id of its own."""

    SINGLE = "single"
    GROUP = "group"


class Action(StrEnum):
    """What the message does: speaks, takes back, or states a fact about the account or consent."""

    SEND = "send"
    RECALL = "recall"
    SWITCH = "switch"
    AGREE = "agree"
    DISAGREE = "disagree"


class Direction(StrEnum):
    """From the firm to a client, from a client to the firm, or inside the firm."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    INTERNAL = "internal"


class Party(NamedTuple):
    """One participant; `id` is the source's own, unique per corp and type."""

    type: PartyType
    id: str
    name: str | None = None


class Envelope(NamedTuple):
    """One message as a source hands it in, already validated (contract, section 3).

    `sent_at` is in Unix milliseconds. `conversation_id` is the room of a group, None in a single chat.
    `text` is what a person reads. `raw` holds the source's exact bytes.
    """

    corp: str
    source: str
    source_msg_id: str
    source_seq: int | None
    sent_at: int
    conversation_kind: ConversationKind
    conversation_id: str | None
    conversation_name: str | None
    sender: Party
    recipients: tuple[Party, ...]
    kind: str
    action: Action
    recalls: str | None
    text: str
    has_media: bool
    raw: bytes


def direction_of(sender: Party, recipients: Sequence[Party]) -> Direction:
    """Tell which way a message crosses the firm's border."""
    if sender.type is PartyType.CLIENT:
        return Direction.INBOUND
    if any(party.type is PartyType.CLIENT for party in recipients):
        return Direction.OUTBOUND
    if sender.type is PartyType.UNKNOWN and recipients:
        return Direction.INBOUND
    return Direction.INTERNAL
