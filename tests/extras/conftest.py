"""A real Ray cluster of two nodes on this machine."""

from collections.abc import Iterator
from typing import Any

import pytest

MEMORY = 100 * 2**20


class TwoNodes:
    """A cluster of a head and one other node with one core each, to which more can be added."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False},
        )
        self.address: str = self.cluster.address
        self.other = self.add()

    def add(self) -> Any:
        """Start one more node and return it."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=MEMORY)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    """Return a cluster of two nodes, ended afterwards."""
    nodes = TwoNodes()
    yield nodes
    nodes.cluster.shutdown()
