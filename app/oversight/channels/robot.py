"""A WeCom group robot: everybody in the group reads it, so it names nobody."""

from collections.abc import Callable
from functools import partial

import httpx

from app.foundation.settings import Settings
from app.oversight.letters import Letter, clipped

NAME = "robot"
_PATIENCE = 10.0  # seconds
_MOST = 4096  # bytes of a markdown message


class RobotRefused(Exception):
    """The robot did not take the message; the number is WeCom's errcode."""


def opened(settings: Settings) -> Callable[[str, Letter], None] | None:
    """What posts to the robot of the settings; None without one."""
    url = settings.robot_url.get_secret_value()
    return partial(_send, url) if url else None


def _send(url: str, _address: str, letter: Letter) -> None:
    words = "\n".join((f"**{letter.title}**", *letter.plain_lines, f"[打开]({letter.url})"))
    body = {"msgtype": "markdown", "markdown": {"content": clipped(words, _MOST)}}
    answer = httpx.post(url, json=body, timeout=_PATIENCE).raise_for_status().json()
    if answer.get("errcode"):
        raise RobotRefused(answer["errcode"])
