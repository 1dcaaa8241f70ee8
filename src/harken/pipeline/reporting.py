"""The report: figures of `evaluation.json`, curves of `metrics.jsonl`, answers and feedback with their media."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from harken.data.media import numbers
from harken.evaluate import report as page
from harken.evaluate.explain.shown import Explained
from harken.evaluate.metrics.calibration import Bin
from harken.evaluate.metrics.win_rate import WinRate
from harken.evaluate.plots import Bar, Series, bars, curves, gold_against_proxy, outcomes, reliability, smoothed
from harken.evaluate.words import of_head, percent, with_interval
from harken.feedback.records import kind_of
from harken.pipeline.artefact import read_marker
from harken.pipeline.ask import read_completions
from harken.pipeline.choose import read_selection, told
from harken.pipeline.run import Run
from harken.pipeline.teach import Work
from harken.pipeline.verbs import read_run_feedback
from harken.pipeline.why import NOTE, explained_answers
from harken.reward.rules import right_answer
from harken.train.metrics_log import read_metrics
from harken.types import Comparison, Completion, Edit, Numbers, Part, Prompt, Ranking, Rating, Text
from harken.types import Feedback as Said

ARMS = {"aligned": "aligned", "human_only": "aligned without the environment's reward"}
SHOWN_OF_EACH_KIND = 4


def report_work(round_: int) -> Work:
    """Write a round's report."""

    def work(run: Run, key: str) -> None:
        page.write_report(run.folder / f"rounds/{round_}/report.html", _Page(run, round_).report())

    return work


def interval(found: dict[str, Any], name: str) -> str:
    """A share with its 95 % interval."""
    return with_interval(found[name], *found[f"{name}_interval"])


