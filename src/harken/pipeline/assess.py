"""The evaluation: is the aligned model better than the supervised one, on held-out prompts, and how sure are we?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from harken.data.batch import collate, pad_right
from harken.data.encoded import EncodedPrompts
from harken.data.lines import lines_of
from harken.data.seeds import derive
from harken.evaluate.metrics.bleu import bleu
from harken.evaluate.metrics.exactness import exactness
from harken.evaluate.metrics.kl import SequenceKL, sequence_kl
from harken.evaluate.metrics.rouge import rouge_l
from harken.evaluate.metrics.win_rate import win_rate
from harken.models.fusion.config import FusionConfig
from harken.models.load import weights_dtype
from harken.models.model import Model
from harken.pipeline.artefact import write_text
from harken.pipeline.ask import write_completions, write_prompts
from harken.pipeline.head_figures import head_figures
from harken.pipeline.reward_figures import SAME, judge_reward_model, reward_curve
from harken.pipeline.roles import load_as
from harken.pipeline.run import Run
from harken.pipeline.settings import EvaluationConfig
from harken.pipeline.teach import Work
from harken.reward.combining import Summary
from harken.reward.model import RewardModel, load_reward_model
from harken.reward.rules import ended, right_answer
from harken.train.answering import Sampling, sample_completions
from harken.train.metrics_log import read_metrics
from harken.types import Completion, Prompt


def evaluation_work(round_: int, arms: tuple[str, ...], policy: str) -> Work:
    """Answer the held-out prompts with the supervised model and each arm, and compare.

    Args:
        round_: which round, from 1.
        arms: the aligned policies.
        policy: what the round's reward model began from.
    """

    def work(run: Run, key: str) -> None:
        here, stage = f"rounds/{round_}", f"rounds/{round_}/evaluation"
        total = 2 + len(arms)
        reward = load_reward_model(run.folder / here / "reward", dtype=weights_dtype(run.recipe.model.dtype))
        models = {"sft": load_as(run.folder / "sft", run.recipe.model)}
        models |= {arm: load_as(run.folder / here / arm, run.recipe.model) for arm in arms}
        answers: dict[str, list[Completion]] = {}
        for done, (name, model) in enumerate(models.items()):
            answers[name] = _answer(run, model, name)
            run.progress.advance(stage, done + 1, total)
        write_completions(run, f"{here}/answers.jsonl", [c for made in answers.values() for c in made])
        write_prompts(run, f"{here}/held_out.jsonl", run.world.test)
        found = compare(run, answers["sft"], answers["aligned"], reward)
        found |= _divergence(run, models["aligned"], models["sft"], answers["aligned"])
        for arm in arms[1:]:
            other = compare(run, answers["sft"], answers[arm], reward)
            found[arm] = other | _divergence(run, models[arm], models["sft"], answers[arm])
        found |= judge_reward_model(run, reward)
        found |= reward_curve(run, round_, policy, key)
        found["heads_by_model"] = _heads(run, models)
        found["along_training"] = {arm: _along_training(run, f"{here}/{arm}") for arm in arms}
        found["notices"] = list(run.world.notices)
        write_text(run.folder / here / "evaluation.json", json.dumps(found, indent=1) + "\n")
        run.progress.advance(stage, total, total)

    return work


def _heads(run: Run, models: Mapping[str, Model]) -> dict[str, dict[str, Any]]:
    """How right the heads besides language are, by model; nothing where there are none."""
    with_heads = {name: m for name, m in models.items() if isinstance(m.trunk.config, FusionConfig)}
    return {
        name: head_figures(model, run.world.test, run.blobs)
        for name, model in with_heads.items()
        if model.trunk.config.heads
    }


def _answer(run: Run, model: Model, name: str) -> list[Completion]:
    decoding = run.recipe.evaluation.decoding
    # One seed for all: two models that are the same answer the same.
    how = Sampling(name, 1, decoding, derive(run.recipe.seed, "evaluation"))
    encoded = EncodedPrompts(model.processor, run.blobs)
    return sample_completions(model, run.world.test, encoded, how, lambda done: run.end_if_asked("evaluate"))


@dataclass(frozen=True)
class _Judged:
    """What is known of one model's answers, an entry a prompt."""

    gold: list[float] | None
    exact: list[bool] | None
    ended: list[bool]
    reward: list[float]
    members: Summary


def _judge(run: Run, answers: Sequence[Completion], reward: RewardModel) -> _Judged:
    prompts = run.world.test
    pairs = list(zip(prompts, answers, strict=True))
    gold = run.world.gold
    checkable = all("required" in prompt.facts for prompt in prompts)
    encoded = EncodedPrompts(reward.model.processor, run.blobs)
    scores = reward.score_completions(answers, {p.id: p for p in prompts}, encoded)
    return _Judged(
        [gold(prompt, answer) for prompt, answer in pairs] if gold else None,
        [right_answer(prompt, answer) == 1 for prompt, answer in pairs] if checkable else None,
        [ended(prompt, answer) == 1 for prompt, answer in pairs],
        reward.combine(scores).tolist(),
        Summary.of(scores),
    )


