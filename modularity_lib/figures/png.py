"""A figure as a file that a page shows."""

import io

from matplotlib.figure import Figure
from PIL import Image

_COLOURS = 256  # as many as a PNG file holds in a byte for each dot


def png_of(figure: Figure) -> bytes:
    """A PNG file of a figure, trimmed, of at most 256 colours: that takes a third of the bytes of all colours."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", bbox_inches="tight", dpi="figure")
    file = io.BytesIO()
    picture = Image.open(drawn).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(file, format="png", optimize=True)
    return file.getvalue()
