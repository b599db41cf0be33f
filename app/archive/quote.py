"""WeCom flattens a quoted reply into one text; this tells the quoted words from the speaker's own.

Guarantees: pure, total and linear in the text; the quote is a part of the text and the reply its end,
both unchanged, so that a place in the reply is a place in the text minus `len(text) - len(reply)`.
"""

import re

_RULE = r"\r?\n(?:- ?){3,}+[ \t]*+(?:\r?\n|\Z)"
_SHAPES = (  # how a quote opens; how it ends, by a rule of dashes; what else closes an opening mark
    re.compile(rf'(?P<open>这是一条引用/回复消息：\r?\n")|(?P<end>"{_RULE})'),
    re.compile(rf"(?P<open>「)|(?P<end>」{_RULE})|(?P<close>」)"),
)


def split_quote(text: str) -> tuple[str | None, str]:
    """Split a flattened reply into what was quoted (`NAME：QUOTE`) and what the speaker added.

    Both shapes of WeCom are known: `这是一条引用/回复消息：…------` and `「…」- - -`. A text that does not
    begin with a quote comes back as `(None, text)`. Where quotes stand inside a quote, the outermost
    one is taken; marks that do not balance end the quote at the first rule of dashes.
    """
    for marks in _SHAPES:
        opening = marks.match(text)
        if opening is None or opening.lastgroup != "open":
            continue
        ending = _ending(marks, text)
        if ending is not None:
            return text[opening.end() : ending.start()], text[ending.end() :]
    return None, text


def _ending(marks: re.Pattern[str], text: str) -> re.Match[str] | None:
    first, depth = None, 0
    for mark in marks.finditer(text):
        depth += 1 if mark.lastgroup == "open" else -1
        if mark.lastgroup != "end":
            continue
        if depth == 0:
            return mark
        first = first or mark
    return first
