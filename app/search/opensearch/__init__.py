"""Search on an OpenSearch cluster: the same meaning, tokens, filters and answers as the embedded engine.

A lost shard is an error and never a smaller total; a hung node is passed over; a write may be repeated any number
of times. The archive goes on without the cluster, and the followers catch up when it is back.
"""

from app.search.opensearch.engine import OpenSearchIndex
from app.search.opensearch.follower import ClusterFollower, ClusterNotesFollower
from app.search.opensearch.nodes import Access, ClusterAway

__all__ = ["Access", "ClusterAway", "ClusterFollower", "ClusterNotesFollower", "OpenSearchIndex"]
