"""What Prometheus reads at /metrics: every metric of the product, named `liuhen_…`."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

MESSAGES = Counter(
    "liuhen_messages", "Messages handed in, by outcome", ["status"], registry=REGISTRY
)
COMMIT_SECONDS = Histogram(
    "liuhen_commit_seconds",
    "Time from taking the door to the durable commit",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "liuhen_request_seconds",
    "Time to answer, by route",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
    registry=REGISTRY,
)
FOLLOWER_RECORDS = Counter(
    "liuhen_follower_records", "Records a follower has dealt with", ["follower"], registry=REGISTRY
)
FOLLOWER_LAG = Gauge(
    "liuhen_follower_lag", "Records a follower has still ahead", ["follower"], registry=REGISTRY
)
FOLLOWER_FAILING = Gauge(
    "liuhen_follower_failing", "1 while a follower cannot go on", ["follower"], registry=REGISTRY
)
JOBS = Gauge("liuhen_jobs", "Jobs by kind and state", ["kind", "state"], registry=REGISTRY)
QUARANTINED = Gauge(
    "liuhen_quarantine_waiting", "Inputs in quarantine nobody has dealt with", registry=REGISTRY
)
SEARCH_CHECKED = Counter(
    "liuhen_search_checked", "Archived messages searched for to check the index", registry=REGISTRY
)
SEARCH_MISSED = Counter(
    "liuhen_search_missed", "Archived messages that this check did not find", registry=REGISTRY
)
SEARCH_RENEWED = Counter(
    "liuhen_search_renewed", "Times a lost or damaged index began anew", registry=REGISTRY
)
RETRIEVABLE = Gauge(
    "liuhen_self_check",
    "Records drawn by the last self-check, and how many of them were retrievable",
    ["records"],
    registry=REGISTRY,
)


def exposition() -> bytes:
    """Everything in Prometheus' text format."""
    return generate_latest(REGISTRY)
