"""How to cite the project and the paper: text and BibTeX from CITATION.cff, the one place where this is written.

The directive `cite-this` (see extension.py) puts it on a page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

FILE = "CITATION.cff"


def citation_markdown(root: Path) -> str:
    """Markdown: for the project and then for the paper what to write, and the same as BibTeX.

    Args:
        root: folder of CITATION.cff.
    Raises:
        ValueError: the file names no paper that is reproduced.
    """
    said = yaml.safe_load((root / FILE).read_text(encoding="utf-8"))
    papers = said.get("references", [])
    if len(papers) != 1:
        raise ValueError(f"{FILE} must name one paper under references, got {len(papers)}.")
    return "\n\n".join([said["message"].strip(), _shown("This project", said), _shown("The paper", papers[0])])


def _shown(what: str, entry: Mapping[str, Any]) -> str:
    names = [_name(author) for author in entry["authors"]]
    year = entry.get("year") or str(entry.get("date-released", ""))[:4]
    kind = "article" if "journal" in entry else "software"
    where = entry.get("journal") or f"version {entry['version']}, {entry['license']} licence"
    links = _links(entry)
    linked = "".join(f" [{text}]({address})." for text, address in links.items())
    dated = f" ({year})" if year else ""
    fields = {
        "author": " and ".join(f"{{{name}}}" if "," not in name else name for name in names),
        "title": f"{{{entry['title']}}}",
        "journal": entry.get("journal"),
        "version": entry.get("version"),
        "year": year,
        "url": next(iter(links.values()), None),
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    key = "lange2022" if kind == "article" else "modularity_lib"
    return (
        f"**{what}.** {'; '.join(names)}{dated}: *{entry['title']}.* {where}.{linked}\n\n"
        f"```bibtex\n@{kind}{{{key},\n{lines}\n}}\n```"
    )


def _name(author: Mapping[str, str]) -> str:
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def _links(entry: Mapping[str, Any]) -> dict[str, str]:
    """Addresses by the text that leads there."""
    found = {entry["url"].split("://")[1].split("/")[0]: entry["url"]} if "url" in entry else {}
    identifiers: Sequence[Mapping[str, str]] = entry.get("identifiers", [])
    for one in identifiers:
        if one["value"].startswith("arXiv:"):
            found[one["value"]] = f"https://arxiv.org/abs/{one['value'].removeprefix('arXiv:')}"
    return found
