"""A signed webhook for the firm's own programs: facts of the alerts as JSON, no words of any conversation.

`X-Liuhen-Signature: t=<Unix seconds>,v1=<hex>` where v1 is HMAC-SHA256 under the secret over `<t>.<body>`; the receiver
compares, and refuses an old t.
"""

import hmac
import json
from collections.abc import Callable
from functools import partial

import httpx

from app.foundation import clock
from app.foundation.settings import Settings
from app.oversight.letters import Letter

NAME = "webhook"
_PATIENCE = 10.0  # seconds


def opened(settings: Settings) -> Callable[[str, Letter], None] | None:
    """What posts to the address of the settings; None without address or secret."""
    secret = settings.webhook_secret.get_secret_value()
    return partial(_send, settings.webhook_url, secret) if settings.webhook_url and secret else None


def _send(url: str, secret: str, _address: str, letter: Letter) -> None:
    document = {
        "title": letter.title,
        "url": letter.url,
        "alerts": [each._asdict() for each in letter.alerts],
    }
    body = json.dumps(document, ensure_ascii=False, default=lambda moment: moment.isoformat())
    moment = str(clock.now_ms() // 1000)
    headers = {
        "content-type": "application/json",
        "x-liuhen-signature": f"t={moment},v1={signature(secret, moment, body)}",
    }
    httpx.post(url, content=body.encode(), headers=headers, timeout=_PATIENCE).raise_for_status()


def signature(secret: str, moment: str, body: str) -> str:
    """What proves that the body is ours and from that moment."""
    return hmac.digest(secret.encode(), f"{moment}.{body}".encode(), "sha256").hex()
