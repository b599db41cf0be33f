"""Who comes in over HTTP.

`Gate.needs(action)` is the dependency by which a route declares its one permission; `Gate.signed_in()` marks what
every signed-in caller may do, `Gate.open()` what needs nobody. A dependency carries `action` and `is_open`, so
that a test can walk the routes. A session arrives as a cookie, a program's token as a bearer; for cookies, and
for open routes, an unsafe method from another site is refused (`cross_site`).
"""

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import structlog
from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from app.access.domain import SESSION_COOKIE, Action, Caller, Identity
from app.access.service import Access
from app.foundation import http
from app.foundation.errors import Forbidden, NotSignedIn

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})  # none: the person typed it or used a bookmark


class CrossSite(Forbidden):
    """The request was made by a page of another site."""

    code = "cross_site"
    title = "跨站请求被拒绝"


class Needs:
    """The dependency behind a route: tells who calls, or refuses."""

    def __init__(self, gate: "Gate", action: Action | None) -> None:
        self._gate = gate
        self.action: Final = action
        self.is_open: Final = False

    async def __call__(  # on the request's own task: log context bound in a worker thread is lost
        self,
        request: Request,
        bearer: Annotated[
            HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))
        ],
        cookie: Annotated[
            str | None, Security(APIKeyCookie(name=SESSION_COOKIE, auto_error=False))
        ],
    ) -> Caller:
        """Find the caller, hold her to the action, name her in the logs."""
        token = bearer.credentials if bearer else None
        identity = await run_in_threadpool(self._gate.identify, request, token, cookie)
        caller = identity.caller(self.action, http.request_id(request))
        structlog.contextvars.bind_contextvars(actor=caller.id)
        if self.action is not None and not caller.may(self.action):
            await run_in_threadpool(self._gate.access.refuse, caller, self.action)
            raise Forbidden
        return caller


class Open:
    """The dependency of a route that needs nobody, but not a page of another site either."""

    action: Final = None
    is_open: Final = True

    def __init__(self, gate: "Gate") -> None:
        self._gate = gate

    async def __call__(self, request: Request) -> None:
        """Refuse an unsafe method from another site."""
        refuse_cross_site(request, self._gate.access.settings.public_url)


class Gate:
    """Turns actions into route dependencies."""

    def __init__(self, access: Access) -> None:
        self.access = access

    def needs(self, action: Action) -> Any:
        """The dependency of a route that needs one action; gives the `Caller`, scoped to it."""
        return Depends(Needs(self, action))

    def signed_in(self) -> Any:
        """The dependency of a route for everybody who is signed in; gives a `Caller` who sees nothing."""
        return Depends(Needs(self, None))

    def open(self) -> Any:
        """The dependency of a route for everybody."""
        return Depends(Open(self))

    def identify(self, request: Request, token: str | None, cookie: str | None) -> Identity:
        """Who sent the request; a bearer token goes before the cookie. Raises `NotSignedIn`."""
        if token is not None:
            return self.access.identify_token(token)
        if cookie is None:
            raise NotSignedIn
        refuse_cross_site(request, self.access.settings.public_url)
        return self.access.identify_session(cookie)


def refuse_cross_site(request: Request, public_url: str) -> None:
    """Refuse an unsafe request that a browser made for another site; raises `CrossSite`.

    Browsers say so by `Sec-Fetch-Site`, older ones by `Origin`; a request without both is not from a browser.
    """
    if request.method in _SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_own = site in _OWN_SITE
    else:
        is_own = origin is None or _is_own_origin(origin, request, public_url)
    if not is_own:
        raise CrossSite("请从本系统的页面操作")


def _is_own_origin(origin: str, request: Request, public_url: str) -> bool:
    if public_url and _origin(public_url) == _origin(origin):
        return True
    host = _origin(origin)[1]
    return bool(host) and host == request.headers.get("host", "").lower()


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme.lower(), parts.netloc.lower()


def address_of(request: Request) -> str:
    """Where the request came from; behind a proxy uvicorn's proxy headers have settled it."""
    return request.client.host if request.client else ""
