"""The cluster's engine as its followers use it, under the embedded engine's methods.

The followers read every message and note from the archive; here two dictionaries stand for it. A search
first refreshes, so that a test finds at once what it wrote.
"""

from collections.abc import Sequence
from typing import Any

from app.search.domain import Document, Note
from app.search.opensearch import Access, OpenSearchIndex


class FollowedIndex(OpenSearchIndex):
    """`write` and `annotate` as `EmbeddedIndex` has them."""

    def __init__(self, access: Access, *, prefix: str, timeout: float) -> None:
        super().__init__(access, prefix=prefix, timeout=timeout)
        self._documents: dict[tuple[int, int], Document] = {}
        self._notes: dict[tuple[int, int], Note] = {}
        self._version = 1
        self._is_dirty = False

    def write(  # type: ignore[override]
        self, corp_id: int, after: int, documents: Sequence[Document], upto: int
    ) -> None:
        """Remember the messages and write them with their notes."""
        self._documents |= {(corp_id, document.seq): document for document in documents}
        notes = {
            document.seq: note
            for document in documents
            if (note := self._notes.get((corp_id, document.seq)))
        }
        super().write(corp_id, after, documents, upto, notes=notes, version=self._version)
        self._is_dirty = True

    def annotate(  # type: ignore[override]
        self, corp_id: int, notes: Sequence[Note], *, stream: str, after: int, upto: int
    ) -> None:
        """Remember the notes and write their messages again."""
        self._version += 1
        latest = {note.seq: note for note in notes}
        self._notes |= {(corp_id, seq): note for seq, note in latest.items()}
        super().annotate(
            corp_id,
            latest,
            [self._documents[corp_id, seq] for seq in latest if (corp_id, seq) in self._documents],
            stream=stream,
            after=after,
            upto=upto,
            version=self._version,
        )
        self._is_dirty = True

    def ask_every_shard(self, body: dict[str, Any], wanted: str) -> dict[str, Any]:
        """The engine's, after a refresh where something was written."""
        if self._is_dirty:
            self.refresh()
            self._is_dirty = False
        return super().ask_every_shard(body, wanted)

    def reset(self) -> None:
        """The engine's, of what it was told too."""
        super().reset()
        self._documents.clear()
        self._notes.clear()

    @staticmethod
    def sweep(url: str, prefix: str) -> None:
        """Delete everything under a prefix."""
        index = OpenSearchIndex(Access((url,)), prefix=prefix)
        index.drop_others(0)
        index._delete(f"/{prefix}-state")
        index.close()
