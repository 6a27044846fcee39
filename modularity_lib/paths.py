"""Where the project lies."""

from pathlib import Path


def checkout() -> Path:
    """The root folder of the checkout: what is beside `modularity_lib/`, such as `data/` and `chapters/`."""
    return Path(__file__).resolve().parents[1]
