"""The page of explanations: one self-contained HTML file, several answers on it, in the report's manner. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harken.data.whole import whole
from harken.evaluate.explain.shown import Explained, longest_bars
from harken.evaluate.report import templates


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Attributes:
        title: of the page.
        subtitle: what was explained, in one sentence.
        explained: the answers.
        blanks: what stood in the place of what was blanked, in plain words.
    """

    title: str
    subtitle: str
    explained: Sequence[Explained]
    blanks: str = ""


def write_page(path: Path, page: Page) -> Path:
    """Write the page; it is whole or it is not there. The same page gives the same bytes.

    Args:
        path: of the HTML file; its folder is made when missing.
        page: what to show.
    """
    # A model may emit half of a surrogate pair; the page shows it as "?".
    template = templates().get_template("explain.html.jinja")
    data = template.render(page=page, longest=longest_bars(page.explained)).encode("utf-8", errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as out:
        out.write(data)
    return path
