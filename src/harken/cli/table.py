"""The table at the end of a run."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harken.evaluate.words import of_head, percent

MOST = 12
"""Classes that are shown."""


def print_results(console: Console, folder: Path) -> None:
    """Show what `evaluation.json` says, and where the report is."""
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    if "heads" in found:
        _print_heads(console, folder, found)
        return
    table = Table(title=f"{folder}: {found['prompts']} held-out prompts", title_justify="left", show_header=True)
    for name in ("", "supervised", "aligned", ""):
        table.add_column(name)
    if found.get("win_rate") is not None:
        low, high = found["win_rate_interval"]
        note = f"95 % interval {percent(low)} to {percent(high)}, ties count half"
        table.add_row("win rate (gold)", "", percent(found["win_rate"]), note)
    for label, key in (("exact", "exactness"), ("ended properly", "ended"), ("finished", "finished")):
        if found.get(f"{key}_before") is not None:
            table.add_row(label, percent(found[f"{key}_before"]), percent(found[f"{key}_after"]), "")
    for label, key in (("BLEU", "bleu"), ("ROUGE-L", "rouge_l"), ("reward", "reward")):
        if found.get(f"{key}_before") is not None:
            table.add_row(label, f"{found[f'{key}_before']:.2f}", f"{found[f'{key}_after']:.2f}", "")
    if found.get("reward_accuracy") is not None:
        noisy = (
            f"{percent(found['reward_accuracy_annotators'])} against the annotators' own answers, whose noise allows "
        )
        noisy += percent(found["annotator_ceiling"])
        table.add_row("reward accuracy", "", percent(found["reward_accuracy"]), noisy)
    _add_other_heads(table, found.get("heads_by_model", {}))
    table.add_row("KL to the supervised", "", f"{found['kl']:.2f} nats", "a completion, on held-out prompts")
    console.print(table)
    for notice in found.get("notices", []):
        console.print(notice, style="yellow", highlight=False)
    console.print(f"report: {(folder / 'report.html').resolve()}", highlight=False, soft_wrap=True)


def _add_other_heads(table: Table, found: dict[str, Any]) -> None:
    """What heads beside a language head came to."""
    for name, figures in found.get("sft", {}).items():
        table.add_row(f"head {name}", of_head(figures), of_head(found["aligned"][name]), "")


def _add_classes(table: Table, classes: list[dict[str, Any]]) -> None:
    """How many of each class were found; of many classes those of which the fewest were."""

    def found(one: dict[str, Any]) -> float:
        return float(one["recall"]["share"]) if "recall" in one else -1.0

    for one in sorted(classes, key=found)[:MOST] if len(classes) > MOST else classes:
        share, bounds = "", ""
        if "recall" in one:
            share, bounds = percent(one["recall"]["share"]), " to ".join(map(percent, one["recall"]["interval"]))
        right = f"; right of {one['said']} said {percent(one['precision']['share'])}" if "precision" in one else ""
        shown = Text(f"  found of {one['class']}")  # somebody's own words, not ours
        table.add_row("", shown, share, bounds, f"{one['count']}{right}")
    if len(classes) > MOST:
        table.add_row("", f"  {len(classes) - MOST} classes more", "", "", "in evaluation.json")


def _print_heads(console: Console, folder: Path, found: dict[str, Any]) -> None:
    """What each head of a model without a language head came to."""
    table = Table(title=f"{folder}: {found['prompts']} held-out prompts", title_justify="left", show_header=True)
    for name in ("head", "figure", "", "95 % interval", "of"):
        table.add_column(name)
    for name, figures in found["heads"].items():
        # Recall has several figures, by k; the other heads have one.
        recalls = {key: value for key, value in figures.items() if isinstance(value, dict)}
        for figure, said in recalls.items():
            low, high = map(percent, said["interval"])
            note = f"{said['count']}, by chance {percent(said['chance'])}"
            table.add_row(name, figure, percent(said["share"]), f"{low} to {high}", note)
        if "accuracy" in figures:
            low, high = map(percent, figures["interval"])
            table.add_row(name, "accuracy", percent(figures["accuracy"]), f"{low} to {high}", str(figures["count"]))
            _add_classes(table, figures.get("classes", []))
        elif "absolute_error" in figures:
            low, high = (f"{bound:.4g}" for bound in figures["interval"])
            shown = f"{figures['absolute_error']:.4g}"
            table.add_row(name, "absolute error", shown, f"{low} to {high}", str(figures["count"]))
        elif not recalls:
            table.add_row(name, "none of the held-out prompts can be judged", "", "", "0")
    console.print(table)
    for notice in found["notices"]:
        console.print(notice, style="yellow", highlight=False)
    console.print(f"model: {(folder / 'sft').resolve()}", highlight=False, soft_wrap=True)
    if (folder / "report.html").is_file():
        console.print(f"report: {(folder / 'report.html').resolve()}", highlight=False, soft_wrap=True)
