"""What the product asks of a search engine: the embedded one and the cluster's answer alike."""

from datetime import tzinfo
from typing import Protocol

from app.search.domain import Count, Facets, Page, Row
from app.search.filters import Filters
from app.search.tree import Query


class SearchEngine(Protocol):
    """Answers searches; how it is filled is between each engine and its followers."""

    def search(
        self,
        query: Query | None,
        filters: Filters,
        limit: int = 50,
        cursor: str | None = None,
        count: Count = "capped",
    ) -> Page:
        """One page of the messages that match, in `filters.order`, with the total of all pages.

        Raises `BadCursor`, and `Unavailable` where it cannot answer in full or in time.
        """
        ...

    def mark_after(self, query: Query | None, filters: Filters, row: Row) -> str:
        """The page mark by which this very search goes on after a row that it gave."""
        ...

    def facets(self, query: Query | None, filters: Filters, zone: tzinfo) -> Facets:
        """What a search finds, counted by adviser, department, category and month of `zone`."""
        ...

    def position(self, corp_id: int) -> int:
        """Up to which number the log of this corp can be searched."""
        ...

    def check(self) -> tuple[str, ...]:
        """What is wrong with the index, in words; empty when it is sound."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
