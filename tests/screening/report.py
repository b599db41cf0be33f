"""Prints precision, recall and lead recall by set and group: `python tests/screening/report.py`.

The aside set is for measuring only: do not read its misses while writing rules.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from app.screening import Lexicon, read_cases  # noqa: E402
from tests.screening import scoring  # noqa: E402


def line(name: str, counts: Counter[str]) -> str:
    precision = scoring.rate(counts["tp"], counts["tp"] + counts["fp"])
    recall = scoring.rate(counts["tp"], counts["tp"] + counts["fn"])
    leads = scoring.rate(counts["leads_found"], counts["leads"])
    numbers = "{cases:6}{tp:6}{fp:6}{fn:6}".format_map(defaultdict(int, counts))
    return f"{name:16}{precision:10.3f}{recall:8.3f}{leads:8.3f}{numbers}"


def main() -> None:
    lexicon = Lexicon.load(ROOT / "wordlists")
    head = (
        f"{'':16}{'precision':>10}{'recall':>8}{'leads':>8}{'cases':>6}{'TP':>6}{'FP':>6}{'FN':>6}"
    )
    for path in sorted((Path(__file__).parent / "cases").glob("*.jsonl")):
        groups: dict[str, Counter[str]] = defaultdict(Counter)
        for case in read_cases(path):
            groups[case.labels["group"]].update(scoring.tally(case, lexicon))
        total = sum(groups.values(), Counter())
        rows = [line(f"  {name}", groups[name]) for name in sorted(groups)]
        print(head, line(path.stem, total), *rows, "", sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