class _Page:
    """Gathers one round's report."""

    def __init__(self, run: Run, round_: int):
        self.run = run
        self.here = f"rounds/{round_}"
        self.found: dict[str, Any] = json.loads((run.folder / self.here / "evaluation.json").read_text())
        self.arms = [arm for arm in ARMS if arm in self.found["along_training"]]

    def report(self) -> page.Report:
        recipe, record = self.run.recipe, json.loads((self.run.folder / "run.json").read_text())
        count = self.found["prompts"]
        algorithm = str(recipe.algorithm["name"]).upper()
        feedback, note = self.feedback()
        return page.Report(
            title=f"{recipe.name}: what people's preferences changed",
            subtitle=f"The supervised model and the model aligned by {algorithm}, on {count} held-out prompts, "
            f"round {self.here.split('/')[1]} of {recipe.rounds}, seed {recipe.seed}.",
            notice=" ".join(self.found["notices"]),
            headlines=self.headlines(),
            tables=self.tables(),
            sections=self.sections(),
            examples=self.examples(),
            examples_note="The first held-out prompts of each task in turn, not chosen by their answers. "
            "Which one is better is decided by the gold preference; neither model ever saw it.",
            explained=self.explained(),
            explained_note=NOTE,
            before_name="supervised",
            after_name="aligned",
            feedback=feedback,
            feedback_note=note,
            stages=self.stages(),
            settings=record["recipe"],
            machine={
                **record["versions"],
                **{k: str(v) for k, v in record["machine"].items()},
                "commit": record["commit"],
            }
            | {"threads": str(record["threads"])},
        )

    def headlines(self) -> tuple[page.Headline, ...]:
        found, out = self.found, []
        if found["win_rate"] is not None:
            low, high = found["win_rate_interval"]
            hint = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %; ties count half"
            tone: page.Tone = "good" if low > 0.5 else "plain"
            out.append(page.Headline("win rate over the supervised model", percent(found["win_rate"]), hint, tone))
        if "exactness_after" in found:
            hint = f"{percent(found['exactness_before'])} before"
            tone = "good" if found["exactness_after"] >= found["exactness_before"] else "bad"
            out.append(page.Headline("true answers", percent(found["exactness_after"]), hint, tone))
        if found.get("reward_accuracy") is not None:
            hint = f"of {found['reward_accuracy_pairs']} held-out pairs, as gold decides them"
            out.append(page.Headline("reward model right", percent(found["reward_accuracy"]), hint))
        elif found.get("reward_accuracy_annotators") is not None:
            hint = f"of {found['reward_accuracy_annotators_pairs']} held-out pairs, as the annotators decided them"
            out.append(page.Headline("reward model right", percent(found["reward_accuracy_annotators"]), hint))
        hint = "nats a completion, on held-out prompts"
        out.append(page.Headline("KL to the supervised model", f"{found['kl']:.2f}", hint))
        return tuple(out)

    def tables(self) -> tuple[page.Table, ...]:
        columns = {"aligned": self.found} | {arm: self.found[arm] for arm in self.arms[1:]}
        header = ("", "supervised", *(ARMS[name] for name in columns))
        rows: list[tuple[str, ...]] = []

        def row(label: str, key: str, shape: str) -> None:
            if f"{key}_after" in self.found:
                after = (shape.format(found[f"{key}_after"]) for found in columns.values())
                rows.append((label, shape.format(self.found[f"{key}_before"]), *after))

        if self.found["win_rate"] is not None:
            rows.append(("win rate (95 % interval)", "", *(interval(found, "win_rate") for found in columns.values())))
        row("true answers", "exactness", "{:.1%}")
        row("ended properly", "ended", "{:.1%}")
        row("gold preference, mean", "gold", "{:.2f}")
        row("reward model's score, mean", "reward", "{:.2f}")
        row("BLEU", "bleu", "{:.1f}")
        row("ROUGE-L", "rouge_l", "{:.1f}")
        rows.append(("KL to the supervised model, nats", "0", *(f"{found['kl']:.2f}" for found in columns.values())))
        tables = [page.Table(header, tuple(rows), "Both models, on the same held-out prompts")]
        if self.found.get("reward_accuracy_annotators") is not None:
            tables.append(self.reward_table())
        if self.found["reward_accuracy_by"]:
            tables.append(self.parts_table())
        if self.found.get("heads_by_model"):
            tables.append(self.heads_table())
        return tuple(tables)

    def heads_table(self) -> page.Table:
        found = self.found["heads_by_model"]
        header = ("head", *("supervised" if name == "sft" else ARMS[name] for name in found))
        rows = [(name, *(of_head(found[model][name]) for model in found)) for name in found["sft"]]
        caption = "The heads besides language, on the held-out prompts' facts; alignment moves what they read, not them"
        return page.Table(header, tuple(rows), caption)

    def parts_table(self) -> page.Table:
        rows = [
            (
                f"{way}: {part}",
                with_interval(one["rate"], one["low"], one["high"]),
                str(one["pairs"]),
            )
            for way, parts in self.found["reward_accuracy_by"].items()
            for part, one in parts.items()
        ]
        caption = (
            "The reward model on all pairs that held-out answers imply: two tiers of a ranking, a revision and what "
        )
        caption += "it mends, two grades by one annotator for completions of one prompt, and comparisons with a winner"
        return page.Table(("reward model, in parts", "accuracy (95 % interval)", "pairs"), tuple(rows), caption)

    def reward_table(self) -> page.Table:
        found = self.found
        rows = [("against the annotators' own answers", interval(found, "reward_accuracy_annotators"))]
        if found.get("reward_accuracy") is not None:
            rows.insert(0, ("as the gold preference decides", interval(found, "reward_accuracy")))
            noise = "the annotators' agreement with gold: the ceiling of the row above"
            rows.append((noise, percent(found["annotator_ceiling"])))
        rows.append(("expected calibration error", f"{found['calibration_error']:.3f}"))
        rows.append(("Brier score", f"{found['brier']:.3f}"))
        if found["shared_with_held_out"]:
            shared = ", ".join(f"{what} {count}" for what, count in found["shared_with_held_out"].items())
            rows.append(("on both sides of the split, as the recipe allows", shared))
        caption = (
            f"The reward model on {found['held_out_comparisons']} comparisons of prompts that it never learnt from"
        )
        return page.Table(("reward model", "accuracy (95 % interval)"), tuple(rows), caption)

    def sections(self) -> tuple[page.Section, ...]:
        return tuple(s for s in (self.outcome_section(), self.training_section(), self.reward_section()) if s.plots)

    def outcome_section(self) -> page.Section:
        plots = []
        if self.found["win_rate"] is not None:
            rows = {ARMS["aligned"]: _won(self.found)} | {ARMS[arm]: _won(self.found[arm]) for arm in self.arms[1:]}
            caption = "Each held-out prompt is won, tied or lost by the gold preference. The point is the win rate."
            plots.append(page.Plot("Against the supervised model", outcomes(rows, "Wins, ties and losses"), caption))
        tasks = {name: task for name, task in self.found["tasks"].items() if "exactness_after" in task}
        if tasks:
            groups = {
                label: [Bar(name, *task[f"exactness_{when}"]) for name, task in tasks.items()]
                for label, when in (("supervised", "before"), ("aligned", "after"))
            }
            caption = "Share of true answers with its 95 % interval: manner must not be bought with truth."
            svg = bars(groups, "True answers by task", "share of true answers", (0.0, 1.0))
            plots.append(page.Plot("True answers by task", svg, caption))
        return page.Section("Is it better?", tuple(plots))

    def training_section(self) -> page.Section:
        plots = []
        sft = read_metrics(self.run.metrics, "sft")
        if sft:
            line = smoothed("loss", [r["step"] for r in sft], [r["loss"] for r in sft], 15)
            svg = curves([line], "Supervised loss", "step", "nats a token")
            plots.append(page.Plot("Supervised training", svg, "Mean over 15 steps and its spread."))
        for arm in self.arms:
            every = read_metrics(self.run.metrics, f"{self.here}/{arm}")
            records = [r for r in every if "reward" in r]
            if not records:
                plots += preference_plots(every)
                continue
            steps = [r["step"] for r in records]
            names = [name for name in records[0] if name.startswith("reward/")]
            lines = [Series(name.removeprefix("reward/"), steps, [r[name] for r in records]) for name in names]
            if all("kl" in r for r in records):
                lines.append(Series("KL", steps, [r["kl"] for r in records], axis="right", dashed=True))
            svg = curves(lines, f"Reinforcement, {ARMS[arm]}", "step", "mean reward", "KL, nats")
            caption = "Mean rewards of each rollout by where they come from, and the KL to the supervised model."
            plots.append(page.Plot(f"Reinforcement: {ARMS[arm]}", svg, caption))
            along = self.found["along_training"][arm]
            if along and {"gold", "kl"} <= along[0].keys():
                root = [max(0.0, row["kl"]) ** 0.5 for row in along]
                title = f"Gold against proxy, {ARMS[arm]}"
                svg = gold_against_proxy(root, [r["proxy"] for r in along], [r["gold"] for r in along], title)
                caption = "Where the proxy (the reward model) still rises and gold falls, the policy exploits it."
                plots.append(page.Plot(f"Gold against proxy: {ARMS[arm]}", svg, caption))
        return page.Section("How it got there", tuple(plots))

    def reward_section(self) -> page.Section:
        plots = []
        records = read_metrics(self.run.metrics, f"{self.here}/reward")
        if records:
            line = smoothed("loss", [r["step"] for r in records], [r["loss"] for r in records], 9)
            svg = curves([line], "Reward model's loss", "step", "nats a statement")
            plots.append(page.Plot("Training of the reward model", svg, "Mean over 9 steps and its spread."))
        if self.found.get("reliability"):
            bins = [Bin(**one) for one in self.found["reliability"]]
            caption = "How often the annotators chose a, against the probability that the reward model gave it."
            plots.append(page.Plot("Calibration", reliability(bins, "Calibration of the reward model"), caption))
        if self.found.get("reward_curve"):
            points = self.found["reward_curve"]
            low, high = [point["low"] for point in points], [point["high"] for point in points]
            counts, rates = [point["answers"] for point in points], [point["rate"] for point in points]
            line = Series("accuracy", counts, rates, low, high)
            svg = curves([line], "Learning curve of the reward model", "answers learnt from", "held-out accuracy")
            caption = "Accuracy on the same held-out pairs, with its 95 % interval, learnt from so many of the answers."
            plots.append(page.Plot("Learning curve", svg, caption))
        return page.Section("The reward model", tuple(plots))

    def parts(self, prompt: Prompt) -> tuple[str | bytes, ...]:
        """A prompt's words and media, as the page shows them."""
        every = [part for message in prompt.messages for part in message.parts]
        return tuple(self._shown(part) for part in every)

    def _shown(self, part: Part) -> str | bytes:
        match part:
            case Text(text):
                return text
            case Numbers(sha256):
                return numbers.excerpt(self.run.blobs.read(sha256))
        return self.run.blobs.read(part.sha256)

    def examples(self) -> tuple[page.Example, ...]:
        answers: dict[tuple[str, str], Completion] = {}
        for completion in read_completions(self.run, f"{self.here}/answers.jsonl"):
            answers[completion.policy, completion.prompt_id] = completion
        chosen = _in_turn(self.run.world.test, self.run.recipe.evaluation.examples)
        return tuple(self.example(p, answers["sft", p.id], answers["aligned", p.id]) for p in chosen)

    def explained(self) -> tuple[Explained, ...]:
        chosen = _in_turn(self.run.world.test, self.run.recipe.evaluation.explain)
        return explained_answers(self.run, self.here, chosen)

    def example(self, prompt: Prompt, before: Completion, after: Completion) -> page.Example:
        gold, scores, shown = self.run.world.gold, [], []
        for completion in (before, after):
            marks = []
            if "required" in prompt.facts:
                true = right_answer(prompt, completion) == 1
                marks.append(page.Mark("true" if true else "false", "", "good" if true else "bad"))
            if gold is not None:
                scores.append(gold(prompt, completion))
                marks.append(page.Mark("gold", f"{scores[-1]:.2f}"))
            shown.append(page.Shown(completion.text, tuple(marks)))
        winner: Literal["before", "after", "tie"] = "tie"
        if scores and abs(scores[0] - scores[1]) > 1e-6:
            winner = "after" if scores[1] > scores[0] else "before"
        reference = prompt.references[0] if prompt.references else ""
        return page.Example(
            self.parts(prompt), shown[0], shown[1], reference, winner, str(prompt.facts.get("task", ""))
        )

    def feedback(self) -> tuple[tuple[page.FeedbackRow, ...], str]:
        said = read_run_feedback(self.run.folder)
        prompts = {prompt.id: prompt for prompt in said.prompts}
        texts = {completion.id: completion.text for completion in said.completions}
        counts: dict[str, int] = {}
        rows = []
        for answer in said.answers:
            kind = kind_of(answer.feedback)
            counts[kind] = counts.get(kind, 0) + 1
            if counts[kind] <= SHOWN_OF_EACH_KIND:
                parts = self.parts(prompts[answer.feedback.prompt_id])
                other = getattr(answer.feedback, "other_prompt_id", None)
                parts = parts if other is None else (*parts, *self.parts(prompts[other]))
                statement = _statement(answer.feedback, texts)
                rows.append(page.FeedbackRow(kind, answer.annotator, answer.annotator_kind, parts, statement))
        kinds = sorted({answer.annotator_kind for answer in said.answers})
        people = len({answer.annotator for answer in said.answers})
        listed = ", ".join(f"{count} {kind}s" for kind, count in counts.items())
        note = f"{listed}, from {people} annotators ({' and '.join(kinds)}); the first of each kind are shown."
        judge = self.run.folder / self.here / "judge.json"
        if self.run.recipe.feedback.select.policy != "random":
            rounds = range(1, int(self.here.split("/")[1]) + 1)
            policy = self.run.recipe.feedback.select.policy
            note += "".join(f" In {told(r, read_selection(self.run, r), policy)}." for r in rounds)
        if self.run.recipe.feedback.annotator == "judge" and judge.exists():
            note += " " + json.loads(judge.read_text())["text"]
        return tuple(sorted(rows, key=lambda row: row.kind)), note

    def stages(self) -> tuple[page.StageRow, ...]:
        names = ["sft"] + [
            f"{self.here}/{n}"
            for n in ("completions", "selection", "feedback", "reward", "aligned", "human_only", "evaluation")
        ]
        markers = [(name, read_marker(self.run.folder, name)) for name in names]
        return tuple(page.StageRow(name, m.seconds, m.peak_mib) for name, m in markers if m is not None)


