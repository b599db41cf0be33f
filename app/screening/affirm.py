"""Short answers: whether a reply says yes to a question, and with it what the question asked."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.screening.decide import interrogative
from app.screening.dialogue import Said
from app.screening.fold import Fold

Speech = Mapping[str, re.Pattern[str]]
LAPSE = 2 * 60 * 60 * 1000  # ms; later answers answer something else
_REPLIES = 3  # staff messages that may stand between a question and its answer
_SHORT = 45  # symbols of a reply that can still be a plain yes
_ECHO = 4


class Question(NamedTuple):
    """A question on a category's matter: what was said, which way a yes is expressed, where it stands.

    `by_denial`: 「会亏吗」 is affirmed by 「不会」. `either`: 「不会亏吧」 is affirmed by 「对」 and by 「不会」.
    """

    category: str
    wording: str
    by_denial: bool
    either: bool
    asker: tuple[str, str]
    at: int


def answer(speech: Speech, fold: Fold, question: Question, said: Sequence[Said]) -> Said | None:
    """The first staff message after the question that affirms it, unless one denies it before."""
    replies = 0
    asked_at = said[question.at].sent_at
    for one in said[question.at + 1 :]:
        if one.sent_at - asked_at > LAPSE:
            return None
        if one.role == "client":
            if _new_question(speech, fold, one):
                return None
            continue
        if (one.role, one.speaker) == question.asker:
            continue
        verdict = judge(speech, fold, question, one.text)
        if verdict is not None:
            return one if verdict else None
        replies += 1
        if replies >= _REPLIES:
            return None
    return None


def _new_question(speech: Speech, fold: Fold, one: Said) -> bool:
    text = fold.full(one.text).text
    return "？" in text or interrogative(speech, text, "adviser")


def judge(speech: Speech, fold: Fold, question: Question, reply: str) -> bool | None:
    """True: affirms; False: denies; None: says neither."""
    if faces(speech, reply):
        return not question.by_denial
    text = fold.full(reply).text.strip("，。！\n ")
    if not text or len(text) > _SHORT:
        return None
    return _judge_words(speech, question, _opened(speech, text))


def opening(speech: Speech, text: str) -> bool | None:
    """Whether a folded reply opens with a yes (True) or a no (False), whatever it answers."""
    text = _opened(speech, text.strip("，。！\n "))
    no, yes = speech["no"].match(text), speech["yes"].match(text)
    if no and (not yes or no.end() >= yes.end()):
        return False
    return True if yes else None


def _judge_words(speech: Speech, question: Question, text: str) -> bool | None:
    no = speech["no"].match(text)
    yes = speech["yes"].match(text)
    if speech["hedges"].search(text):
        return False
    if no and (not yes or no.end() >= yes.end()):
        return question.by_denial or question.either
    if yes and speech["reassurance"].match(text):
        return True
    if yes or _echoes(question.wording, text, speech):
        return not question.by_denial
    return None


def _opened(speech: Speech, text: str) -> str:
    """Take forms of address and other openings off, as long as something is left."""
    found = speech["openers"].match(text)
    while found and found.end() < len(text):
        text = text[found.end() :].lstrip("，。！\n ")
        found = speech["openers"].match(text)
    return text


def faces(speech: Speech, reply: str) -> bool:
    """Whether a reply consists of agreeing emoji alone."""
    rest = reply.strip()
    while rest:
        found = speech_face(speech, rest)
        if not found:
            return False
        rest = rest[found:].strip()
    return bool(reply.strip())


def speech_face(speech: Speech, text: str) -> int:
    """Length of the agreeing emoji at the start of `text`, 0 when there is none."""
    found = speech["agreeing_faces"].match(text)
    return found.end() if found else 0


def _echoes(wording: str, text: str, speech: Speech) -> bool:
    bare = re.split("[，。！\n ]", text)[0].rstrip("的了呢啊呀哦嘛哈啦")
    return 0 < len(bare) <= _ECHO and bare in wording and not speech["negators"].search(bare)
