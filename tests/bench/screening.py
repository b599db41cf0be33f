# ruff: noqa: S311 - a bench needs repeatable numbers, not secret ones
"""How fast screening decides, beside a raw `pyahocorasick` scan of the same messages and phrases in the same run.

    python -m tests.bench.screening [--messages N] [--java FOLDER]

One core. The scan is `Automaton.iter` on the unfolded text and decides nothing. Messages are all different, so that
nothing is remembered from one to the next. `--java` compares the Java library houbb/sensitive-word, all switches on;
FOLDER holds its jars: `mvn dependency:get -Dartifact=com.github.houbb:sensitive-word:0.29.5`, then copy it and
its dependencies (heaven, nlp-common, opencc4j) out of the local repository. A JDK is Debian's `default-jdk-headless`.
"""

import argparse
import gc
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

import ahocorasick

from app.sample import load
from app.screening import Finding, Lexicon, Turn, screen
from app.screening.segment import frequency
from app.screening.wordfiles import SHARED, Files, compiled, pack, read_folder, version_of

SHIPPED = Path(__file__).parents[2] / "wordlists"
CATEGORY = "categories/principal_guarantee.toml"
MANY = 100_000  # phrases of the largest lexicon
QUIET = 3  # seconds in which the longest wait of undisturbed screening is taken, as the baseline
ROUNDS = 7


def main() -> None:
    """Run every part and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--java", type=Path)
    args = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    shipped = read_folder(SHIPPED)
    texts, phrases = messages(args.messages), all_phrases(shipped)
    mean = statistics.mean(map(len, texts))
    print(f"{len(texts):,} different messages of {mean:.0f} characters, one core")
    for size in (1_000, 20_000):
        compare(size, texts, phrases[:size], shipped, args.java)
    single(texts, compile_files(shipped))
    os.sched_setaffinity(0, cores)
    largest(phrases[:MANY], texts, shipped)


def messages(count: int) -> list[str]:
    """Texts of the sample's load, each once."""
    lines = (json.loads(line) for line in load(1_000_000, 1))
    texts = (str(line["text"]).replace("\n", " ") for line in lines if line["kind"] == "text")
    found: dict[str, None] = {}
    for text in texts:
        found[text] = None
        if len(found) == count:
            break
    return list(found)


def all_phrases(shipped: Files) -> list[str]:
    """The 1,000 shortest wordings of the shipped lists, then words and pairs of words of everyday Chinese."""
    rng = random.Random(1)
    patterns = [each for rule in compile_files(shipped).rules for each in rule.patterns]
    own = {word for each in patterns if each.literal for word in each.anchor if len(word) > 1}
    found = dict.fromkeys(sorted(own, key=lambda word: (len(word), word))[:1_000])
    frequency("")
    import jieba  # noqa: PLC0415  screening has initialised it

    known = sorted(w for w in jieba.dt.FREQ if re.fullmatch("[一-鿿]{2,8}", w) and frequency(w))
    found.update(dict.fromkeys(rng.sample([word for word in known if len(word) > 3], 19_000)))
    while len(found) < MANY:
        found[rng.choice(known) + rng.choice(known)] = None
    return list(found)


def files_with(phrases: Sequence[str], base: Files, *, alone: bool) -> dict[str, str]:
    """The shipped lists with the phrases as an imported rule; `alone` without any other rule."""
    say = "".join(f'  "{phrase}",\n' for phrase in phrases)
    rule = f'\n[[rule]]\nid = "bench"\nsay = [\n{say}]\nmatch = ["{phrases[0]}"]\nno_match = []\n'
    if not alone:
        return {**base, CATEGORY: base[CATEGORY] + rule}
    head = base[CATEGORY].partition("[[rule]]")[0]
    return {**{name: base[name] for name in SHARED}, CATEGORY: head + rule}


def compile_files(files: Files) -> Lexicon:
    """The lexicon, as a release compiles it."""
    return compiled(version_of(files), pack(files))


def compare(
    size: int, texts: Sequence[str], phrases: Sequence[str], shipped: Files, java: Path | None
) -> None:
    """Raw scan and full decision, turn by turn; then the Java library."""
    machine = ahocorasick.Automaton()
    for phrase in phrases:
        machine.add_word(phrase, phrase)
    machine.make_automaton()
    alone = compile_files(files_with(phrases, shipped, alone=True))
    both = compile_files(files_with(phrases, shipped, alone=False))
    runs: dict[str, Callable[[str], object]] = {
        "raw scan": lambda text: list(machine.iter(text)),
        "phrases decided": lambda text: decide(text, alone),
        "with all shipped rules": lambda text: decide(text, both),
    }
    spent = {name: statistics.median(times) for name, times in turns(runs, texts).items()}
    hits = sum(bool(list(machine.iter(text))) for text in texts) / len(texts)
    print(f"\n{size:,} phrases, {hits:.1%} of the messages hold one")
    for name, seconds in spent.items():
        each, ratio = seconds / len(texts) * 1e6, spent["raw scan"] / seconds
        print(f"  {name:28} {len(texts) / seconds:>11,.0f} /s {each:>8.2f} µs {ratio:>7.2f} x")
    rate, why = of_java(java, phrases, texts)
    print(f"  {'houbb/sensitive-word':28} {f'{rate:>11,.0f} /s' if rate else why}")


