"""An index that is lost, damaged, incomplete or rebuilt ends with the same answers."""

import random
from pathlib import Path
from unittest import mock

import pytest

from app import health
from app.bootstrap import Services
from app.foundation.errors import Unavailable
from app.search import tokens
from app.search.domain import NeedsRebuild
from app.search.filters import Filters
from app.search.query import parse
from app.search.rebuild import AlreadyRebuilding
from app.search.selfcheck import check_recall
from tests.search.firm import file_of, follow, line, search, texts

WHOLE = ["苏禾的话，保本保息", "三月的话", "二月的话"]


def test_a_deleted_index_is_noticed_and_filled_again(firm: Services) -> None:
    assert not firm.care.look()
    file_of(firm).path.unlink()
    assert firm.care.look()
    page = search(firm, q="话")
    assert (page.items, page.behind) == ([], 3)
    follow(firm)
    page = search(firm, q="话")
    assert (texts(page), page.behind) == (WHOLE, 0)
    assert texts(search(firm, category=["principal_guarantee"])) == WHOLE[:1]
    assert firm.care.health.renewed_at is not None


def damage(path: Path) -> None:
    """Overwrite everything but the first page, where the file stands."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


def test_damage_met_by_a_search_is_told_noticed_and_healed(firm: Services) -> None:
    file_of(firm).merge(start=True)
    file_of(firm).reopen()  # what is in the log of writes is in the file now
    damage(file_of(firm).path)
    with pytest.raises(NeedsRebuild):
        search(firm, q="话")
    assert firm.care.look()
    follow(firm)
    assert texts(search(firm, q="话")) == WHOLE
    assert file_of(firm).check() == ()


def forget_words(services: Services, text: str) -> None:
    """Drop the words of one message from the index, as a defect would."""
    (row,) = file_of(services).search(parse(f'"{text}"'), Filters()).rows
    with file_of(services)._writing() as connection:
        connection.execute(
            "INSERT INTO ft (ft, rowid, t, tags) VALUES ('delete', ?, ?, '')",
            (row.rid, tokens.index_tokens(text)),
        )


def test_a_message_that_is_not_found_sets_off_the_recall_alarm_until_it_is(firm: Services) -> None:
    recall = firm.care.check_recall()
    assert (recall.checked, recall.missed) == (3, ())
    forget_words(firm, "三月的话")
    recall = firm.care.check_recall()
    assert recall.missed == firm.care.health.missed == ("msg_1_2",)
    (part,) = [each for each in health.parts(firm, None) if each.name == "index"]
    assert not part.is_ok
    assert "liuhen rebuild search" in part.detail
    firm.rebuilder.run()
    assert firm.care.check_recall().missed == ()
    assert texts(search(firm, q="三月")) == ["三月的话"]


def test_the_recall_check_asks_only_for_what_has_been_indexed(firm: Services) -> None:
    firm.capture.receive([line(10, "还没有编入索引")])
    recall = check_recall(firm.db, file_of(firm), random.Random(1))  # noqa: S311
    assert recall.missed == ()


def test_the_nights_work_merges_and_begins_a_faulty_index_anew(firm: Services) -> None:
    firm.care.tend()
    assert (firm.care.health.faults, firm.care.health.merged_at is None) == ((), False)
    with file_of(firm)._writing() as connection:
        connection.execute("DELETE FROM doc WHERE seq = 2")
    firm.care.tend()
    assert firm.care.health.faults != ()
    follow(firm)
    assert texts(search(firm, q="话")) == WHOLE


def test_the_old_index_serves_while_a_new_one_is_built(firm: Services) -> None:
    seen: list[list[str]] = []
    told: list[tuple[int, int]] = []

    def look(done: int, total: int) -> None:
        seen.append(texts(search(firm, q="话")))
        told.append((done, total))
        with pytest.raises(AlreadyRebuilding):
            firm.rebuilder.run()

    firm.rebuilder.run(look)
    assert seen == [WHOLE] * len(seen)
    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    page = search(firm, q="话")
    assert (texts(page), page.behind) == (WHOLE, 0)
    assert texts(search(firm, state=["open"])) == WHOLE[:1]
    assert firm.rebuilder.progress is None
    firm.capture.receive([line(20, "后来的话", month=4)])
    follow(firm)
    assert texts(search(firm, q="话")) == ["后来的话", *WHOLE]
    assert file_of(firm).check() == ()


def test_a_rebuild_that_fails_leaves_the_old_index_as_it_was(firm: Services) -> None:
    fails = mock.Mock(side_effect=Unavailable("数据库暂不可用"))
    with mock.patch("app.search.follower.read_log", fails), pytest.raises(Unavailable):
        firm.rebuilder.run()
    assert texts(search(firm, q="话")) == WHOLE
    assert [each.name for each in file_of(firm).path.parent.glob("index.db.new*")] == []
    firm.rebuilder.run()
    assert texts(search(firm, q="话")) == WHOLE
