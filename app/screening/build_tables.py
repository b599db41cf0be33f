"""Writes the two generated tables in `data/`; needs `opencc-python-reimplemented` and `pypinyin`.

Run `python -m app.screening.build_tables` after a new Unicode or OpenCC release and review the diff.
The engine reads only the tables: neither package is needed to run the product.

fold.tsv    one line a target: the symbol, a tab, every character that is folded to it
pinyin.tsv  one line a syllable without tone: the syllable, a tab, its characters, the frequent first
"""

import logging
import unicodedata
from collections import defaultdict
from importlib import import_module
from pathlib import Path

DATA = Path(__file__).parent / "data"
HAN = range(0x4E00, 0xA000)
COMPATIBILITY = (
    range(0x00A0, 0x0300),
    range(0x1E00, 0x1F00),
    range(0x2070, 0x2190),
    range(0x2460, 0x2500),
    range(0x2E80, 0x2FE0),
    range(0x3000, 0x3400),
    range(0xF900, 0xFB00),
    range(0xFE10, 0xFE70),
    range(0xFF00, 0xFFF0),
    range(0x1D400, 0x1D800),
    range(0x1F100, 0x1F300),
)
# OpenCC maps these to a character that is another everyday word; both stay as written.
KEEP = frozenset("乾著覆藉瞭徵夥")


def simplified() -> dict[str, str]:
    """Traditional to simplified, single characters only, the first choice of OpenCC."""
    opencc = import_module("opencc")
    table = Path(str(opencc.__file__)).parent / "dictionary" / "TSCharacters.txt"
    pairs = (line.split() for line in table.read_text("utf-8").splitlines() if line.strip())
    return {pair[0]: pair[1] for pair in pairs if len(pair[0]) == 1 and pair[0] not in KEEP}


def compatible(char: str) -> str:
    """The one letter, digit or Han character NFKC gives for `char`, lower case, else ''.

    A letter loses its accents, so that toned pinyin (bǎo) is pinyin.
    """
    folded = unicodedata.normalize("NFKC", char).casefold()
    base = unicodedata.normalize("NFD", folded)
    if base[:1].isascii() and base[:1].isalpha() and all(map(unicodedata.combining, base[1:])):
        folded = base[0]
    return folded if len(folded) == 1 and folded != char and folded.isalnum() else ""


def fold_pairs() -> dict[str, str]:
    """Every character that is written otherwise than it is read."""
    traditional = simplified()
    pairs = dict(traditional)
    for block in COMPATIBILITY:
        for code in block:
            if target := compatible(chr(code)):
                pairs[chr(code)] = traditional.get(target, target)
    return {char: target for char, target in pairs.items() if char != target}


def syllables() -> dict[str, list[str]]:
    """Toneless syllable to the characters of jieba's dictionary that are read so, frequent first."""
    lazy_pinyin = import_module("pypinyin").lazy_pinyin
    jieba = import_module("jieba")
    jieba.setLogLevel(logging.ERROR)
    jieba.initialize()
    weight: dict[str, int] = defaultdict(int)
    for word, count in jieba.dt.FREQ.items():
        for char in word:
            weight[char] += count
    found: dict[str, list[str]] = defaultdict(list)
    for char in sorted(
        (chr(code) for code in HAN if weight[chr(code)] > 0), key=lambda c: (-weight[c], c)
    ):
        found[lazy_pinyin(char)[0].replace("ü", "v")].append(char)
    return {key: chars for key, chars in found.items() if key.isascii() and key.isalpha()}


def main() -> None:
    """Write both tables."""
    DATA.mkdir(exist_ok=True)
    by_target: dict[str, list[str]] = defaultdict(list)
    for char, target in fold_pairs().items():
        by_target[target].append(char)
    fold = "".join(f"{key}\t{''.join(sorted(by_target[key]))}\n" for key in sorted(by_target))
    (DATA / "fold.tsv").write_text(fold, "utf-8")
    read = syllables()
    pinyin = "".join(f"{key}\t{''.join(read[key])}\n" for key in sorted(read))
    (DATA / "pinyin.tsv").write_text(pinyin, "utf-8")


if __name__ == "__main__":
    main()
