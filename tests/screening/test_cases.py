"""Labelled conversations: the figures the engine must reach, and the way files of cases are read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from app.screening import CasesError, Lexicon, read_cases, result_line, screen, screen_cases
from tests.screening import scoring

CASES = Path(__file__).parent / "cases"


def total(name: str, lexicon: Lexicon) -> Counter[str]:
    counts: Counter[str] = Counter()
    for case in read_cases(CASES / f"{name}.jsonl"):
        counts.update(scoring.tally(case, lexicon))
    return counts


@pytest.mark.parametrize(("name", "least"), [("dev", 0.97), ("own", 0.93), ("aside", 0.84)])
def test_recall_stays_reached(name: str, least: float, lexicon: Lexicon) -> None:
    counts = total(name, lexicon)
    assert scoring.rate(counts["tp"], counts["tp"] + counts["fn"]) >= least


@pytest.mark.parametrize(("name", "least"), [("dev", 0.97), ("own", 0.95), ("aside", 0.88)])
def test_precision_stays_reached(name: str, least: float, lexicon: Lexicon) -> None:
    counts = total(name, lexicon)
    assert scoring.rate(counts["tp"], counts["tp"] + counts["fp"]) >= least


@pytest.mark.parametrize("name", ["dev", "own", "aside"])
def test_lead_recall_stays_reached(name: str, lexicon: Lexicon) -> None:
    counts = total(name, lexicon)
    assert scoring.rate(counts["leads_found"], counts["leads"]) >= 0.9


def test_every_finding_quotes_the_original_text(lexicon: Lexicon) -> None:
    for case in read_cases(CASES / "dev.jsonl"):
        for one in screen(case.window, lexicon):
            written = case.window[one.message].text[one.start : one.end]
            assert written
            assert one.message in one.at
            assert one.phrase.endswith(written.strip())


def test_a_result_line_holds_what_the_scorer_reads(tmp_path: Path, lexicon: Lexicon) -> None:
    path, out = tmp_path / "cases.jsonl", tmp_path / "out.jsonl"
    message = {"role": "adviser", "text": "这款保本的"}
    path.write_text(json.dumps({"id": "a", "messages": [message]}) + "\n\n", "utf-8")
    assert screen_cases(path, out, lexicon) == 1
    row = json.loads(out.read_text("utf-8"))
    assert row["id"] == "a"
    assert row["hits"][0]["at"] == [0]
    assert row["hits"][0]["category"] == "principal_guarantee"
    assert row["hits"][0]["outcome"] == "violation"


def test_a_case_without_hits_still_has_a_line() -> None:
    assert json.loads(result_line("x", [])) == {"id": "x", "hits": []}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "JSON"),
        ("[]", "id"),
        ('{"id": "a"}', "messages"),
        ('{"id": "a", "messages": [{"role": "boss", "text": ""}]}', "role"),
        ('{"id": "a", "messages": [{"role": "client"}]}', "text"),
    ],
)
def test_a_line_that_is_no_case_is_refused_with_its_number(
    tmp_path: Path, line: str, told: str
) -> None:
    path = tmp_path / "cases.jsonl"
    good = '{"id": "g", "messages": [{"role": "client", "text": "好"}]}'
    path.write_text(f"{good}\n{line}\n", "utf-8")
    with pytest.raises(CasesError, match="第 2 行") as caught:
        list(read_cases(path))
    assert told in str(caught.value)


def test_a_repeated_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    good = '{"id": "g", "messages": [{"role": "client", "text": "好"}]}'
    path.write_text(f"{good}\n{good}\n", "utf-8")
    with pytest.raises(CasesError, match="两次"):
        list(read_cases(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CasesError, match="读不到"):
        list(read_cases(tmp_path / "none.jsonl"))
