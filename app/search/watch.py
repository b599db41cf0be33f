"""Counts the saved searches that somebody wants to be told of, each with its owner's scope of that moment."""

from app.access import Access, Action, Event, record
from app.foundation import logs
from app.foundation.database import Database
from app.foundation.errors import AppError, BadInput, NotSignedIn, Unavailable
from app.search import saved
from app.search.finder import Finder
from app.search.saved import Saved


def count_watched(db: Database, access: Access, finder: Finder) -> int:
    """Count them all once; gives how many have just reached their number. An engine away ends the round.

    A search that cannot be run any more (its owner is gone, a person it names was removed) keeps its last count.
    """
    with db.read() as connection:
        found = saved.watched(connection)
    reached = 0
    for each in found:
        try:
            reached += _count(db, access, finder, each)
        except Unavailable:
            break
        except (BadInput, NotSignedIn) as error:
            logs.get(__name__).warning("saved_search_not_run", search=each.id, code=error.code)
        except AppError as error:
            logs.get(__name__).error("saved_search_failed", search=each.id, code=error.code)
    return reached


def _count(db: Database, access: Access, finder: Finder, each: Saved) -> bool:
    caller = access.identify_user(each.owner).caller(Action.SEARCH)
    if not caller.may(Action.SEARCH):
        raise NotSignedIn
    with db.write() as connection:
        record(connection, Event.MESSAGE_SEARCH, caller, each.id, watching=True)
    total = finder.total(each.wanted, caller.scope)
    with db.write() as connection:
        return saved.note_total(connection, each, total)
