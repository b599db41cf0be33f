"""The shape of every answer: request ids, timing, bounded bodies, and errors as RFC 9457 problem documents.

A problem carries `type`, `title` (Chinese), `status`, `detail`, `code` (stable), `request_id`, and the facts of
the error. An unexpected exception is answered as a plain 500 without its words, which may quote content.
"""

import json
import re
import time
from collections.abc import MutableMapping
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.foundation import ids, logs, metrics
from app.foundation.errors import AppError, BadInput, Forbidden, NotFound, NotSignedIn, TooLarge

PROBLEM = "application/problem+json"
SMALL_BODY = 1024 * 1024  # bytes; routes that take more are named to `BodyLimit`
_SAFE_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class MethodNotAllowed(AppError):
    """The route exists, but not for this method."""

    code = "method_not_allowed"
    title = "该地址不支持此方法"
    status = 405


class InvalidFields(AppError):
    """The request is readable but some of its fields are not what they must be."""

    code = "invalid_fields"
    title = "参数不符合要求"
    status = 422


_CODES: dict[int, type[AppError]] = {
    kind.status: kind
    for kind in (BadInput, NotSignedIn, Forbidden, NotFound, MethodNotAllowed, TooLarge)
}


class Problem(BaseModel):
    """What every error answer looks like (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    request_id: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "请求有误", "content": {PROBLEM: {}}},
    "5XX": {"model": Problem, "description": "服务有误", "content": {PROBLEM: {}}},
}


def install(app: FastAPI) -> None:
    """Give the application its one error shape and its request bookkeeping."""
    app.add_exception_handler(AppError, _answer_app_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_fields)
    app.add_middleware(Bookkeeping)


def request_id(request: Request) -> str:
    """The id this request is known by in logs, audit rows and error answers."""
    return str(request.scope.get("request_id", "-"))


def problem(error: AppError, known_as: str) -> Response:
    """Render an error."""
    document = {
        "type": f"urn:liuhen:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": known_as,
        **error.facts,
    }
    headers = {}
    if "retry_after" in error.facts:
        headers["Retry-After"] = str(error.facts["retry_after"])
    if error.status == NotSignedIn.status:
        headers["WWW-Authenticate"] = "Bearer"
    body = json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "replace")
    return Response(body, error.status, headers, media_type=PROBLEM)


async def _answer_app_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, AppError):
        raise error
    return problem(error, request_id(request))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error.__cause__, AppError):  # FastAPI wraps whatever reading the body raises
        return problem(error.__cause__, request_id(request))
    kind = _CODES.get(error.status_code, BadInput)
    answer = problem(kind(), request_id(request))
    answer.headers.update(error.headers or {})  # `Allow` of a 405
    return answer


async def _answer_invalid_fields(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    places = [".".join(str(step) for step in each["loc"]) for each in error.errors()]
    fields = [
        {"field": place, "rule": each["type"]}
        for place, each in zip(places, error.errors(), strict=True)
    ]
    detail = f"请检查：{'、'.join(places)}" if places else None
    return problem(InvalidFields(detail, fields=fields), request_id(request))


class Bookkeeping:
    """Names each request, times it, logs and counts it, and answers what nobody else caught."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = known_as = _given_id(scope) or ids.new_id("req")
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=known_as)
        began = time.perf_counter()
        status, has_begun = 500, False

        async def send_named(message: MutableMapping[str, Any]) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", known_as.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception as error:  # noqa: BLE001  (whatever it is, the caller gets one shape)
            logs.get(__name__).error("request_failed", exc_info=error)
            if not has_begun:
                await problem(AppError(), known_as)(scope, receive, send_named)
        finally:
            _note(scope, status, time.perf_counter() - began)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "-")  # the template, never the address itself
    metrics.REQUEST_SECONDS.labels(scope["method"], route, status).observe(seconds)
    logs.get(__name__).info(
        "request",
        method=scope["method"],
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 1),
    )


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SAFE_ID.fullmatch(value.decode("latin-1")):
            return str(value.decode("latin-1"))
    return None


class BodyLimit:
    """Refuses a body that is longer than its route may take, while it arrives and not after."""

    def __init__(self, app: ASGIApp, *, large: dict[str, int]) -> None:
        self._app, self._large = app, large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._large.get(scope["path"], SMALL_BODY)
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise TooLarge(f"请求超过 {limit} 字节；请分批发送", limit=limit)
            return message

        await self._app(scope, receive_bounded, send)


async def read_body(request: Request) -> bytes:
    """The whole body; `BodyLimit` has bounded it."""
    return await request.body()


Body = Annotated[bytes, Depends(read_body)]