def preference_plots(records: Sequence[dict[str, Any]]) -> list[page.Plot]:
    """How training on preferences went; nothing where a stage left no figures."""
    names = sorted({name for record in records for name in record if name.endswith("_reward")})
    lines = []
    for name in names:
        mine = [record for record in records if name in record]
        label = name.removesuffix("_reward")
        lines.append(smoothed(label, [r["step"] for r in mine], [r[name] for r in mine], 9))
    if not lines:
        return []
    steps, right = [r["step"] for r in records], [r["accuracy"] for r in records]
    lines.append(smoothed("accuracy", steps, right, 9, axis="right"))
    svg = curves(lines, "Training on preferences", "step", "the policy's own reward", "accuracy")
    caption = "The rewards that the policy implies, and how often the better completion has the higher one."
    return [page.Plot("Training on preferences", svg, caption)]


def _won(found: dict[str, Any]) -> WinRate:
    low, high = found["win_rate_interval"]
    return WinRate(found["win_rate"], low, high, found["wins"], found["ties"], found["losses"])


def _in_turn(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """The first prompts of each task in turn."""
    tasks: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        tasks.setdefault(str(prompt.facts.get("task", "")), []).append(prompt)
    longest = max(len(found) for found in tasks.values())
    mixed = [found[i] for i in range(longest) for found in tasks.values() if i < len(found)]
    return mixed[:count]


def _statement(said: Said, texts: dict[str, str]) -> str:
    match said:
        case Comparison(a=a, b=b, choice=choice):
            words = {"a": "is better than", "b": "is worse than", "tie": "is as good as", "both_bad": "is as bad as"}
            return f"“{texts[a]}” {words[choice]} “{texts[b]}”"
        case Rating(completion=completion, score=score, levels=levels):
            return f"“{texts[completion]}”: {score} of {levels}"
        case Edit(completion=completion, revision=revision):
            return f"“{texts[completion]}” should be “{revision}”"
        case Ranking(tiers=tiers):
            return " > ".join(" = ".join(f"“{texts[name]}”" for name in tier) for tier in tiers)
