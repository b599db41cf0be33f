"""Back-tests: exactly what a candidate adds and takes away, in slices that can stop, die and go on."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.access import Event
from app.access.models import AuditEvent
from app.archive.models import record_id
from app.bootstrap import Services
from app.foundation import jobs
from app.foundation.jobs import Job, Worker
from app.screening import backtests, lexicons
from app.screening.backtests import BacktestNotFound, BacktestState, BacktestStateWrong, Period, Run
from app.screening.lexicons import Version
from app.screening.tally import SAMPLES, Seen, counted, nothing, together
from app.screening.versions import LexiconStepNotPossible, OverrideMissing, State
from tests.screening.versions.lists import (
    APPROVER,
    DRAFTER,
    SAMPLE,
    archive,
    catch_up,
    category,
    envelope,
    findings,
    rule,
    wording,
)

TALK = (  # one conversation each, so that windows do not matter
    "今天净值更新了",
    "琉璃稳赢，您放心",
    "琉璃必赢",
    "琉璃包赢",
    "琉璃必赢，琉璃稳赢",
    "请看风险揭示书",
)


def candidate(services: Services, *words: str) -> Version:
    return services.lexicons.draft(DRAFTER, wording(*words), based_on="released")


def fill(services: Services, count: int = len(TALK)) -> None:
    lines = [envelope(n, TALK[n % len(TALK)], client=f"wm{n}", day=1 + n % 9) for n in range(count)]
    archive(services, *lines)


def begin(services: Services, version: Version, **period: Any) -> Run:
    return backtests.start(services.db, DRAFTER, version.id, Period(**period))


def work_off(services: Services) -> int:
    return Worker(services.db, services.handlers, name="test").work_off()


def again(services: Services, run: Run) -> Run:
    with services.db.read() as connection:
        return backtests.one(connection, run.id)


def slice_of(services: Services, run: Run) -> bool:
    return backtests.work_on(services.db, services.lexicons.released.compile, run.id, 0)


def places(side: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(each["record"] & 0xFFFF, each["start"], each["end"]) for each in side["samples"]]


def test_gained_and_lost_are_exactly_what_differs(services: Services) -> None:
    fill(services)
    made = candidate(services, "琉璃必赢", "琉璃包赢")
    run = begin(services, made)
    assert (run.state, run.done, run.total) == (BacktestState.RUNNING, 0, 6)
    work_off(services)
    run = again(services, run)
    result = run.result
    assert (run.state, run.done, result["messages"]) == (BacktestState.DONE, 6, 6)
    assert (result["released"]["alerts"], result["candidate"]["alerts"]) == (2, 3)
    assert (result["released"]["findings"], result["candidate"]["findings"]) == (2, 3)
    assert places(result["gained"]) == [(3, 0, 4), (4, 0, 4), (5, 0, 4)]
    assert places(result["lost"]) == [(2, 0, 4), (5, 5, 9)]
    assert result["candidate"]["categories"] == {"sample": 3}
    assert result["candidate"]["rules"] == {"sample/one": 3}
    assert result["gained"]["count"] == 3


def test_a_result_holds_places_and_no_words(services: Services) -> None:
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))
    work_off(services)
    words = json.dumps(again(services, run).result, ensure_ascii=False)
    assert not any(part in words for talk in TALK for part in talk.split("，"))


def test_a_back_test_leaves_findings_and_alerts_alone(services: Services) -> None:
    fill(services)
    catch_up(services)
    before = findings(services)
    begin(services, candidate(services, "琉璃必赢"))
    work_off(services)
    assert findings(services) == before


def test_a_finished_back_test_takes_the_version_on_and_says_what_it_found(
    services: Services,
) -> None:
    fill(services)
    made = candidate(services, "琉璃必赢")
    begin(services, made)
    work_off(services)
    assert services.lexicons.one(made.id).state is State.BACKTESTED
    with services.db.read() as connection:
        last = lexicons.history(connection, made)[-1]
    assert last.actor == DRAFTER.id
    assert "6 条消息，预警 2 → 2，新增 2，减少 2" in last.note


def test_slices_add_up_to_the_whole(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(services, 23)
    made = candidate(services, "琉璃必赢", "琉璃包赢")
    whole = begin(services, made)
    work_off(services)
    monkeypatch.setattr(backtests, "SLICE", 4)
    monkeypatch.setattr(backtests, "SPELL", 0)
    pieces = begin(services, made)
    assert work_off(services) >= 6
    assert again(services, pieces).result == again(services, whole).result
    assert again(services, pieces).done == 23


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"last": 2}, [5, 6]),
        ({"last": 100}, [1, 2, 3, 4, 5, 6]),
        ({"since": datetime(2026, 3, 4, tzinfo=UTC)}, [4, 5, 6]),
        ({"until": datetime(2026, 3, 3, tzinfo=UTC)}, [1, 2]),
        ({"since": datetime(2026, 3, 2, tzinfo=UTC), "last": 5}, [2, 3, 4, 5, 6]),
        ({"since": datetime(2030, 1, 1, tzinfo=UTC)}, []),
    ],
)
def test_only_messages_of_the_period_count(
    services: Services, period: dict[str, Any], expected: list[int]
) -> None:
    fill(services)
    every = wording("净值", "琉璃", "揭示书")
    made = services.lexicons.draft(DRAFTER, _alone(every), based_on="released")
    run = begin(services, made, **period)
    assert run.total == len(expected)
    work_off(services)
    result = again(services, run).result
    assert result["messages"] == len(expected)
    gained = {place[0] for place in places(result["gained"])}
    assert gained == set(expected)


def test_messages_that_arrive_later_are_left_out(services: Services) -> None:
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))
    archive(services, envelope(99, "琉璃必赢", client="wm99"))
    work_off(services)
    assert again(services, run).result["messages"] == 6


def test_an_empty_archive_is_done_at_once(services: Services) -> None:
    run = begin(services, candidate(services, "琉璃必赢"))
    work_off(services)
    assert again(services, run)[4:5] == (BacktestState.DONE,)
    assert again(services, run).result == nothing()


def test_it_stops_and_goes_on_where_it_stopped(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 2)
    fill(services)
    made = candidate(services, "琉璃必赢", "琉璃包赢")
    run = begin(services, made)
    assert slice_of(services, run)
    assert backtests.stop(services.db, DRAFTER, run.id).state is BacktestState.STOPPED
    assert not slice_of(services, run)
    work_off(services)
    assert (again(services, run).done, services.lexicons.one(made.id).state) == (2, State.TESTED)
    with pytest.raises(BacktestStateWrong):
        backtests.stop(services.db, DRAFTER, run.id)
    backtests.resume(services.db, DRAFTER, run.id)
    with pytest.raises(BacktestStateWrong):
        backtests.resume(services.db, DRAFTER, run.id)
    work_off(services)
    done = again(services, run)
    assert (done.state, done.done, done.result["messages"]) == (BacktestState.DONE, 6, 6)
    assert places(done.result["gained"]) == [(3, 0, 4), (4, 0, 4), (5, 0, 4)]


def test_a_stop_while_a_slice_is_screened_drops_this_slice(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 2)
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))

    def stop_meanwhile(*given: Any) -> Any:
        backtests.stop(services.db, DRAFTER, run.id)
        return counted(*given)

    monkeypatch.setattr(backtests, "counted", stop_meanwhile)
    assert not slice_of(services, run)
    assert (again(services, run).state, again(services, run).done) == (BacktestState.STOPPED, 0)


def test_a_worker_killed_between_slices_is_taken_over(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 2)
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))
    with services.db.write() as connection:
        [taken] = jobs.claim(connection, "dies", [backtests.KIND])
    slice_of(services, run)  # and then it is gone
    assert work_off(services) == 0
    with services.db.write() as connection:
        connection.execute(
            update(Job)
            .where(Job.id == taken.id)
            .values(claimed_until=datetime(2020, 1, 1, tzinfo=UTC))
        )
    assert work_off(services) == 1
    assert (again(services, run).state, again(services, run).result["messages"]) == (
        BacktestState.DONE,
        6,
    )


def test_two_workers_on_one_slice_count_it_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 2)
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))
    is_first = [True]

    def other_meanwhile(*given: Any) -> Any:
        if is_first and is_first.pop():
            slice_of(services, run)
        return counted(*given)

    monkeypatch.setattr(backtests, "counted", other_meanwhile)
    assert not slice_of(services, run)
    assert (again(services, run).done, again(services, run).result["messages"]) == (2, 2)


def test_a_handler_that_dies_before_it_asks_for_the_next_job_is_tried_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 2)
    monkeypatch.setattr(backtests, "SPELL", 0)
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))
    whole = backtests._next
    calls = []

    def fail_once(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("killed in between")
        whole(*given)

    monkeypatch.setattr(backtests, "_next", fail_once)
    work_off(services)
    with services.db.write() as connection:
        connection.execute(update(Job).values(run_at=datetime(2020, 1, 1, tzinfo=UTC)))
    work_off(services)
    assert (again(services, run).state, again(services, run).done) == (BacktestState.DONE, 6)


def test_it_rests_while_messages_pour_in_and_comes_to_its_end(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtests, "SLICE", 2)
    fill(services)
    run = begin(services, candidate(services, "琉璃必赢"))
    asked: list[int] = []

    def is_busy() -> bool:
        asked.append(again(services, run).done)
        return len(asked) % 3 > 0

    compile_version = services.lexicons.released.compile
    assert not backtests.work_on(services.db, compile_version, run.id, 60_000, is_busy)
    assert again(services, run).state is BacktestState.DONE
    assert {2, 4, 6} <= set(asked)


def test_one_back_test_of_a_version_runs_at_a_time(services: Services) -> None:
    made = candidate(services, "琉璃必赢")
    begin(services, made)
    with pytest.raises(BacktestStateWrong):
        begin(services, made)


def test_a_draft_with_failing_examples_is_not_back_tested(services: Services) -> None:
    files: dict[str, str | None] = {SAMPLE: category(rule("one", "琉璃", match=["今天天气好"]))}
    made = services.lexicons.draft(DRAFTER, files, based_on="released")
    with pytest.raises(LexiconStepNotPossible):
        begin(services, made)
    with pytest.raises(BacktestNotFound):
        backtests.stop(services.db, DRAFTER, "bkt_nothing")


def test_a_decision_made_meanwhile_stands(services: Services) -> None:
    fill(services)
    made = candidate(services, "琉璃必赢")
    begin(services, made)
    services.lexicons.reject(APPROVER, made.id, "太宽")
    work_off(services)
    assert services.lexicons.one(made.id).state is State.REJECTED


def test_a_rule_that_matches_everything_needs_an_override(services: Services) -> None:
    fill(services, 60)
    every = _alone(wording("净值", "琉璃", "揭示书"))
    made = services.lexicons.draft(DRAFTER, every, based_on="released")
    run = begin(services, made)
    work_off(services)
    result = again(services, run).result
    assert (result["candidate"]["alerts"], result["gained"]["count"] >= 40) == (60, True)
    assert len(result["gained"]["samples"]) <= SAMPLES
    with pytest.raises(OverrideMissing) as refused:
        services.lexicons.approve(APPROVER, made.id)
    assert "60 条会预警" in refused.value.facts["warnings"][0]
    assert services.lexicons.one(made.id).state is State.BACKTESTED
    services.lexicons.approve(APPROVER, made.id, override="样例数据")
    with services.db.read() as connection:
        note = lexicons.history(connection, made)[-1].note
    assert note == "预警量异常仍放行：样例数据"


def test_back_tests_are_audited(services: Services) -> None:
    run = begin(services, candidate(services, "琉璃必赢"), last=3)
    backtests.stop(services.db, DRAFTER, run.id)
    with services.db.read() as connection:
        query = select(AuditEvent.details).where(AuditEvent.event == Event.LEXICON_BACKTEST)
        details = [json.loads(each) for each in connection.execute(query).scalars()]
    assert [(each["id"], each.get("last"), each.get("state")) for each in details] == [
        (run.id, 3, None),
        (run.id, None, "stopped"),
    ]


def _alone(files: dict[str, str | None]) -> dict[str, str | None]:
    """A rule whose words need not stand for a claim on their own."""
    return {SAMPLE: str(files[SAMPLE]).replace('no_match = ["今天净值更新了"]', "no_match = []")}


SEEN = st.builds(
    Seen,
    record=st.integers(1, 6).map(lambda seq: record_id(1, seq)),
    spoken=st.just(1),
    start=st.integers(0, 2),
    end=st.just(4),
    category=st.sampled_from(["a", "b"]),
    outcome=st.sampled_from(["violation", "lead"]),
    severity=st.just("red"),
    rule=st.sampled_from(["a/x", "a/y"]),
)


@given(st.lists(SEEN, max_size=12), st.lists(SEEN, max_size=12))
def test_counts_are_those_of_sets_however_the_messages_are_cut(
    old: list[Seen], new: list[Seen]
) -> None:
    result = nothing()
    for seq in range(1, 7):
        cut = [[e for e in side if e.record == record_id(1, seq)] for side in (old, new)]
        result = together(result, counted(1, *cut))
    before, after = ({each.key for each in side} for side in (old, new))
    assert result["gained"]["count"] == len(after - before)
    assert result["lost"]["count"] == len(before - after)
    assert result["candidate"]["alerts"] == len({k[0] for k in after if k[5] == "violation"})
    assert result["candidate"]["findings"] == len(new)
    assert result["messages"] == 6
