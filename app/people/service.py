"""People as the entries use them: import with its report, and lists within a caller's scope."""

from app.foundation.database import Database
from app.foundation.settings import Settings


class People:
    """The room's service."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
