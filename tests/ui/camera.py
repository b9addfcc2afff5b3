"""Pictures of what the tests see, for the documentation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize

#: A form that opens over a page.
FORM: FloatRect = {"x": 152, "y": 64, "width": 896, "height": 686}
#: The same, once it is scrolled to its end.
END_OF_FORM: FloatRect = {**FORM, "y": 62, "height": 624}
#: What is beside the list of runs, in a window so wide that Airflow's tabs stay in one line.
WIDE_WINDOW: ViewportSize = {"width": 1320, "height": 750}
QUESTION: FloatRect = {"x": 338, "y": 62, "width": 972, "height": 520}


def details(height: int) -> FloatRect:
    """Return what is beside the list of runs, which is too narrow here to show the newest."""
    return {"x": 313, "y": 62, "width": 887, "height": height}


@dataclass
class Camera:
    """Takes pictures of a page, with few colours, so that they stay small."""

    page: Page
    folder: Path

    def take(self, name: str, clip: FloatRect | None = None) -> None:
        """Write the page as it is now, or the part of it in ``clip``, to ``ui-name.png``."""
        png = self.page.screenshot(clip=clip, animations="disabled")
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        # The other methods give up a colour that is rare, such as that of a few letters.
        method = Image.Quantize.MAXCOVERAGE
        few_colours = picture.quantize(256, method=method, dither=Image.Dither.NONE)
        few_colours.save(self.folder / f"ui-{name}.png", optimize=True)
