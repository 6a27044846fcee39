"""Where the project lies, and whether all of it is there: the installed package is the library and the digits alone."""

from pathlib import Path


class CheckoutNeeded(RuntimeError):
    """What was asked for is in the project's repository, and here is the installed package alone."""


def checkout() -> Path:
    """The root folder of the checkout: what is beside `modularity_lib/`, such as `data/` and `chapters/`."""
    return Path(__file__).resolve().parents[1]


def is_checkout() -> bool:
    """Whether the library lies in a checkout; else it was installed without what is beside it."""
    return (checkout() / "_toc.yml").exists()


def need_checkout(what: str) -> None:
    """Raise CheckoutNeeded, before any work, where the library is installed without what is beside it.

    Args:
        what: what needs it, as the sentence begins.
    """
    if not is_checkout():
        raise CheckoutNeeded(
            f"{what} needs a checkout of the project's repository, for its chapters and shipped results: the library "
            f"in {checkout()} was installed without them. Take a copy of the repository, run `make install` there, and "
            "use its .venv/bin/modularity."
        )
