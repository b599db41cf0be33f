"""The word lists as one immutable, versioned object.

`Lexicon.load` reads a directory of TOML files (its README says how they are written), compiles
every rule and refuses the first mistake with file, line and what to do. The version is the digest
of the bytes of all files, so equal lists have equal versions wherever they are loaded.
"""

import hashlib
import json
import re
import tomllib
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, get_args

from app.screening import segment, variants
from app.screening.domain import LexiconError, Role, Severity
from app.screening.expand import BadFamily, Family, alternatives, family
from app.screening.finder import Finder
from app.screening.fold import Fold, read_pairs
from app.screening.index import Index
from app.screening.learned import Model
from app.screening.listfile import File, basis_of, known, need, severity_of
from app.screening.modelfile import BadModel, read_model
from app.screening.patterns import (
    BadPattern,
    Concept,
    Pattern,
    Weigh,
    Wordings,
    concept,
    is_plain,
    parse,
)
from app.screening.variants import Variant

STAFF = ("adviser", "colleague")
_TELLING = {  # say nothing of when a rule matches
    "id", "name", "match", "no_match", "severity", "confidence",
}  # fmt: skip
_RULE_KEYS = {
    "id", "name", "say", "ask", "by", "unless", "needs", "severity", "confidence",
    "negation", "denied_by", "lead", "topic", "attached", "match", "no_match",
}  # fmt: skip
_CATEGORY_KEYS = {
    "category", "name", "kind", "severity", "two_sided", "unless", "suggestion", "basis", "rule",
}  # fmt: skip


class Rule(NamedTuple):
    """One rule of a category.

    `by` says who must speak for the rule to apply. `ask` marks wordings that only matter as a
    client's question; `denied_by` is then True when the question is affirmed by a "no" (会亏吗 → 不会).
    A `topic` is a bare noun that headlines and statutes use too: there it claims nothing.
    The `fingerprint` changes with whatever decides when the rule matches, its concepts aside.
    An `attached` wording (放心, 赶紧上) adds nothing to another violation of the same message.
    `unless` and `needs` are words that, in the same sentence, cancel the hit or are required.
    """

    id: str
    name: str
    category: str
    patterns: Sequence[Pattern]
    ask: bool
    by: tuple[str, ...]
    unless: re.Pattern[str] | None
    needs: re.Pattern[str] | None
    severity: Severity
    confidence: float
    negation: bool
    denied_by: bool
    lead: bool
    topic: bool
    attached: bool
    act: bool
    match: tuple[str, ...]
    no_match: tuple[str, ...]
    fingerprint: str

    @property
    def for_staff(self) -> bool:
        """Whether it can matter that somebody of the firm says it."""
        return not self.ask and self.by != ("client",)


@dataclass(frozen=True, slots=True)
class Category:
    """One category: what it is called, who may break it, on what law it rests.

    `act` categories are broken by asking too (加我微信好吗); in the others a question claims nothing.
    """

    slug: str
    name: str
    act: bool
    severity: Severity
    two_sided: bool
    basis: str
    suggestion: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """Everything screening knows, compiled. Never changes once loaded; one loaded twice is two."""

    version: str
    categories: Mapping[str, Category]
    fold: Fold
    disguises: Finder[Variant]
    index: Index
    rules: tuple[Rule, ...]
    firsts: tuple[int, ...]  # the number of each rule's first wording
    speech: Mapping[str, re.Pattern[str]]
    learned: Model | None = None

    @classmethod
    def load(cls, directory: Path) -> "Lexicon":
        """Read and compile the word lists under `directory`."""
        return _Reader(directory).lexicon()

    def wording(self, number: int) -> tuple[Rule, Pattern]:
        """The wording that `index` knows by `number`, and its rule."""
        at = bisect_right(self.firsts, number) - 1
        rule = self.rules[at]
        return rule, rule.patterns[number - self.firsts[at]]


