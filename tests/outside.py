"""What notices go to: a real SMTP server, a real webhook receiver, and a fake of WeCom's API, all over sockets.

The fake (WeCom is the one part that cannot be had) answers `gettoken`, `message/send` and a robot's `webhook/send` as
WeCom's documentation says, and can be told to refuse.
"""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.server import free_port

if TYPE_CHECKING:
    from email.message import EmailMessage


class Mailbox:
    """A real SMTP server; `refusing` makes it answer 451."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusing = False
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(  # noqa: N802  (aiosmtpd's name)
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
    ) -> str:
        """Take a mail."""
        if self.refusing:
            return "451 try later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    @property
    def url(self) -> str:
        """As settings have it."""
        return f"smtp://127.0.0.1:{self._controller.port}"

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Close."""
        self._controller.stop()


class Web:
    """An HTTP server: `/hook` receives the webhook, everything under `/cgi-bin/` is the fake of WeCom."""

    def __init__(self) -> None:
        self.hooks: list[tuple[dict[str, str], str]] = []
        self.cards: list[dict[str, Any]] = []
        self.robots: list[dict[str, Any]] = []
        self.tokens = 0
        self.refusals: list[dict[str, Any]] = []  # answers to the next calls of message/send
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.tokens += 1
                self._answer(
                    {"errcode": 0, "access_token": f"token{web.tokens}", "expires_in": 7200}
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                if self.path == "/hook":
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    web.hooks.append((headers, body))
                    self._answer({})
                elif self.path.startswith("/cgi-bin/webhook/send"):
                    web.robots.append(json.loads(body))
                    self._answer({"errcode": 0})
                elif web.refusals:
                    self._answer(web.refusals.pop(0))
                else:
                    web.cards.append(json.loads(body) | {"path": self.path})
                    self._answer({"errcode": 0, "invaliduser": ""})

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def _answer(self, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Close."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Outside:
    """Everything outside."""

    def __init__(self) -> None:
        self.mailbox, self.web = Mailbox(), Web()

    def settings(self) -> dict[str, str]:
        """The settings that make every channel usable."""
        return {
            "smtp_url": self.mailbox.url,
            "mail_from": "liuhen@example.com",
            "webhook_url": f"{self.web.url}/hook",
            "webhook_secret": "样例密钥",
            "robot_url": f"{self.web.url}/cgi-bin/webhook/send?key=k",
            "wecom_api": self.web.url,
            "wecom_corp_id": "ww0001",
            "wecom_agent_id": "1000002",
            "wecom_secret": "s",
        }


@contextmanager
def outside() -> Generator[Outside]:
    """Everything outside, listening until the block ends."""
    made = Outside()
    made.mailbox.start()
    made.web.start()
    try:
        yield made
    finally:
        made.web.stop()
        made.mailbox.stop()
