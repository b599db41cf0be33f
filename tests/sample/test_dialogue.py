from random import Random

import pytest

from app.sample.dialogue import Cast, cast, fill, scenes, tell

NAMES = {
    "称呼": "沈总",
    "顾问": "林安",
    "小顾": "小林",
    "同事": "章叙",
    "同事号": "zhang.xu",
    "客户": "陆总",
}
PLACES = ("client", "group", "internal", "team", "welcome")
SPEAKERS = {
    "client": "客顾",
    "group": "客顾助",
    "internal": "甲乙",
    "team": "甲乙丙机",
    "welcome": "客顾",
}


def _cast(seed: int) -> Cast:
    return cast(Random(seed), **NAMES)  # noqa: S311


@pytest.mark.parametrize("place", PLACES)
def test_every_wording_can_be_told(place: str) -> None:
    for scene in scenes(place):
        names = _cast(1)
        for turn in scene.turns:
            filled = [fill(wording, names) for wording in turn.wordings]
            assert not any("{" in words or "|" in words for words in filled), scene.title


@pytest.mark.parametrize("place", PLACES)
def test_every_scene_has_a_title_of_its_own_and_known_speakers(place: str) -> None:
    titles = [scene.title for scene in scenes(place)]
    assert len(set(titles)) == len(titles)
    for scene in scenes(place):
        assert {turn.who for turn in scene.turns} <= set(SPEAKERS[place]), scene.title
        assert not scene.turns[0].optional, scene.title


def test_a_product_stays_the_same_within_a_telling() -> None:
    names = _cast(5)
    assert fill("{产品}|{产品}", names).split("|") == [names.product.name] * 2


def test_optional_lines_are_sometimes_left_out() -> None:
    scene = scenes("client")[0]
    lengths = {len(list(tell(scene, _cast(seed)))) for seed in range(50)}
    assert lengths == {2, 3, 4}


def test_an_unknown_slot_is_an_error() -> None:
    with pytest.raises(KeyError):
        fill("{没有这个}", _cast(1))
