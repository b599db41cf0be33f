"""Whether the parts work: for `/readyz`, `/metrics` and `liuhen doctor`."""

import shutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

from app import worker
from app.archive import quarantine
from app.bootstrap import Services
from app.foundation import jobs, metrics
from app.foundation.errors import AppError
from app.foundation.followers import take_lease
from app.search.embedded import EmbeddedIndex
from app.search.opensearch import health as cluster_health

LEAST_FREE_BYTES = 512 * 1024 * 1024


class Part(NamedTuple):
    """One part's state. Without a needed part nothing can be accepted."""

    name: str
    is_ok: bool
    is_needed: bool
    detail: str

    def shown(self) -> dict[str, object]:
        """As JSON shows it."""
        return {"ok": self.is_ok, "detail": self.detail}


def parts(services: Services, staff: worker.Staff | None) -> list[Part]:
    """Look at every part now."""
    return [
        _tried("database", lambda: _database(services)),
        _tried("search", lambda: _lag(services)),
        _index(services),
        *_cluster(services),
        _disk(services),
        *_followers(staff),
    ]


def measure(services: Services) -> None:
    """Bring the gauges up to date; what cannot be read keeps its last value."""
    try:
        worker.lags(services)
        with services.db.read() as connection:
            for (kind, state), count in jobs.counts(connection).items():
                metrics.JOBS.labels(kind, state).set(count)
            metrics.QUARANTINED.set(quarantine.waiting(connection))
    except AppError:
        return


def _tried(name: str, look: Callable[[], str]) -> Part:
    try:
        return Part(name, is_ok=True, is_needed=name == "database", detail=look())
    except AppError as error:
        detail = error.detail or error.title
        return Part(name, is_ok=False, is_needed=name == "database", detail=detail)


def _database(services: Services) -> str:
    # a row of its own, for a full or read-only database refuses only what is written
    name = f"readyz {services.holder}"[:64]
    take_lease(services.db, name, services.holder)
    return "SQLite" if services.db.is_sqlite else "PostgreSQL"


def _lag(services: Services) -> str:
    return "，".join(f"{name} 落后 {lag} 条" for name, lag in worker.lags(services).items())


def _index(services: Services) -> Part:
    """What care has found of the index, and how far a rebuild is."""
    health, progress = services.care.health, services.rebuilder.progress
    words = []
    if progress is not None:
        words.append(f"正在重建：{progress.done}/{progress.total}，期间由旧索引应答")
    if health.renewed_at is not None:
        words.append(f"索引文件曾丢失或损坏，{health.renewed_at:%Y-%m-%d %H:%M} UTC 起重新建立")
    if health.missed:
        found = "、".join(health.missed[:3])
        words.append(f"自检漏查 {len(health.missed)} 条（{found}），请运行 liuhen rebuild search")
    words += health.faults
    is_ok = not health.missed and not health.faults
    return Part("index", is_ok, is_needed=False, detail="；".join(words) or "正常")


def _cluster(services: Services) -> Iterator[Part]:
    """The nodes of the search cluster, where there is one."""
    index = services.index
    if isinstance(index, EmbeddedIndex):
        return
    try:
        found = cluster_health.look(index)
    except AppError as error:
        found = cluster_health.Health(is_ok=False, detail=error.detail or error.title)
    yield Part("search_cluster", found.is_ok, is_needed=False, detail=found.detail)


def _disk(services: Services) -> Part:
    free = shutil.disk_usage(services.settings.data).free
    detail = f"剩余 {free // 1024 // 1024} MB"
    return Part("disk", is_ok=free > LEAST_FREE_BYTES, is_needed=False, detail=detail)


def _followers(staff: worker.Staff | None) -> Iterator[Part]:
    failures = staff.failures() if staff else {}
    for name, failure in failures.items():
        yield Part(f"follower:{name}", is_ok=False, is_needed=False, detail=failure)
