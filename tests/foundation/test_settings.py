"""Settings: `.env.example` names every one with its words and default; run this file to write it anew.

python -m tests.foundation.test_settings > .env.example
"""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.foundation.settings import Settings

ROOT = Path(__file__).parents[2]
HEAD = """\
# 留痕的全部设置。复制为 .env 并去掉所需行首的「# 」；环境变量优先于 .env。
# 每项下面写的是默认值；空值等于没有设置。
"""


def example() -> str:
    """What `.env.example` must say."""
    parts = [HEAD]
    for name, field in Settings.model_fields.items():
        parts.append(f"# {field.description}\n# LIUHEN_{name.upper()}={_shown(field.default)}\n")
    return "\n".join(parts)


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    return "" if default is None else str(default)


def settings(**chosen: Any) -> Settings:
    return Settings(_env_file=None, **chosen)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"LIUHEN_{name.upper()}", raising=False)


def test_the_example_lists_every_setting_with_its_words_and_default() -> None:
    assert (ROOT / ".env.example").read_text() == example()


def test_every_setting_is_described_in_chinese() -> None:
    for name, field in Settings.model_fields.items():
        assert re.search(r"[\u4e00-\u9fff]", field.description or ""), name


def test_the_example_read_as_it_is_changes_nothing() -> None:
    read = Settings(_env_file=ROOT / ".env.example")
    assert read == settings()


def test_the_example_with_every_line_made_active_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(re.sub(r"(?m)^# (LIUHEN_)", r"\1", (ROOT / ".env.example").read_text()))
    assert Settings(_env_file=file) == settings()


def test_every_variable_the_product_names_is_a_setting() -> None:
    known = {f"LIUHEN_{name.upper()}" for name in Settings.model_fields}
    files = [*(ROOT / "app").rglob("*.py"), ROOT / "Makefile", *(ROOT / "deploy").glob("*")]
    named = {
        word
        for file in files
        if file.is_file()
        for word in re.findall(r"LIUHEN_[A-Z]+(?:_[A-Z]+)*", file.read_text())
    }
    assert named - known <= {"LIUHEN_X"}  # the docstring's stand-in


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "WORDLISTS", "DATA", "DATABASE_URL"):
        monkeypatch.setenv(f"LIUHEN_{name}", "")
    chosen = settings()
    assert (chosen.port, chosen.wordlists, chosen.data) == (8000, None, Path("data"))
    assert chosen.is_sqlite


def test_a_variable_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIUHEN_PORT", "9000")
    assert settings().port == 9000


@pytest.mark.parametrize(
    "wrong", [{"port": 0}, {"port": "x"}, {"suite": "rot13"}, {"log_level": "loud"}]
)
def test_a_value_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_the_root_key_is_never_inside_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert settings(data=data).root_key_file == tmp_path / "data.keys" / "root.key"
    outside = settings(data=data, keys_url=f"file://{tmp_path / 'root.key'}")
    assert outside.root_key_file == tmp_path / "root.key"
    for inside in (data / "root.key", data / "a" / "root.key", data / "b" / ".." / "root.key"):
        with pytest.raises(ValidationError, match="之外"):
            settings(data=data, keys_url=f"file://{inside}")


def test_a_key_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="file://"):
        settings(keys_url="kms://somewhere/key")


def test_the_password_of_the_database_is_not_shown() -> None:
    chosen = settings(database_url="postgresql://liuhen:guarded@127.0.0.1/liuhen")
    assert chosen.database == "postgresql+psycopg://liuhen:guarded@127.0.0.1/liuhen"
    assert not chosen.is_sqlite
    assert "guarded" not in repr(chosen)


if __name__ == "__main__":
    sys.stdout.write(example())
