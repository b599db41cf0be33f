"""What every command begins with: the settings in force, and a way to whoever holds the data folder."""
# ruff: noqa: PLC0415  (a command imports what is heavy when it runs)

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.foundation.errors import BadInput

if TYPE_CHECKING:
    from app.foundation.settings import Settings
    from app.local import Do

NO, UNUSABLE, UNAVAILABLE, INTERRUPTED = 1, 2, 3, 130  # exit codes

AsJson = Annotated[bool, typer.Option("--json", help="输出一个 JSON 对象")]
Moment = Annotated[str | None, typer.Option(help="ISO 8601 时间，含时区")]


class BadSettings(BadInput):
    """A `LIUHEN_*` variable does not hold what it must."""

    code = "bad_settings"
    title = "设置有误"


def settings_in_force(**given: Any) -> "Settings":
    """The settings in force; options given on the command line go before. Raises `BadSettings`."""
    from pydantic import ValidationError

    from app.foundation import logs
    from app.foundation.settings import Settings

    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        names = [".".join(map(str, each["loc"])) for each in error.errors()]
        lines = [
            f"LIUHEN_{name.upper()} 不符合要求：{each['msg']}"
            for name, each in zip(names, error.errors(), strict=True)
        ]
        raise BadSettings("；".join(lines)) from None
    logs.configure(settings.log_level, settings.log_format)
    return settings


@contextmanager
def operating(*, migrate: bool = False) -> Generator["Do"]:
    """Gives a function that does operations on the data folder, wherever its holder is."""
    settings = settings_in_force()
    from app import local

    with local.operating(settings, migrate=migrate) as do:
        yield do
