"""Mail by SMTP: `smtp://user:password@host:port` with STARTTLS where the server offers it, or `smtps://`."""

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from urllib.parse import unquote, urlsplit

from app.foundation.settings import Settings
from app.oversight.letters import Letter

NAME = "mail"
_PATIENCE = 10.0  # seconds


def opened(settings: Settings) -> Callable[[str, Letter], None] | None:
    """What sends by the server of the settings; None without one."""
    url = settings.smtp_url.get_secret_value()
    return partial(_send, url, settings.mail_from) if url and settings.mail_from else None


def _send(url: str, sender: str, address: str, letter: Letter) -> None:
    parts = urlsplit(url)
    message = EmailMessage()
    message["Subject"] = letter.title
    message["From"], message["To"] = sender, address
    message.set_content("\n".join((*letter.lines, "", letter.url, "")))
    host, port = parts.hostname or "localhost", parts.port or 0
    secure = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=secure)
        if parts.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=_PATIENCE)
    ) as server:
        server.ehlo_or_helo_if_needed()
        if parts.scheme != "smtps" and server.has_extn("starttls"):
            server.starttls(context=secure)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
