"""What `liuhen lexicon …` can ask of a data folder, beside the operations of `app.operate`.

The caller is the local operator. He is no second person: he approves only by taking it on himself with a reason.
"""

import base64
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import ValidationError

from app import worker
from app.access import OPERATOR, Event, record
from app.bootstrap import Services
from app.foundation import clock
from app.foundation.errors import BadInput, Conflict
from app.screening import backtests, lexicons, tables
from app.screening.backtests import BacktestState, Period, Run
from app.screening.versions import State
from app.screening.views import (
    PeriodIn,
    backtest_out,
    diff_out,
    import_out,
    one_out,
    version_out,
)

Answer: TypeAlias = dict[str, Any]
Progress: TypeAlias = Callable[[int, int], None]
MOST = 1000  # versions listed
LOOK_EVERY = 0.2  # seconds between two looks at a back-test that somebody else runs
PATIENCE = 60_000  # ms without progress before this process helps
SPELL = 500  # ms of slices between two reports


def list_lexicons(services: Services) -> Answer:
    """All versions, newest first."""
    services.lexicons.released.begin()
    with services.db.write() as connection:
        record(connection, Event.LEXICON_READ, OPERATOR)
        found = lexicons.page(connection, before=None, limit=MOST)
    return {"items": [version_out(each).model_dump(mode="json") for each in found]}


def show_lexicon(services: Services, name: str) -> Answer:
    """A version with its history and back-tests."""
    shown = one_out(services.lexicons, OPERATOR, name).model_dump(mode="json")
    with services.db.read() as connection:
        found = backtests.of_version(connection, lexicons.one(connection, shown["id"]))
    return {**shown, "backtests": [_shown(services, each) for each in found]}


def diff_lexicons(services: Services, old: str, new: str) -> Answer:
    """What one version changes against another."""
    return diff_out(services.lexicons, OPERATOR, old, new).model_dump(mode="json")


def draft_lexicon(services: Services, files: dict[str, str], note: str) -> Answer:
    """A draft of a complete set of files."""
    base = services.lexicons.files(OPERATOR, State.RELEASED)
    given = {**dict.fromkeys(base), **files}
    made = services.lexicons.draft(OPERATOR, given, based_on=State.RELEASED, note=note)
    return one_out(services.lexicons, OPERATOR, made.id).model_dump(mode="json")


def import_lexicon(services: Services, document: str, based_on: str, note: str) -> Answer:
    """A draft with the phrases of a table; bytes as `latin-1`."""
    lines = tables.read_table(document.encode("latin-1"))
    made, imported = services.lexicons.import_table(OPERATOR, lines, based_on=based_on, note=note)
    return import_out(made, imported).model_dump(mode="json")


def export_lexicon(services: Services, name: str, form: str) -> Answer:
    """The phrases of a version as a table, in base 64."""
    lines = services.lexicons.table(OPERATOR, name)
    data = tables.write_xlsx(lines) if form == "xlsx" else tables.write_csv(lines)
    return {"document": base64.b64encode(data).decode(), "count": len(lines)}


def approve_lexicon(
    services: Services, name: str, reason: str, override: str, *, as_operator: bool
) -> Answer:
    """Approve at the server itself, which needs a reason."""
    made = services.lexicons.approve(
        OPERATOR, name, note=reason, override=override, as_operator=as_operator
    )
    return version_out(made).model_dump(mode="json")


def reject_lexicon(services: Services, name: str, reason: str) -> Answer:
    """Refuse a version."""
    return version_out(services.lexicons.reject(OPERATOR, name, reason)).model_dump(mode="json")


def release_lexicon(services: Services, name: str, note: str) -> Answer:
    """Put an approved or retired version in force."""
    made = services.lexicons.release(OPERATOR, name, note=note)
    return version_out(made).model_dump(mode="json")


def backtest_lexicon(
    services: Services,
    name: str,
    period: Answer,
    on_progress: Progress,
    staff: worker.Staff | None,
) -> Answer:
    """Back-test a version to its end, or join the back-test of it that is running."""
    version = services.lexicons.one(name)
    run = _unfinished(services, version.id, BacktestState.RUNNING) or backtests.start(
        services.db, OPERATOR, version.id, _period(period)
    )
    return _shown(services, _watched(services, run, on_progress, staff))


def resume_backtest(
    services: Services, name: str, on_progress: Progress, staff: worker.Staff | None
) -> Answer:
    """Go on with the stopped back-test of a version."""
    run = _expected(services, name, BacktestState.STOPPED)
    run = backtests.resume(services.db, OPERATOR, run.id)
    return _shown(services, _watched(services, run, on_progress, staff))


def stop_backtest(services: Services, name: str) -> Answer:
    """Stop the running back-test of a version."""
    run = _expected(services, name, BacktestState.RUNNING)
    return _shown(services, backtests.stop(services.db, OPERATOR, run.id))


OPERATIONS: dict[str, Callable[..., Answer]] = {
    operation.__name__: operation
    for operation in (
        list_lexicons,
        show_lexicon,
        diff_lexicons,
        draft_lexicon,
        import_lexicon,
        export_lexicon,
        approve_lexicon,
        reject_lexicon,
        release_lexicon,
        backtest_lexicon,
        resume_backtest,
        stop_backtest,
    )
}
NOT_TWICE = frozenset(
    {"draft_lexicon", "import_lexicon", "approve_lexicon", "reject_lexicon", "release_lexicon"}
)


def _watched(
    services: Services, run: Run, on_progress: Progress, staff: worker.Staff | None
) -> Run:
    """Wait for the end of a back-test; do it here where no worker does."""
    db, compile_version = services.db, services.lexicons.released.compile
    moved = clock.now_ms()
    while run.state is BacktestState.RUNNING:
        if staff is None or clock.now_ms() > moved + PATIENCE:
            backtests.work_on(db, compile_version, run.id, SPELL)
        else:
            time.sleep(LOOK_EVERY)
        with db.read() as connection:
            now = backtests.one(connection, run.id)
        moved = clock.now_ms() if now.done > run.done else moved
        run = now
        on_progress(run.done, run.total)
    return run


def _unfinished(services: Services, name: str, state: BacktestState) -> Run | None:
    with services.db.read() as connection:
        found = backtests.of_version(connection, lexicons.one(connection, name))
    return next((each for each in found if each.state is state), None)


def _expected(services: Services, name: str, state: BacktestState) -> Run:
    found = _unfinished(services, services.lexicons.one(name).id, state)
    if found is None:
        raise Conflict(f"这个版本没有状态为 {state} 的回测")
    return found


def _period(given: Answer) -> Period:
    try:
        return Period(**PeriodIn(**given).model_dump())
    except ValidationError as error:
        places = "、".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise BadInput(f"请检查：{places}（时间须为 ISO 8601，含时区）") from None


def _shown(services: Services, run: Run) -> Answer:
    return backtest_out(run, services.lexicons.alert_share, OPERATOR).model_dump(mode="json")
