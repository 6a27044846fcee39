"""Parts of the library that not everybody needs, and the word where what they take is not installed."""

from importlib.util import find_spec


class ExtraMissing(ImportError):
    """A part of the library is used without what it takes; the message says what to install."""


def need_extra(extra: str, what: str, *packages: str) -> None:
    """Raise ExtraMissing, before any work, unless these packages are there. None of them is loaded for that.

    Args:
        extra: one of the optional dependencies of pyproject.toml.
        what: what takes the packages, with its verb, as the sentence begins.
        packages: their names in `import`.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        listed = missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1])} and {missing[-1]}"
        raise ExtraMissing(
            f'{what} {listed}, not installed here. Install what belongs to it: pip install "modularity-lib[{extra}]"'
        )