def compare(run: Run, before: Sequence[Completion], after: Sequence[Completion], reward: RewardModel) -> dict[str, Any]:
    """All figures of two models' answers to the held-out prompts."""
    prompts, config = run.world.test, run.recipe.evaluation
    old, new = _judge(run, before, reward), _judge(run, after, reward)
    found: dict[str, Any] = {"prompts": len(prompts), "win_rate": None, "win_rate_interval": None}
    if old.gold is not None and new.gold is not None:
        won = win_rate(new.gold, old.gold, SAME, resamples=config.resamples)
        found |= {
            "win_rate": won.rate,
            "win_rate_interval": [won.low, won.high],
            "wins": won.wins,
            "ties": won.ties,
            "losses": won.losses,
            "gold_before": float(np.mean(old.gold)),
            "gold_after": float(np.mean(new.gold)),
        }
    for when, judged, answers in (("before", old, before), ("after", new, after)):
        if judged.exact is not None:
            share = exactness(judged.exact)
            found[f"exactness_{when}"] = share.rate
            found[f"exactness_{when}_interval"] = [share.low, share.high]
        found[f"ended_{when}"] = exactness(judged.ended).rate
        found[f"reward_{when}"] = float(np.mean(judged.reward))
        found[f"reward_spread_{when}"] = float(judged.members.spread.mean())
        found[f"reward_worst_{when}"] = float(judged.members.worst.mean())
        found |= _overlap(prompts, answers, config, when)
    found["tasks"] = _by_task(prompts, old, new, config)
    return found


def _overlap(
    prompts: Sequence[Prompt], answers: Sequence[Completion], config: EvaluationConfig, when: str
) -> dict[str, float]:
    kept = [
        (answer.text, prompt.references) for prompt, answer in zip(prompts, answers, strict=True) if prompt.references
    ]
    if not kept:
        return {}
    texts, references = [text for text, _ in kept], [list(given) for _, given in kept]
    return {
        f"bleu_{when}": bleu(texts, references, config.language),
        f"rouge_l_{when}": rouge_l(texts, references, config.language),
    }


def _by_task(
    prompts: Sequence[Prompt], old: _Judged, new: _Judged, config: EvaluationConfig
) -> dict[str, dict[str, Any]]:
    """Win rate and exactness for each task that prompts name in their facts."""
    tasks: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        tasks.setdefault(str(prompt.facts.get("task", "all")), []).append(row)
    out: dict[str, dict[str, Any]] = {}
    for task, rows in sorted(tasks.items()):
        out[task] = {"prompts": len(rows)}
        if old.gold is not None and new.gold is not None:
            scores = [[judged[row] for row in rows] for judged in (new.gold, old.gold)]
            won = win_rate(scores[0], scores[1], SAME, resamples=config.resamples)
            out[task] |= {"win_rate": won.rate, "win_rate_interval": [won.low, won.high]}
        for when, judged in (("before", old), ("after", new)):
            if judged.exact is not None:
                share = exactness([judged.exact[row] for row in rows])
                out[task][f"exactness_{when}"] = [share.rate, share.low, share.high]
    return out


@torch.no_grad()
def _divergence(run: Run, policy: Model, reference: Model, answers: Sequence[Completion]) -> dict[str, Any]:
    """KL to the reference, from the policy's own answers, in nats a completion."""
    encoded, pad = EncodedPrompts(policy.processor, run.blobs), policy.processor.pad_id
    policy.temperature = reference.temperature = run.recipe.evaluation.decoding.temperature or 1.0
    kept: list[list[torch.Tensor]] = [[], [], []]
    for start in range(0, len(answers), 32):
        ids = [policy.processor.encode_completion(answer) for answer in answers[start : start + 32]]
        batch = collate(encoded(run.world.test[start : start + 32]), ids, range(len(ids)), pad)
        needs = frozenset({"logprobs"})
        tables = (policy(batch, needs).logprobs, reference(batch, needs).logprobs, batch.completions.mask)
        for rows, table in zip(kept, tables, strict=True):
            rows += list(table)
    whole = [pad_right(rows).numpy() for rows in kept]
    found: SequenceKL = sequence_kl(whole[0], whole[1], whole[2])
    return {"kl": found.k1, "kl_error": found.k1_error, "kl_k3": found.k3}


def _along_training(run: Run, stage: str) -> list[dict[str, float]]:
    """Gold and proxy reward, and KL, of the completions that each rollout of a stage kept."""
    gold, prompts = run.world.gold, {prompt.id: prompt for prompt in run.world.prompts}
    figures = {record["step"]: record for record in read_metrics(run.metrics, stage) if "reward" in record}
    rollouts: dict[int, list[Mapping[str, Any]]] = {}
    for line in lines_of(run.folder / f"{stage}.samples.jsonl"):
        record = json.loads(line)
        rollouts.setdefault(record["step"], []).append(record)
    out = []
    for step, records in sorted(rollouts.items()):
        row = {"step": float(step), "proxy": float(np.mean([r["human"] for r in records]))}
        if "kl" in figures[step]:
            row["kl"] = figures[step]["kl"]
        if gold is not None:
            made = [
                (prompts[r["prompt_id"]], Completion("", r["prompt_id"], r["text"], "", r["finished"])) for r in records
            ]
            row["gold"] = float(np.mean([gold(prompt, completion) for prompt, completion in made]))
        out.append(row)
    return out