def decide(text: str, lexicon: Lexicon) -> list[Finding]:
    """The full decision on one message of an adviser."""
    return screen([Turn("adviser", text)], lexicon)


def turns(runs: dict[str, Callable[[str], object]], texts: Sequence[str]) -> dict[str, list[float]]:
    """Seconds of processor time of every run over all messages; the first round is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS + 1):
        for name, run in runs.items():
            began = time.process_time()
            for text in texts:
                run(text)
            spent[name].append(time.process_time() - began)
    return {name: times[1:] for name, times in spent.items()}


def of_java(java: Path | None, phrases: Sequence[str], texts: Sequence[str]) -> tuple[float, str]:
    """Messages a second, or why there is no figure."""
    if java is None:
        return 0, "skipped: --java FOLDER names its jars (see --help)"
    jars = sorted(java.glob("*.jar"))
    if not jars or not shutil.which("java"):
        return 0, "skipped: no jars in the folder, or no JDK"
    with tempfile.TemporaryDirectory() as name:
        words, lines = Path(name) / "phrases", Path(name) / "messages"
        words.write_text("\n".join(phrases), "utf-8")
        lines.write_text("\n".join(texts), "utf-8")
        source = str(Path(__file__).with_name("SensitiveWord.java"))
        path = os.pathsep.join(map(str, jars))
        command = ["java", "-Dfile.encoding=UTF-8", "-cp", path, source, str(words), str(lines)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return 0, f"failed: {done.stderr.strip().splitlines()[-1]}"
    return float(done.stdout.split()[0]), ""


def single(texts: Sequence[str], lexicon: Lexicon) -> None:
    """How long one message takes with the shipped rules."""
    took = []
    for text in texts:
        began = time.thread_time()
        decide(text, lexicon)
        took.append((time.thread_time() - began) * 1e3)
    took.sort()
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    print(f"\none message, shipped rules   p50 {p50:.3f} p99 {p99:.3f} max {took[-1]:.2f} ms")


def largest(phrases: Sequence[str], texts: Sequence[str], shipped: Files) -> None:
    """Load the shipped rules and very many phrases while a thread goes on screening."""
    old = compile_files(shipped)
    files = files_with(phrases, shipped, alone=False)
    version, packed = version_of(files), pack(files)
    gc.collect()
    quiet = longest_wait(texts, old, lambda: time.sleep(QUIET))[0]
    before = resident()
    waits, _ = longest_wait(texts, old, lambda: compiled(version, packed))
    grown = (resident() - before) / 1e6
    alone = time.process_time()
    compile_files(files_with(phrases[::-1], shipped, alone=False))
    print(f"\n{len(phrases):,} phrases and the shipped rules")
    print(f"  load                       {time.process_time() - alone:.1f} s of processor time")
    print(f"  memory                     +{grown:.0f} MB")
    print(f"  longest waits of a thread that screens meanwhile {three(waits)} ms")
    print(f"  the same with nothing loaded beside it           {three(quiet)} ms")


def longest_wait(
    texts: Sequence[str], lexicon: Lexicon, work: Callable[[], object]
) -> tuple[list[float], object]:
    """How long, in milliseconds, each message of a thread that screens waited for `work`, and the result of that.

    Neither its own work counts nor what other programs took: it is the smaller of the time in which it did not run
    and the processor time of the rest of this process.
    """
    waits: list[float] = []
    stopping = threading.Event()

    def screening() -> None:
        for text in cycle(texts):
            began = time.perf_counter(), time.process_time(), time.thread_time()
            decide(text, lexicon)
            wall, process, own = time.perf_counter(), time.process_time(), time.thread_time()
            waits.append((min(wall - began[0], process - began[1]) - (own - began[2])) * 1e3)
            if stopping.is_set():
                return

    thread = threading.Thread(target=screening)
    thread.start()
    result = work()
    stopping.set()
    thread.join()
    return sorted(waits), result


def three(waits: Sequence[float]) -> str:
    """The largest three."""
    return " ".join(f"{wait:.1f}" for wait in waits[-3:])


def resident() -> int:
    """Bytes of memory in use by this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
