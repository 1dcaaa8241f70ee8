"""`harken curve`: a reward on what can be measured of media and texts, learnt from more and more of what was said."""

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from harken.cli.options import console
from harken.cli.session import Stop, doors
from harken.data.blobs import Blobs
from harken.evaluate.metrics.calibration import Bin
from harken.evaluate.plots import Series, curves, reliability
from harken.feedback.stats import place_of
from harken.feedback.store import FeedbackStore
from harken.pipeline.described_curve import CurveConfig, described_curve
from harken.pipeline.recipe import merge, over_defaults, override, validate
from harken.pipeline.verbs import read_feedback

app = typer.Typer(add_completion=False)
FOLDER = typer.Argument(..., help="A run's folder, or one that `harken data import` made: feedback.db and blobs/")
SETTINGS = typer.Argument(None, metavar="[KEY=VALUE]...", help="Such as reward.criterion=fluency", show_default=False)
JSON = typer.Option(None, "--json", metavar="FILE", help="Write all figures there too.", show_default=False)
PLOTS = typer.Option(None, "--plots", metavar="FOLDER", help="curve.svg and reliability.svg there.", show_default=False)


@app.command(
    help="Would more answers help? Described rewards (no model, seconds each) learnt from nested subsets of a store's "
    "answers, judged on held-out prompts; accuracy by modality, kind and annotator; calibration. What stands on both "
    "sides is an error unless split.allow names it.\n\n"
    "harken curve runs/speech reward.criterion=fluency split.by=speaker words=false --plots runs/speech/plots\n\n"
    "Keys: sizes=[100,1000] held_out=0.25 seed=0 votes=400 words=true split.by=media (prompt, media, or a fact) "
    "split.facts=[speaker] split.allow=[annotator] reward.criterion=overall reward.heads=8"
)
def curve(
    folder: Path = FOLDER,
    settings: list[str] | None = SETTINGS,
    json_file: Path | None = JSON,
    plots: Path | None = PLOTS,
) -> None:
    """Read, learn, print."""
    with doors(Stop()):
        config = _config(settings or [])
        with FeedbackStore(place_of(str(folder))) as store:
            said = read_feedback(store)
        found = described_curve(said, Blobs(folder / "blobs"), config)
        if json_file is not None:
            json_file.parent.mkdir(parents=True, exist_ok=True)
            json_file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if plots is not None:
            _draw(plots, found)
    _print(console, found)


def _config(settings: list[str]) -> CurveConfig:
    said: dict[str, Any] = {}
    for text in settings:
        said = merge(said, override(text))
    made: CurveConfig = validate(CurveConfig, over_defaults(CurveConfig(), said), "curve")
    return made


def _draw(folder: Path, found: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    points = found["curve"]
    columns = {name: [point[name] for point in points] for name in ("answers", "rate", "low", "high")}
    line = Series("accuracy", columns["answers"], columns["rate"], columns["low"], columns["high"])
    svg = curves([line], "Learning curve", "answers learnt from", "held-out accuracy")
    (folder / "curve.svg").write_text(svg, encoding="utf-8")
    bins = [Bin(**one) for one in found["reliability"]]
    (folder / "reliability.svg").write_text(reliability(bins, "Calibration"), encoding="utf-8")


def _print(out: Console, found: dict[str, Any]) -> None:
    title = f"{found['criterion']}: {found['pairs']} pairs of {found['held_out_prompts']} held-out prompts"
    table = Table(title=title, title_justify="left")
    for name in ("answers", "accuracy (95 % interval)", "calibration error"):
        table.add_column(name, justify="right")
    for point in found["curve"]:
        table.add_row(f"{point['answers']}", _share(point), f"{point['calibration_error']:.3f}")
    out.print(table)
    table = Table(title="The last of these, in parts", title_justify="left")
    for name in ("", "accuracy (95 % interval)", "pairs"):
        table.add_column(name, justify="right" if name else "left")
    for way, parts in found["parts"].items():
        for part, one in parts.items():
            table.add_row(f"{way}: {part}", _share(one), f"{one['pairs']}")
    out.print(table)
    if found["shared"]:
        both = ", ".join(f"{what} {count}" for what, count in found["shared"].items())
        out.print(f"on both sides, as allowed: {both}", highlight=False)
    if found["astride"]:
        out.print(f"{found['astride']} comparisons of a held-out prompt with another one teach and measure nothing")


def _share(one: dict[str, Any]) -> str:
    return f"{one['rate']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
