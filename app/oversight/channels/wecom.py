"""A WeCom app message: a text card with a link, to one userid.

errcode 0 does not mean that everybody got it: `invaliduser` and `unlicenseduser` name those who did not. A token is
kept until shortly before its end and fetched anew when WeCom calls it expired.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from app.foundation.settings import Settings
from app.oversight.letters import Letter, clipped

NAME = "wecom"
_PATIENCE = 10.0  # seconds
_EXPIRED = frozenset({40014, 42001})
_EARLY = 300.0  # seconds before its end in which a token is not used any more
_TITLE, _DESCRIPTION = 128, 512  # bytes of a text card


class WecomRefused(Exception):
    """WeCom did not deliver the message; the words are its errcode, or why the receiver has not got it."""


def opened(settings: Settings) -> Callable[[str, Letter], None] | None:
    """What sends by the app of the settings; None unless corp, agent and secret are set."""
    secret = settings.wecom_secret.get_secret_value()
    if not (settings.wecom_corp_id and settings.wecom_agent_id and secret):
        return None
    return _App(settings.wecom_api, settings.wecom_corp_id, settings.wecom_agent_id, secret).send


class _App:
    def __init__(self, api: str, corp_id: str, agent_id: int, secret: str) -> None:
        self._api, self._corp_id, self._agent_id, self._secret = api, corp_id, agent_id, secret
        self._guard = threading.Lock()
        self._token, self._until = "", 0.0

    def send(self, address: str, letter: Letter) -> None:
        """Send a letter to a userid; raises `WecomRefused`."""
        body = {
            "touser": address,
            "msgtype": "textcard",
            "agentid": self._agent_id,
            "textcard": {
                "title": clipped(letter.title, _TITLE),
                "description": clipped("\n".join(letter.lines), _DESCRIPTION),
                "url": letter.url,
                "btntxt": "打开",
            },
        }
        answer = self._post(body, self._fresh_token())
        if answer.get("errcode") in _EXPIRED:
            self._forget()
            answer = self._post(body, self._fresh_token())
        if answer.get("errcode"):
            raise WecomRefused(str(answer["errcode"]))
        for name in ("invaliduser", "unlicenseduser"):
            if answer.get(name):
                raise WecomRefused(name)

    def _post(self, body: dict[str, Any], token: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{self._api}/cgi-bin/message/send",
            params={"access_token": token},
            json=body,
            timeout=_PATIENCE,
        )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def _fresh_token(self) -> str:
        with self._guard:
            if time.monotonic() < self._until:
                return self._token
            answer = httpx.get(
                f"{self._api}/cgi-bin/gettoken",
                params={"corpid": self._corp_id, "corpsecret": self._secret},
                timeout=_PATIENCE,
            )
            given = answer.raise_for_status().json()
            if given.get("errcode"):
                raise WecomRefused(str(given["errcode"]))
            self._token = str(given["access_token"])
            self._until = time.monotonic() + float(given["expires_in"]) - _EARLY
            return self._token

    def _forget(self) -> None:
        with self._guard:
            self._until = 0.0
