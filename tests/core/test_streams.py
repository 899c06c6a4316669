"""Named streams: every name its own chance, the same on every machine."""

import itertools

import numpy as np
import torch

from feint.core.streams import numpy_stream, seed_of, stream
from feint.testing.promises import global_generators_untouched


def test_seeds_are_pinned():
    """A saved run is reproduced only while these stay; sha256 makes them the same on every machine."""
    assert seed_of(0) == 3456079177858693020
    assert seed_of(0, "augment", 1) == 6338397941899175506


def test_names_seeds_and_their_order_all_matter():
    names = [
        (0,),
        (1,),
        (0, "a"),
        (0, "b"),
        (0, "a", "b"),
        (0, "b", "a"),
        (0, "ab"),
        (0, "a", 1),
        (0, "a1"),
        (10,),
        (1, 0),
    ]
    seeds = [seed_of(*each) for each in names]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= each < 2**63 for each in seeds)


def test_equal_names_give_equal_draws_and_others_do_not():
    draws = [torch.rand(8, generator=stream(*each)) for each in [(0, "a"), (0, "b"), (1, "a")]]
    assert torch.equal(draws[0], torch.rand(8, generator=stream(0, "a")))
    assert not any(torch.equal(x, y) for x, y in itertools.combinations(draws, 2))
    assert np.array_equal(numpy_stream(0, "a").random(8), numpy_stream(0, "a").random(8))
    assert not np.array_equal(numpy_stream(0, "a").random(8), numpy_stream(0, "b").random(8))


def test_streams_leave_the_global_generators_alone():
    with global_generators_untouched("a stream"):
        torch.rand(3, generator=stream(0, "a"))
        numpy_stream(0, "a").random(3)
