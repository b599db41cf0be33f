"""The HTTP application: every room's routes, one error shape, health and metrics."""

from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

import app.access.api
import app.advice.api
import app.advice.own_api
import app.archive.api
import app.capture.api
import app.evidence.api
import app.evidence.exports_api
import app.oversight.api
import app.oversight.events
import app.oversight.figures_api
import app.oversight.lead_api
import app.oversight.learning_api
import app.oversight.routing_api
import app.people.api
import app.retention.api
import app.screening.api
import app.search.api
import app.search.saved_api
from app import __version__, health, worker
from app.access.api import Gate
from app.bootstrap import Services, warnings_of
from app.capture.envelope import content_of
from app.foundation import http, metrics
from app.foundation.errors import BadInput
from app.foundation.http import PROBLEMS, BodyLimit

API = "/api/v1"
_LARGE = ("/messages", "/wecom/messages", "/people/import", "/lexicons", "/lexicons/import")


class NulInAddress(BadInput):
    """The path or the query holds a NUL."""

    code = "nul_in_address"
    title = "地址中不能有 NUL 字符"


def create_app(services: Services, staff: worker.Staff | None = None) -> FastAPI:
    """Build the application over opened services; `staff` are the followers of this process."""
    application = FastAPI(
        title="留痕 Liuhen",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
    )
    gate = Gate(services.access)
    application.include_router(_rooms(services, gate), prefix=API)
    application.include_router(_health(services, gate, staff))
    large = {API + path: services.settings.ingest_max_bytes for path in _LARGE}
    application.add_middleware(BodyLimit, large=large)
    application.add_middleware(PlainAddress)
    http.install(application)
    return application


class PlainAddress:
    """Refuses NUL in an address: no id and no filter holds one, and PostgreSQL cannot compare with it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        is_plain = scope["type"] != "http" or not (
            "\0" in scope["path"] or b"%00" in scope["query_string"]
        )
        app = self._app if is_plain else http.problem(NulInAddress(), scope["request_id"])
        await app(scope, receive, send)


def _rooms(services: Services, gate: Gate) -> APIRouter:
    db = services.db
    router = APIRouter()
    for routes in (
        app.access.api.routes(services.access, gate),
        app.people.api.routes(services.people, gate),
        app.capture.api.routes(services.capture, db, gate),
        app.search.api.routes(db, services.finder, ZoneInfo(services.settings.time_zone), gate),
        app.search.saved_api.routes(db, services.finder, gate),
        app.archive.api.routes(db, services.keyring, content_of, gate),
        app.oversight.api.routes(db, warnings_of, gate),
        app.oversight.figures_api.routes(db, services.settings.calendar.zone, gate),
        app.oversight.events.routes(db, gate),
        app.oversight.routing_api.routes(db, services.notifier, gate),
        app.oversight.lead_api.routes(db, gate),
        app.oversight.learning_api.routes(db, services.lexicons, gate),
        app.advice.api.routes(services.advice, gate),
        app.advice.own_api.routes(db, services.lexicons, warnings_of, gate),
        app.screening.api.routes(services.lexicons, gate),
        app.evidence.api.routes(
            db, services.keyring, services.signer, services.settings.log_origin, gate
        ),
        app.evidence.exports_api.routes(db, services.builder, gate),
        app.retention.api.routes(
            db, services.disposals, services.self_check, services.settings, gate
        ),
    ):
        router.include_router(routes)
    return router


def _health(services: Services, gate: Gate, staff: worker.Staff | None) -> APIRouter:
    router = APIRouter(tags=["运行"], dependencies=[gate.open()])

    @router.get("/", include_in_schema=False)
    def root() -> RedirectResponse:
        return RedirectResponse(f"{API}/openapi.json")

    @router.get("/healthz", summary="进程存活")
    def healthz() -> dict[str, str]:
        return {"status": "alive", "version": __version__}

    @router.get("/readyz", summary="可以接收")
    def readyz() -> JSONResponse:
        parts = health.parts(services, staff)
        is_ready = all(part.is_ok for part in parts if part.is_needed)
        body = {"ready": is_ready, "parts": {part.name: part.shown() for part in parts}}
        return JSONResponse(body, 200 if is_ready else 503)

    @router.get("/metrics", summary="Prometheus 指标", response_class=Response)
    def read_metrics() -> Response:
        health.measure(services)
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    return router
