"""The report on a model without a language head: how right each head is, what it confuses, and why it said so."""

import json
from typing import Any

from harken.evaluate import report as page
from harken.evaluate.explain.explanation import explain
from harken.evaluate.explain.heads import said_by_heads
from harken.evaluate.explain.shown import Explained
from harken.evaluate.plots import Bar, bars, curves, smoothed
from harken.evaluate.words import of_head, percent, with_interval
from harken.models.load import load_predictor, weights_dtype
from harken.pipeline.artefact import read_marker
from harken.pipeline.run import Run
from harken.train.metrics_log import read_metrics
from harken.types import Completion

MOST = 12
"""Classes of which a page has a table of confusions."""
NOTE = (
    "What the heads said of the first held-out prompts, taken apart: how much the picture, the sound and the words "
    "mattered (Shapley values), and where in them (integrated gradients). The same for any prompt: harken explain."
)


def write_heads_report(run: Run, key: str) -> None:
    """Write `report.html`."""
    page.write_report(run.folder / "report.html", _Page(run).report())


class _Page:
    """Gathers the report."""

    def __init__(self, run: Run):
        self.run = run
        told = json.loads((run.folder / "evaluation.json").read_text())
        self.count, self.notices, self.heads = told["prompts"], told["notices"], told["heads"]

    def report(self) -> page.Report:
        record = json.loads((self.run.folder / "run.json").read_text())
        machine = {**record["versions"], **{name: str(value) for name, value in record["machine"].items()}}
        return page.Report(
            title=f"{self.run.recipe.name}: what the heads say",
            subtitle=f"{', '.join(self.heads)}, on {self.count} held-out prompts, seed {self.run.recipe.seed}.",
            notice=" ".join(self.notices),
            headlines=tuple(page.Headline(name, *_headline(found)) for name, found in self.heads.items()),
            tables=(self.heads_table(), *self.class_tables()),
            sections=tuple(section for section in (self.classes(), self.training()) if section.plots),
            explained=self.explained(),
            explained_note=NOTE,
            stages=self.stages(),
            settings=record["recipe"],
            machine={**machine, "commit": record["commit"], "threads": str(record["threads"])},
        )

    def heads_table(self) -> page.Table:
        rows = tuple((name, of_head(found), str(_count(found))) for name, found in self.heads.items())
        return page.Table(("head", "95 % interval", "prompts"), rows, "Each head, on the held-out prompts' facts")

    def class_tables(self) -> list[page.Table]:
        """Of each classification its classes, and what was said in place of what."""
        out = []
        for name, found in self.heads.items():
            classes = found.get("classes", [])
            rows = tuple((c["class"], _part(c, "recall"), _part(c, "precision"), str(c["count"])) for c in classes)
            header = ("class", "found of it (recall)", "right of those said (precision)", "prompts")
            if rows:
                out.append(page.Table(header, rows, f"The classes of {name}"))
            names, counts = [c["class"] for c in classes], found.get("confusion", [])
            if 1 < len(names) <= MOST and counts:
                confused = tuple((true, *map(str, row)) for true, row in zip(names, counts, strict=True))
                caption = f"What {name} said (columns) of prompts that are (rows); the diagonal is right"
                out.append(page.Table(("is", *names), confused, caption))
        return out

    def classes(self) -> page.Section:
        plots = []
        for name, found in self.heads.items():
            known = [one for one in found.get("classes", []) if "recall" in one][:MOST]
            if len(known) > 1:
                rows = [Bar(c["class"], c["recall"]["share"], *c["recall"]["interval"]) for c in known]
                svg = bars({name: rows}, f"Found of each class of {name}", "share", (0.0, 1.0))
                caption = "Of the prompts of each class the share that was found, with its 95 % interval."
                plots.append(page.Plot(f"{name}: class by class", svg, caption))
        return page.Section("Which classes?", tuple(plots))

    def training(self) -> page.Section:
        records = read_metrics(self.run.metrics, "sft")
        if not records:
            return page.Section("How it got there", ())
        names = [name for name in records[0] if name == "loss" or name.endswith("/loss")]
        lines = []
        for name in names if len(names) > 2 else names[:1]:  # one head's loss is the whole
            mine = [record for record in records if name in record]
            label = name.removesuffix("/loss") if "/" in name else "all"
            lines.append(smoothed(label, [r["step"] for r in mine], [r[name] for r in mine], 15))
        svg = curves(lines, "Loss of each head", "step", "loss")
        caption = "Mean over 15 steps and its spread, on what was learnt from."
        return page.Section("How it got there", (page.Plot("Training", svg, caption),))

    def explained(self) -> tuple[Explained, ...]:
        chosen = list(self.run.world.test)[: self.run.recipe.evaluation.explain]
        if not chosen:
            return ()
        model = load_predictor(self.run.folder / "sft", weights_dtype(self.run.recipe.model.dtype))
        out = []
        for prompt in chosen:
            targets = said_by_heads(model, prompt, self.run.blobs)
            said = "; ".join(f"{target.name}: {target.words}" for target in targets)
            if targets:
                answer = Completion("heads", prompt.id, said, "the heads")
                out.append(explain(targets, prompt, answer, self.run.blobs))
            self.run.end_if_asked("report")
        return tuple(out)

    def stages(self) -> tuple[page.StageRow, ...]:
        markers = [(name, read_marker(self.run.folder, name)) for name in ("sft", "evaluation")]
        return tuple(page.StageRow(name, m.seconds, m.peak_mib) for name, m in markers if m is not None)


def _headline(found: dict[str, Any]) -> tuple[str, str]:
    """A head's figure, and what stands beside it."""
    if "accuracy" in found:
        low, high = found["interval"]
        return percent(found["accuracy"]), f"right; 95 % interval {100 * low:.1f} to {100 * high:.1f}"
    if "absolute_error" in found:
        low, high = found["interval"]
        return f"{found['absolute_error']:.3g}", f"off, on average; 95 % interval {low:.3g} to {high:.3g}"
    recalls = [(name, one) for name, one in found.items() if isinstance(one, dict)]
    if recalls:
        name, one = recalls[0]
        return percent(one["share"]), f"{name}; by chance {percent(one['chance'])}"
    return "–", "no held-out prompt says what is true"


def _count(found: dict[str, Any]) -> int:
    return int(found.get("count", next((one["count"] for one in found.values() if isinstance(one, dict)), 0)))


def _part(one: dict[str, Any], figure: str) -> str:
    return with_interval(one[figure]["share"], *one[figure]["interval"]) if figure in one else "–"
