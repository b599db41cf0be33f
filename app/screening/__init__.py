"""Screening: finds improper promises and arrangements in a conversation, however they are spelled.

Guarantees: `screen` is pure and deterministic, takes time linear in the length of the texts, and every
finding points into the original text, names its rule and the version of the word lists, and says
why. Word lists are data; a mistake in one is refused with file, line and what to do.
"""

from app.screening.cases import Case, CasesError, read_cases, result_line, screen_cases
from app.screening.domain import Finding, LexiconError, Outcome, Role, Severity, Turn
from app.screening.lexicon import Category, Lexicon, Rule
from app.screening.screen import screen

__all__ = [
    "Case",
    "CasesError",
    "Category",
    "Finding",
    "Lexicon",
    "LexiconError",
    "Outcome",
    "Role",
    "Rule",
    "Severity",
    "Turn",
    "read_cases",
    "result_line",
    "screen",
    "screen_cases",
]
