"""Counting what a search finds by adviser, department, category and month: one aggregation, no page. Pure functions."""

from datetime import tzinfo
from typing import Any

from app.search import fts
from app.search.domain import FACET_ROWS, Facets
from app.search.opensearch import layout

MOST = 10_000  # values that every shard tells of, so that the sums of the shards are right
WANTED = "hits.total,aggregations"


def body(query: dict[str, Any], zone: tzinfo) -> dict[str, Any]:
    """What to ask."""
    return {
        "query": query,
        "size": 0,
        "track_total_hits": True,
        "aggs": {
            "advisers": _values("tags", f"{fts.EMPLOYEE}.*", FACET_ROWS),
            "departments": _values("tags", f"{fts.DEPARTMENT}.*", MOST),
            "categories": _values("hits", layout.ONLY_CATEGORY, MOST),
            "months": {
                "date_histogram": {
                    "field": "at",
                    "calendar_interval": "month",
                    "time_zone": str(zone),
                    "format": "yyyy-MM",
                    "min_doc_count": 1,
                }
            },
        },
    }


def read(answer: dict[str, Any]) -> Facets:
    """What was answered."""
    found = answer.get("aggregations")
    counted = int(answer["hits"]["total"]["value"])
    if found is None:  # no index yet
        return Facets({}, {}, {}, {}, counted, "eq")
    return Facets(
        advisers={fts.untag(name): number for name, number in _buckets(found["advisers"])},
        departments={
            int(fts.untag(name)): number for name, number in _buckets(found["departments"])
        },
        categories={
            layout.category_of(mark): number for mark, number in _buckets(found["categories"])
        },
        months={
            each["key_as_string"]: each["doc_count"] for each in found["months"].get("buckets", ())
        },
        counted=counted,
        relation="eq",
    )


def _values(field: str, pattern: str, size: int) -> dict[str, Any]:
    return {"terms": {"field": field, "include": pattern, "size": size, "shard_size": MOST}}


def _buckets(aggregation: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["key"], each["doc_count"]) for each in aggregation.get("buckets", ())]
