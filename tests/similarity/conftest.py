"""What the tests of similarity share."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def seeded() -> Iterator[None]:
    """The same random weights in every test, without a trace in the random state of the others."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
