"""How an explorer gets into a page: markup, style, script and data, with arrays as text. Nothing is fetched.

Markup, style and scripts lie beside this file: Jupyter Book adds a script that lies anywhere below `_static/` to every
page. What the scripts share is in `matrix.js`, and all of them share one style, `explorer.css`.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

LEVELS = 255  # steps of a stored similarity, from 0 to the largest that the picture has a colour for

SIMILARITY_COLOURS, WEIGHT_COLOURS = "magma", "RdBu_r"  # both remain readable without seeing red or green
SQUARE_ROOT = 0.5  # power of the share of the largest: most similarities are small, and would be black


def embedded(name: str, data: Mapping[str, Any], *, scripts: tuple[str, ...]) -> str:
    """HTML of an explorer.

    Args:
        name: of its markup, of the element with its data, "<name>-data", and of its own script, which comes last.
        data: ready for JSON.
        scripts: names of those that its own script builds on. All of them run in one function, and leave no name.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # no end tag inside
    script = "".join(_beside(f"{script}.js") for script in (*scripts, name))
    return (
        f"<style>\n{_beside('explorer.css')}</style>\n{_beside(f'{name}.html')}"
        f'<script type="application/json" id="{name}-data">{text}</script>\n'
        f'<script>\n(() => {{\n"use strict";\n{script}}})();\n</script>\n'
    )


def text_of(array: np.ndarray) -> str:
    """Whole numbers from 0 to 255 as bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode("ascii")


def levels_of(matrix: np.ndarray, *, largest: float) -> np.ndarray:
    """The upper triangle without the diagonal, row by row, as round(255 S_ij / largest); 0 where the largest is 0.

    >>> levels_of(np.array([[0.0, 0.2, 0.4], [0.2, 0.0, 0.1], [0.4, 0.1, 0.0]]), largest=0.4)
    array([128, 255,  64], dtype=uint8)
    """
    upper = matrix[np.triu_indices(len(matrix), 1)]
    return np.asarray(np.round(LEVELS * (upper / largest if largest > 0 else upper)), dtype=np.uint8)


def colours(name: str, *, power: float = 1.0) -> np.ndarray:
    """RGB values of the 256 levels by a colour map, which is looked up at (level / 255) ** power."""
    shares = (np.arange(256) / 255) ** power
    return np.asarray(np.round(255 * matplotlib.colormaps[name](shares)[:, :3]), dtype=np.uint8)


def _beside(file: str) -> str:
    return Path(__file__).with_name(file).read_text(encoding="utf-8")
