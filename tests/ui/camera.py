"""Pictures of what the tests see, for the documentation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page

#: What a page has beside the list of runs, which is too narrow here to show the newest.
DETAILS: FloatRect = {"x": 304, "y": 62, "width": 896, "height": 688}


@dataclass
class Camera:
    """Takes pictures of a page, with few colours, so that they stay small."""

    page: Page
    folder: Path

    def take(self, name: str, clip: FloatRect | None = None) -> None:
        """Write the page as it is now, or the part of it in ``clip``, to ``ui-name.png``."""
        png = self.page.screenshot(clip=clip, animations="disabled")
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        few_colours = picture.quantize(128, dither=Image.Dither.NONE)
        few_colours.save(self.folder / f"ui-{name}.png", optimize=True)
