"""Trains the learned model from the written cases: `python -m tests.screening.learn`, writes `wordlists/learned.toml`.

Deterministic: equal cases and word lists give an equal file. The sets called `aside…` are never trained on. `--sweep`
shows what other policies would do on sets that no rule was written for (`UNSEEN`), each scored by a model trained
without it.
"""

import argparse
import math
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from app.sample import company, stories
from app.screening import Case, Finding, Lexicon, examples, learned, opinion, read_cases, screen
from app.screening.dialogue import Said, hear
from app.screening.learned import BLOCKS, UNIT, Model, Policy, blocks, pack, pieces
from app.screening.modelfile import write_model
from tests.screening import scoring
from tests.screening.everyday import talks, turn

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
UNSEEN = (
    "own-e",
    "own-f",
    "own-g",
    "own-h",
    "own-i",
    "own-j",
)  # no rule was written with an eye on them
EVERYDAY = 20_000  # messages of the sample company that are learned as ordinary
STRICTNESS = 80.0  # inverse of the regularisation; chosen by leaving out one set after the other
VIOLATION_WEIGHT = 3.0  # a missed violation against a false one, while fitting
RAREST = 2  # messages a piece must stand in
POLICY = Policy(
    familiar=0.55, keep=0.08, add=0.8
)  # a lower `add` finds more and alarms too often on everyday talk
LEAST = 0.2  # log-odds; a weight below that is not kept
CODES = {
    "pg": "principal_guarantee", "ey": "exaggerated_yield", "rr": "rigid_redemption", "rd": "risk_denial",
    "dc": "deposit_comparison", "pd": "private_deal", "oc": "off_channel", "pa": "personal_account",
    "po": "proxy_operation", "ii": "insider_info", "su": "superlative", "kb": "kickback", "ur": "urgency",
    "un": "unsuitable", "co": "concealment", "pi": "pii", "ab": "abuse", "ml": "money_laundering",
    "di": "disparagement", "ul": "unlicensed",
}  # fmt: skip


