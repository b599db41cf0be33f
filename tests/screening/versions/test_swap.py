"""A release while messages pour in: none is lost, none is screened twice by one version, findings say by which."""

import threading
from collections import Counter
from collections.abc import Sequence

import pytest

from app.bootstrap import Services
from app.foundation.followers import Runner
from app.screening import Finding, Lexicon, LexiconError, Turn, follower, screen
from app.screening.releases import Keeper
from app.screening.wordfiles import version_of
from app.worker import at_work
from tests.screening.versions.lists import (
    DRAFTER,
    FIRST,
    approved,
    archive,
    catch_up,
    envelope,
    findings,
    released,
)

BOTH = ("琉璃稳赢", "琉璃必赢")  # what the new version finds; the old one only the first


def breach(number: int) -> bytes:
    """Every message breaks the rule of every version; few are in one conversation."""
    return envelope(number, "琉璃稳赢，您放心", client=f"wm{number % 7}")


def test_a_batch_is_screened_by_the_version_released_when_it_begins(services: Services) -> None:
    archive(services, envelope(1, "琉璃必赢"))
    catch_up(services)
    assert findings(services) == []
    made = released(services, *BOTH)
    archive(services, envelope(2, "琉璃必赢"))
    catch_up(services)
    assert [(each.record & 0xFFFF, each.lexicon_version) for each in findings(services)] == [
        (2, made.version)
    ]


def test_a_release_within_a_batch_waits_for_the_next(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(services, *[breach(number) for number in range(20)])
    made = approved(services, *BOTH)
    screened: list[int] = []

    def screen_and_release(window: Sequence[Turn], lexicon: Lexicon) -> list[Finding]:
        screened.append(1)
        if len(screened) == 3:
            services.lexicons.release(DRAFTER, made.id)
        return screen(window, lexicon)

    monkeypatch.setattr(follower, "screen", screen_and_release)
    catch_up(services)
    assert len(screened) >= 3
    assert {each.lexicon_version for each in findings(services)} == {version_of(FIRST)}
    archive(services, breach(20))
    catch_up(services)
    assert Counter(each.lexicon_version for each in findings(services)) == {
        version_of(FIRST): 20,
        made.version: 1,
    }


def test_releases_while_messages_stream_in_lose_and_double_nothing(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "BATCH", 7)
    versions = [approved(services, *BOTH), approved(services, "琉璃稳赢", "琉璃包赢")]
    total = 240
    runner = Runner(
        services.db, services.followers[0], services.tails, holder="test", is_busy=lambda: False
    )
    keeper = Keeper(services.db, services.lexicons.released)
    stop = threading.Event()

    def release() -> None:
        """Swap back and forth as fast as it goes."""
        while not stop.is_set():
            for each in versions:
                services.lexicons.release(DRAFTER, each.id)

    releasing = threading.Thread(target=release)
    runner.start()
    keeper.start()
    releasing.start()
    try:
        for start in range(0, total, 10):
            archive(services, *[breach(number) for number in range(start, start + 10)])
    finally:
        stop.set()
        releasing.join()
        runner.stop()
        keeper.stop()
    catch_up(services)
    found = findings(services)
    assert Counter(each.record & 0xFFFF for each in found) == dict.fromkeys(range(1, total + 1), 1)
    known = {version_of(FIRST), *(each.version for each in versions)}
    assert {each.lexicon_version for each in found} <= known


def test_screening_again_with_a_new_version_keeps_what_the_old_one_found(
    services: Services,
) -> None:
    archive(services, envelope(1, "琉璃稳赢"), envelope(2, "琉璃必赢"))
    catch_up(services)
    made = released(services, *BOTH)
    services.followers[0].reset()
    catch_up(services)
    assert [(each.record & 0xFFFF, each.lexicon_version) for each in findings(services)] == [
        (1, version_of(FIRST)),
        (1, made.version),
        (2, made.version),
    ]


def test_a_step_that_dies_is_done_again_by_the_version_then_released(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(services, breach(1))
    screening = services.followers[0]

    def fail(*_: object) -> None:
        raise RuntimeError("killed in between")

    monkeypatch.setattr(screening, "_hand_on", fail)
    with pytest.raises(RuntimeError):
        screening.step(1, 0, 1)
    monkeypatch.undo()
    made = released(services, *BOTH)
    catch_up(services)
    assert [each.lexicon_version for each in findings(services)] == [made.version]


def test_an_approved_version_is_compiled_before_its_release(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = approved(services, *BOTH)
    compiled: list[str] = []
    released_here = services.lexicons.released
    whole = released_here.compile

    def noted(version: str) -> Lexicon:
        compiled.append(version)
        return whole(version)

    monkeypatch.setattr(released_here, "compile", noted)
    released_here.prepare()
    assert made.version in compiled
    assert released_here.current().version == version_of(FIRST)


def test_a_running_process_follows_releases_of_another(services: Services) -> None:
    """Each `Released` stands for a process: it asks the database, not its neighbour."""
    other = type(services.lexicons.released)(services.db, services.lexicons.released._shipped)
    assert other.current().version == version_of(FIRST)
    made = released(services, *BOTH)
    assert other.current().version == made.version


def test_a_released_version_that_this_program_cannot_read_stops_screening_alone(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.lexicons.released.begin()

    def fail(_: str) -> None:
        raise LexiconError("speech.toml", 1, "样例")

    monkeypatch.setattr(services.lexicons.released, "compile", fail)
    with at_work(services) as staff:
        archive(services, breach(1))
        deadline = threading.Event()
        for _ in range(100):
            if "screening" in staff.failures():
                break
            deadline.wait(0.1)
        assert staff.failures()["screening"] == "LexiconError"
    assert services.followers[0].position(1) == 0