class _Reader:
    """Reads one directory; every step fails with the place of the mistake."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._version = hashlib.sha256()
        shared = {
            name: self._read(directory / f"{name}.toml")
            for name in ("concepts", "speech", "evasion")
        }
        self._concepts, self._speech, self._evasion = shared.values()
        self._fold = Fold(self._pairs())
        self._weigh = Weigh(self._fold.word, segment.frequency)
        self._families_of: dict[str, list[Family]] = {}
        self._words = self._read_concepts()

    def lexicon(self) -> Lexicon:
        paths = sorted((self._directory / "categories").glob("*.toml"))
        if not paths:
            raise LexiconError("categories", 1, "目录里没有任何类别文件，请放回至少一个")
        categories = [self._category(self._read(path)) for path in paths]
        rules = tuple(rule for category in categories for rule in category.rules)
        wordings = ((pattern, rule.for_staff) for rule in rules for pattern in rule.patterns)
        disguises = self._disguises()
        learned = self._learned(rules)  # read before the version is taken
        return Lexicon(
            version=self._version.hexdigest()[:16],
            categories={category.slug: category for category in categories},
            fold=self._fold,
            disguises=Finder(disguises),
            index=Index(wordings, disguises, self._fold.bare),
            rules=rules,
            firsts=tuple(accumulate((len(rule.patterns) for rule in rules[:-1]), initial=0)),
            speech=self._phrases(),
            learned=learned,
        )

    def _learned(self, rules: tuple[Rule, ...]) -> Model | None:
        path = self._directory / "learned.toml"
        if not path.exists():
            return None
        file = self._read(path)
        try:
            return read_model(file.data, {rule.id: rule.fingerprint for rule in rules})
        except BadModel as error:
            raise file.wrong(str(error), *error.needles) from error

    def _read(self, path: Path) -> File:
        name = path.relative_to(self._directory).as_posix()
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise LexiconError(name, 1, "文件读不到，请检查文件是否存在、是否有读取权限") from error
        try:
            source = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise LexiconError(name, line, "不是 UTF-8 编码，请另存为 UTF-8") from error
        self._version.update(name.encode() + b"\0" + raw + b"\0")
        try:
            return File(name, source, tomllib.loads(source))
        except tomllib.TOMLDecodeError as error:
            place = re.search(r"at line (\d+)", str(error))
            line = int(place[1]) if place else source.count("\n") + 1
            what = "写法有误，请检查引号、方括号和逗号是否成对"
            raise LexiconError(name, line, f"{what}（{error}）") from error

    def _pairs(self) -> dict[str, str]:
        pairs = read_pairs(Path(__file__).parent / "data" / "fold.tsv")
        for target, chars in self._evasion.data.get("look_alike", {}).items():
            pairs.update(dict.fromkeys(chars, target))
        pairs.update(dict.fromkeys(self._evasion.data.get("noise", ""), ""))
        for words in self._evasion.data.get("alias", {}).values():
            pairs.update({c: c for word in words for c in word if unicodedata.category(c) == "So"})
        return pairs

    def _read_concepts(self) -> dict[str, Concept]:
        families: dict[str, list[Family]] = {}
        for name, sources in self._concepts.data.items():
            own: list[Family] = []
            for source in self._list(self._concepts, sources, name):
                own += self._families(self._concepts, source, families, name)
            families[name] = own
        self._families_of = families
        return {name: concept(own, self._weigh) for name, own in families.items()}

    def _families(
        self, file: File, source: str, known: Mapping[str, list[Family]], *place: str
    ) -> list[Family]:
        if source.startswith("<"):
            if source.strip("<>") not in known:
                raise file.wrong(f"概念「{source}」没有定义，或者定义在后面", *place, source)
            return known[source.strip("<>")]
        try:
            return [family(source, self._fold.word)]
        except BadFamily as error:
            raise file.wrong(str(error), *place, source) from error

    def _family(self, file: File, source: str, *place: str) -> tuple[str, ...]:
        words = self._families(file, source, {}, *place)[0].words
        if not words:
            raise file.wrong(f"「{source}」展开后的词太多，请拆成几条", *place, source)
        return words

    @staticmethod
    def _list(file: File, value: Any, *place: str) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise file.wrong(f'「{place[-1]}」应当是一列非空的词，写作 ["…", "…"]', *place)
        return value

    def _phrases(self) -> dict[str, re.Pattern[str]]:
        lists = {n: self._list(self._speech, v, n) for n, v in self._speech.data.items()}
        faces = re.compile("|".join(map(re.escape, lists.pop("agreeing_faces", []))) or "(?!)")
        found = {name: self._any(self._speech, sources, name) for name, sources in lists.items()}
        return {**found, "agreeing_faces": faces}

    def _any(self, file: File, sources: Sequence[str], *place: str) -> re.Pattern[str]:
        found = [
            one
            for source in sources
            for one in self._families(file, source, self._families_of, *place)
        ]
        return re.compile(f"(?:{alternatives(found)})")

    def _some(self, file: File, value: Any, *place: str) -> re.Pattern[str] | None:
        sources = self._list(file, value, *place)
        return self._any(file, sources, *place) if sources else None

    def _disguises(self) -> dict[str, Variant]:
        data, file = self._evasion.data, self._evasion
        most = int(data.get("homophones_per_character", 16))
        plain = self._list(file, data.get("words", []), "words")
        folded = {self._fold.word(word): word for word in plain}
        parts = {
            char: self._list(file, value, char) for char, value in data.get("split", {}).items()
        }
        shapes = {c: self._list(file, value, c) for c, value in data.get("shape", {}).items()}
        found: dict[str, Variant] = {}
        makers = (
            variants.pinyin, variants.repeats, variants.reorders,
            partial(variants.splits, parts=parts), partial(variants.homophones, most=most),
            partial(variants.shapes, alike=shapes),
        )  # fmt: skip
        for make in makers:
            for word in folded:
                for variant in make(word):
                    found.setdefault(self._fold.word(variant.written), variant)
        for word in self._list(file, data.get("initials", []), "initials"):
            found.update({v.written: v for v in variants.initials(self._fold.word(word))})
        for word, written in data.get("alias", {}).items():
            for source in self._list(file, written, word):
                for alias in self._family(file, source, word):
                    found[alias] = Variant(alias, self._fold.word(word), variants.ALIAS)
        innocent = {self._fold.word(w) for w in data.get("innocent", [])}
        return {
            written: v
            for written, v in found.items()
            if written not in folded and written not in innocent
        }

    def _category(self, file: File) -> Category:
        data = file.data
        known(file, data, _CATEGORY_KEYS)
        slug = str(need(file, data, "category"))
        severity = severity_of(file, need(file, data, "severity"), "severity")
        kind = need(file, data, "kind")
        if kind not in ("claim", "act"):
            raise file.wrong('kind 只能是 "claim"（断言类）或 "act"（行为类）', "kind")
        base = self._list(file, data.get("unless", []), "unless")
        rules = [
            self._rule(file, slug, severity, base, rule, act=kind == "act")
            for rule in data.get("rule", [])
        ]
        if not rules:
            raise file.wrong("没有任何规则，请至少写一条 [[rule]]", "category")
        return Category(
            slug, str(need(file, data, "name")), kind == "act", severity,
            bool(data.get("two_sided", False)), basis_of(file, data),
            str(need(file, data, "suggestion")), tuple(rules),
        )  # fmt: skip

    def _rule(
        self,
        file: File,
        slug: str,
        severity: Severity,
        base: list[str],
        data: dict[str, Any],
        *,
        act: bool,
    ) -> Rule:
        key = str(need(file, data, "id"))
        place = f'id = "{key}"'
        known(file, data, _RULE_KEYS, place)
        says = self._list(file, data.get("say"), place, "say")
        by = data.get("by", list(STAFF))
        if not set(by) <= set(get_args(Role)):
            raise file.wrong(f"by 只能写 {'、'.join(get_args(Role))}", place, "by")
        for kind in ("match", "no_match"):
            self._list(file, data.get(kind), place, kind)
        own = str(data["severity"]) if "severity" in data else ""
        return Rule(
            id=f"{slug}/{key}",
            name=str(data.get("name", key)),
            category=slug,
            patterns=self._wordings(file, says, place),
            ask=bool(data.get("ask", False)),
            by=tuple(by),
            unless=self._some(
                file, [*base, *self._list(file, data.get("unless", []), place, "unless")], place
            ),
            needs=self._some(file, data.get("needs", []), place, "needs"),
            severity=severity_of(file, own, place, "severity") if own else severity,
            confidence=float(data.get("confidence", 0.9)),
            negation=bool(data.get("negation", True)),
            denied_by=data.get("denied_by", False) is True,
            lead=bool(data.get("lead", False)),
            topic=bool(data.get("topic", False)),
            attached=bool(data.get("attached", False)),
            act=act,
            match=tuple(data["match"]),
            no_match=tuple(data["no_match"]),
            fingerprint=_fingerprint(base, data),
        )

    def _wordings(self, file: File, says: list[str], place: str) -> Wordings:
        fold = self._fold.word
        given = [
            say if is_plain(say) and fold(say) else self._pattern(file, say, place) for say in says
        ]
        return Wordings(given, fold)

    def _pattern(self, file: File, say: str, place: str) -> Pattern:
        try:
            return parse(say, self._words, self._weigh)
        except (BadPattern, BadFamily) as error:
            raise file.wrong(str(error), place, say) from error


def _fingerprint(base: list[str], data: Mapping[str, Any]) -> str:
    deciding = {key: data[key] for key in sorted(data.keys() - _TELLING)}
    source = json.dumps([base, deciding], ensure_ascii=False, default=str)
    return hashlib.sha256(source.encode()).hexdigest()[:8]