class Sample(NamedTuple):
    """One message: the set it is from, its pieces by block, what it violates, what does not count."""

    origin: str
    features: frozenset[tuple[str, str]]
    violates: frozenset[str]
    ignored: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights as log-odds, one row a feature, one column a category."""

    features: Sequence[tuple[str, str]]
    weights: Any
    bias: Sequence[float]


def samples(lexicon: Lexicon, origin: str, cases: Iterable[Case]) -> Iterator[Sample]:
    """The messages of some cases. A category that a careful officer might add counts neither way."""
    for case in cases:
        said = hear(lexicon.speech, case.window)
        for at in range(len(said)):
            yield Sample(
                origin,
                _features(opinion.message(lexicon, said, at)),
                frozenset(
                    one["category"]
                    for one in case.labels["violations"]
                    if _is_whole(said, at, one["at"])
                ),
                frozenset(
                    [one["category"] for one in case.labels["violations"] if at in one["at"]]
                    + case.labels.get("also", [])
                ),
            )


def everyday_samples(lexicon: Lexicon) -> Iterator[Sample]:
    """What is said in the sample company day by day: no breach, each message once in the same company of words."""
    told = {name for story in stories(company()) for name in story.ids}
    known: set[learned.Message] = set()
    for talk in talks(EVERYDAY):
        said = hear(lexicon.speech, [turn(each) for each in talk])
        for at, each in enumerate(talk):
            one = opinion.message(lexicon, said, at)
            if each["source_msg_id"] not in told and one not in known:
                known.add(one)
                yield Sample("everyday", _features(one), frozenset(), frozenset())


def _is_whole(said: Sequence[Said], at: int, places: Sequence[int]) -> bool:
    """Whether a message carries a violation whose next piece is not sent by the same speaker."""
    return at in places and not (at + 1 in places and said[at + 1].role == said[at].role)


def example_samples(lexicon: Lexicon) -> Iterator[Sample]:
    """The sentences that the rules carry; each says something of its own category only."""
    for rule in lexicon.rules:
        others = frozenset(CODES.values()) - {rule.category}
        wanted = frozenset() if rule.ask or rule.lead else frozenset({rule.category})
        for sentence, violates in [
            *((one, wanted) for one in rule.match),
            *((one, frozenset[str]()) for one in rule.no_match),
        ]:
            said = hear(lexicon.speech, examples.window(sentence))
            features = _features(opinion.message(lexicon, said, len(said) - 1))
            yield Sample("examples", features, violates, others)


def _features(one: learned.Message) -> frozenset[tuple[str, str]]:
    found = blocks(*one)
    return frozenset((block, piece) for block, text in found for piece in pieces(text))


def fit(chosen: Sequence[Sample]) -> Fitted:
    """One regularised logistic regression a category over the pieces that occur often enough."""
    counts = Counter(feature for one in chosen for feature in one.features)
    features = sorted(feature for feature, count in counts.items() if count >= RAREST)
    matrix = _matrix(chosen, {feature: at for at, feature in enumerate(features)})
    columns = [_column(matrix, chosen, category) for category in CODES.values()]
    return Fitted(
        features, np.column_stack([one for one, _ in columns]), [one for _, one in columns]
    )


def _matrix(chosen: Sequence[Sample], places: Mapping[tuple[str, str], int]) -> csr_matrix:
    rows = [sorted(places[one] for one in sample.features if one in places) for sample in chosen]
    values = [1 / math.sqrt(len(row)) for row in rows for _ in row]
    ends = np.cumsum([0, *map(len, rows)])
    columns = [at for row in rows for at in row]
    return csr_matrix((values, columns, ends), shape=(len(rows), len(places)))


def _column(matrix: csr_matrix, chosen: Sequence[Sample], category: str) -> tuple[Any, float]:
    counts = np.array([category in one.violates or category not in one.ignored for one in chosen])
    violates = np.array([category in one.violates for one in chosen])
    model = LogisticRegression(C=STRICTNESS, solver="liblinear", random_state=0, max_iter=1000)
    weights = np.where(violates, VIOLATION_WEIGHT, 1.0)
    model.fit(matrix[counts], violates[counts], sample_weight=weights[counts])
    return model.coef_[0], float(model.intercept_[0])


def steps(fitted: Fitted) -> dict[str, dict[str, list[int]]]:
    """The weights as whole steps by block and piece, faint ones left out."""
    found: dict[str, dict[str, list[int]]] = {block: {} for block in BLOCKS}
    kept = np.where(abs(fitted.weights) >= LEAST, fitted.weights, 0.0)
    for (block, piece), row in zip(fitted.features, np.rint(kept / UNIT).astype(int), strict=True):
        if row.any() and not piece.isspace():
            found[block][piece] = [int(one) for one in row]
    return found


def model_of(fitted: Fitted, policy: Policy, judges: Iterable[str]) -> Model:
    """The model as screening uses it."""
    packed = {b: {p: pack(row) for p, row in found.items()} for b, found in steps(fitted).items()}
    return Model(tuple(CODES.values()), tuple(fitted.bias), policy, frozenset(judges), packed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "wordlists" / "learned.toml")
    parser.add_argument(
        "--sweep", action="store_true", help="try policies on the unseen sets (minutes)"
    )
    args = parser.parse_args()
    lexicon = untaught(ROOT / "wordlists")
    sets = {path.stem: list(read_cases(path)) for path in sorted(CASES.glob("*.jsonl"))}
    seen = [
        s
        for name, cases in sets.items()
        if not name.startswith("aside")
        for s in samples(lexicon, name, cases)
    ]
    seen += [*example_samples(lexicon), *everyday_samples(lexicon)]
    if args.sweep:
        sweep(lexicon, seen, {name: sets[name] for name in UNSEEN if name in sets})
        return 0
    fitted = fit(seen)
    rules = {rule.id: rule.fingerprint for rule in lexicon.rules}
    text = write_model(
        CODES, dict(zip(CODES, fitted.bias, strict=True)), POLICY, rules, steps(fitted)
    )
    args.out.write_text(text, "utf-8")
    print(f"{len(seen)} messages, {len(fitted.features)} pieces, {len(text.encode()):,} bytes")
    return 0


def untaught(folder: Path) -> Lexicon:
    """The word lists without a learned model, be it stale or broken."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(
            folder, name, ignore=shutil.ignore_patterns("learned.toml"), dirs_exist_ok=True
        )
        return Lexicon.load(Path(name))


class Scored(NamedTuple):
    """A case, what the rules alone found in it, and what a model that has not seen it makes of it."""

    case: Case
    found: list[Finding]
    judged: list[opinion.Judged]


def sweep(lexicon: Lexicon, seen: Sequence[Sample], sets: Mapping[str, Sequence[Case]]) -> None:
    """Print what policies would do on sets that neither rules nor model have seen."""
    judges = [rule.id for rule in lexicon.rules]
    unseen = [
        (replace(lexicon, learned=model), scored(lexicon, model, cases))
        for name, cases in sets.items()
        for model in [model_of(fit([s for s in seen if s.origin != name]), POLICY, judges)]
    ]
    for keep, add in product((0.0, 0.03, 0.06, 0.1, 0.2), (0.35, 0.5, 0.65, 1.0)):
        policy = Policy(POLICY.familiar, keep, add)
        total: Counter[str] = Counter()
        for taught, each in unseen:
            for one in each:
                stands = opinion.weighed(taught, policy, one.judged, one.found)
                total += scoring.count(one.case, stands)
        precision = scoring.rate(total["tp"], total["tp"] + total["fp"])
        recall = scoring.rate(total["tp"], total["tp"] + total["fn"])
        figures = f"precision {precision:.3f} recall {recall:.3f}"
        print(f"keep {keep:.2f} add {add:.2f}: {figures}", flush=True)


def scored(lexicon: Lexicon, model: Model, cases: Iterable[Case]) -> list[Scored]:
    return [
        Scored(
            case,
            screen(case.window, lexicon),
            opinion.judged(lexicon, model, hear(lexicon.speech, case.window)),
        )
        for case in cases
    ]


if __name__ == "__main__":
    sys.exit(main())
