"""How the cluster is, for those who run it."""

from typing import NamedTuple

from app.search.opensearch.engine import OpenSearchIndex
from app.search.opensearch.nodes import Nodes

WITHIN = 3.0  # seconds


class Health(NamedTuple):
    """Whether all is well, and what to do if it is not. Searches may still be answered when it is not."""

    is_ok: bool
    detail: str


def look(index: OpenSearchIndex) -> Health:
    """Look at every node and every index of ours; raises `ClusterAway`."""
    nodes = index.nodes
    nodes.look()
    silent = nodes.silent()
    answer = nodes.ask(
        "GET", f"/_cluster/health/{index.prefix}-*", params={"timeout": "1s"}, within=WITHIN
    )
    problems = []
    if silent:
        names = "、".join(node.name for node in silent)
        problems.append(f"节点没有应答：{names}，请检查")
    if answer["status"] == "red":
        problems.append("有分片丢失，检索会报错：请恢复节点或快照，或运行 liuhen rebuild search")
    if answer["status"] == "yellow":
        problems.append(
            f"{answer['unassigned_shards']} 个副本未就位，此时再失去节点会丢失分片；等待自动恢复或补充节点"
        )
    problems += _blocks(nodes, index.prefix)
    count = f"{answer['number_of_nodes']} 个节点"
    return Health(not problems, "；".join([count, *problems]))


def _blocks(nodes: Nodes, prefix: str) -> list[str]:
    found = nodes.ask(
        "GET",
        f"/{prefix}-*/_settings",
        params={"filter_path": "*.settings.index.blocks"},
        within=WITHIN,
    )
    blocks = [each["settings"]["index"]["blocks"] for each in found.values()]
    if any(each.get("read_only_allow_delete") == "true" for each in blocks):
        return ["磁盘将满，索引已只读，新消息暂不可检索：请腾出空间，之后自动恢复"]
    if any(each.get(name) == "true" for each in blocks for name in ("write", "read_only")):
        return ["索引被设为只读，新消息暂不可检索：请解除索引的写入限制"]
    return []
