"""Does this model see its media? Is the shared prefix exact on it? Is padding harmless?

Each check runs the model and compares; none trusts a name or a configuration. Media are noise: what a picture shows
does not matter, only that another picture gives other numbers.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from harken.data.batch import Batch, EncodedPrompt, collate, collate_prompts
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.media.numbers import encode_csv
from harken.data.processor import IntegrityError
from harken.models.architectures.find import Layout
from harken.models.generate import Decoding, generate
from harken.models.load import load_model
from harken.models.model import Model
from harken.types import Audio, Completion, Image, Message, Numbers, Part, Prompt, Text

Verdict = Literal["ok", "failed", "plain", "absent"]
LOGPROBS = frozenset({"logprobs"})
BOUND, RELATIVE = 1e-4, 1e-3
"""How far log-probabilities (in nats) and gradients (relative to their norm) may differ in float32."""
GRADIENTS = 24
"""How many weights' gradients are compared, from all over the model."""
WORDS = "text_ids"
"""The one tensor of whole numbers that carries a medium: what a text encoder reads."""
STEPS = 6
"""Of the longest sample series."""
COARSE = 100.0
"""How many times as far in bfloat16."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: its name.
        verdict: `plain` is a finding that the plain layout answers; `absent` where the model has no such thing.
        figure: what was measured.
        advice: what to do, where something failed.
    """

    check: str
    verdict: Verdict
    figure: str
    advice: str = ""


def sample_prompts(model: Model, blobs: Blobs, seed: int = 0) -> list[Prompt]:
    """Prompts of different lengths: words alone, each modality that the model takes, and all of them in two turns."""
    rng = np.random.default_rng(seed)
    most, channels = model.processor.series_shape

    def steps() -> int:
        return int(rng.integers(1, min(most, STEPS) + 1))

    made: dict[str, Callable[[], Part]] = {
        "image": lambda: Image(blobs.put(encode_png(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)), "image")),
        "audio": lambda: Audio(
            blobs.put(encode_wav((rng.standard_normal(16_000) * 0.1).astype(np.float32), 16_000), "audio")
        ),
        "numbers": lambda: Numbers(blobs.put(encode_csv(rng.standard_normal((steps(), channels))), "numbers")),
    }
    takes = [make for modality, make in made.items() if modality in model.processor.placeholders]
    turns = [[Message("user", (Text("Say something."),))]]
    turns += [[Message("user", (make(), Text("What is this, in a few words?")))] for make in takes]
    turns.append(
        [
            Message("user", (*(make() for make in takes), Text("What is this?"))),
            Message("assistant", (Text("It is noise."),)),
            Message("user", (*(make() for make in takes), Text("And this?"))),
        ]
    )
    return [Prompt(f"doctor-{n}", tuple(messages)) for n, messages in enumerate(turns)]


@dataclass(frozen=True)
class Patient:
    """A model with something to read, and completions to score.

    Attributes:
        model: what is examined.
        encoded: prompts as it reads them.
        completions: two for each prompt, of different lengths.
        rows: their prompts.
    """

    model: Model
    encoded: list[EncodedPrompt]
    completions: list[Tensor]
    rows: list[int]

    def batch(self, encoded: Sequence[EncodedPrompt] | None = None) -> Batch:
        """All of it as one batch."""
        made = collate(encoded or self.encoded, self.completions, self.rows, self.model.processor.pad_id)
        return made.to(self.model.trunk.device)

    @property
    def slack(self) -> float:
        """How much coarser than float32 the weights are."""
        return 1.0 if self.model.trunk.dtype in (torch.float32, torch.float64) else COARSE

    def logprobs(self, layout: Layout, batch: Batch | None = None) -> Tensor:
        """Log-probabilities in a layout, (N, T)."""
        before, self.model.layout = self.model.layout, layout
        try:
            found = self.model(batch or self.batch(), LOGPROBS).logprobs
        finally:
            self.model.layout = before
        assert found is not None
        return found


def admit(model: Model, blobs: Blobs, seed: int = 0) -> Patient:
    """A model with sample prompts, and completions that it could have written."""
    encoded = [model.processor.encode(prompt, blobs) for prompt in sample_prompts(model, blobs, seed)]
    generator = torch.Generator().manual_seed(seed)
    rows = [row for row in range(len(encoded)) for _ in range(2)]
    words = model.processor.encode_completion(Completion("doctor", "doctor", "a few words and no more", "doctor"))
    completions = [words[torch.randint(len(words), (3 + n % 4,), generator=generator)] for n in range(len(rows))]
    return Patient(model, encoded, completions, rows)


@torch.no_grad()
def media_change_answers(patient: Patient) -> list[Finding]:
    """Other pictures, sounds and words give other log-probabilities, for each tensor that carries media."""
    plain = patient.logprobs("plain")
    out = []
    carriers = {n for e in patient.encoded for n, t in e.media.items() if t.is_floating_point() or n == WORDS}
    for name in sorted(carriers):
        generator = torch.Generator().manual_seed(1)
        swapped = [
            replace(e, media={k: _noise(v, generator) if k == name else v for k, v in e.media.items()}, media_key="")
            for e in patient.encoded
        ]
        each = (patient.logprobs("plain", patient.batch(swapped)) - plain).abs().amax(1)
        # Of a prompt's completions the one that moves most: a single token may hardly move by chance.
        rows = torch.tensor(patient.rows, device=each.device)
        moved = each.new_zeros(len(patient.encoded)).scatter_reduce(0, rows, each, "amax")
        has = torch.tensor([name in encoded.media for encoded in patient.encoded], device=moved.device)
        least = float(moved[has].min())
        ok = least > 1e-6 and float(moved[~has].sum()) <= BOUND * patient.slack * len(moved)
        advice = (
            "" if ok else "the model does not read this medium where its processor puts it; do not train it on media"
        )
        out.append(Finding(f"{name} is read", "ok" if ok else "failed", f"moves log p by {least:.1e} or more", advice))
    return out or [Finding("media are read", "absent", "the model takes text alone")]


def _noise(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return (tensor + 1) % (max(int(tensor.max()), 1) + 1)  # each token is another one
    return torch.randn(tensor.shape, generator=generator).to(tensor) * tensor.std().clamp(min=0.1)


@torch.no_grad()
def placeholders_are_counted(patient: Patient) -> list[Finding]:
    """A placeholder too few stops the forward: no medium is lost, and none put in a wrong place, in silence."""
    out = []
    for modality, token in patient.model.processor.placeholders.items():
        row = next((n for n, e in enumerate(patient.encoded) if e.placeholders.get(modality)), None)
        if row is None:
            continue
        encoded = patient.encoded[row]
        keep = torch.ones(len(encoded.ids), dtype=torch.bool)
        keep[(encoded.ids == token).nonzero()[-1]] = False
        cut = replace(
            encoded, ids=encoded.ids[keep], per_token={name: t[keep] for name, t in encoded.per_token.items()}
        )
        batch = collate([cut], patient.completions[:1], [0], patient.model.processor.pad_id)
        try:
            patient.model(batch.to(patient.model.trunk.device), LOGPROBS)
        except (ValueError, RuntimeError, IndexError, AssertionError):
            found = Finding(
                f"{modality} placeholders", "ok", f"{encoded.placeholders[modality]} in one prompt; one less is refused"
            )
        else:
            found = Finding(
                f"{modality} placeholders", "failed", "one too few is not noticed", "features could be lost in silence"
            )
        out.append(found)
    return out


def shared_prefix_is_exact(patient: Patient) -> Finding:
    """Log-probabilities and gradients of the shared prefix are those of full rows; else the plain layout is chosen.

    First with a last layer that computes only what completions read, then with a whole one.
    """
    trained = [p for p in patient.model.trunk.parameters() if p.requires_grad]
    parameters = trained[:: max(1, len(trained) // GRADIENTS)]
    plain = patient.logprobs("plain")
    theirs = _gradient(plain, parameters)
    found = []
    for short in (True, False) if patient.model.short else (False,):
        patient.model.short = short
        try:
            shared = patient.logprobs("shared")
            worst = float((shared - plain).detach().abs().max())
            relative = float((_gradient(shared, parameters) - theirs).norm() / theirs.norm().clamp(min=1e-12))
        except (ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
            found.append(f"cannot be computed ({type(error).__name__})")
            continue
        figure = f"log p {worst:.1e}, gradients {relative:.1e}"
        if worst <= BOUND * patient.slack and relative <= RELATIVE * patient.slack:
            patient.model.layout = "shared"
            return Finding("shared prefix", "ok", figure if short else f"{figure}, whole last layer")
        found.append(figure)
    patient.model.layout = "plain"
    return Finding("shared prefix", "plain", found[-1], "not exact on this model: the plain layout is used")


def _gradient(logprobs: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    if not parameters:
        return logprobs.new_zeros(1)
    weights = torch.linspace(0.5, 1.5, len(logprobs), device=logprobs.device)[:, None]
    found = torch.autograd.grad((logprobs * weights).sum(), parameters, allow_unused=True)
    return torch.cat([g.flatten().float() for g in found if g is not None])


@torch.no_grad()
def padding_is_harmless(patient: Patient) -> Finding:
    """A prompt with its completions alone gives what it gives beside longer ones."""
    layout = patient.model.layout
    together = patient.logprobs(layout)
    worst = 0.0
    for row, encoded in enumerate(patient.encoded):
        mine = [n for n, r in enumerate(patient.rows) if r == row]
        batch = collate(
            [encoded], [patient.completions[n] for n in mine], [0] * len(mine), patient.model.processor.pad_id
        )
        alone = patient.logprobs(layout, batch.to(patient.model.trunk.device))
        worst = max(worst, float((together[mine][:, : alone.shape[1]] - alone).abs().max()))
    ok = worst <= BOUND * patient.slack
    advice = "" if ok else "train with one prompt a batch, and report this architecture"
    return Finding("padding is harmless", "ok" if ok else "failed", f"log p {worst:.1e}", advice)


@torch.no_grad()
def training_equals_sampling(patient: Patient) -> Finding:
    """Teacher forcing gives what was sampled the log-probabilities that it was sampled with."""
    model = patient.model
    asked = collate_prompts(patient.encoded, model.processor.pad_id).to(model.trunk.device)
    rows = torch.arange(len(patient.encoded)).repeat_interleave(2)
    sampled = generate(model, asked, rows.to(asked.ids.device), Decoding(8), torch.Generator().manual_seed(2))
    batch = collate(patient.encoded, sampled.ids, rows.tolist(), model.processor.pad_id)
    forced = patient.logprobs(model.layout, batch.to(model.trunk.device)).cpu()
    worst = max(float((forced[n, : len(lp)] - lp).abs().max()) for n, lp in enumerate(sampled.logprobs))
    ok = worst <= BOUND * patient.slack
    advice = "" if ok else "ratios in PPO and GRPO would be wrong; report this architecture"
    return Finding("training = sampling", "ok" if ok else "failed", f"log p {worst:.1e}", advice)


@torch.no_grad()
def agrees_with_transformers(patient: Patient) -> Finding:
    """Log-probabilities are those of the model's own logits for one prompt and its completion, without any of ours."""
    model, worst = patient.model, 0.0
    for row, encoded in enumerate(patient.encoded):
        n = patient.rows.index(row)
        ids = patient.completions[n]
        whole = torch.cat([encoded.ids, ids])[None].to(model.trunk.device)
        per_token = {
            k: torch.cat([t, t.new_zeros(len(ids))])[None].to(whole.device) for k, t in encoded.per_token.items()
        }
        media = {k: t.to(whole.device) for k, t in encoded.media.items()}
        with model.in_role():
            logits = (
                model.trunk(input_ids=whole, attention_mask=torch.ones_like(whole), **per_token, **media)
                .logits[0]
                .float()
            )
        logits[:, list(model.suppressed)] = torch.finfo(logits.dtype).min
        theirs = logits[len(encoded.ids) - 1 : -1].log_softmax(-1).gather(-1, ids.to(whole.device)[:, None])[:, 0]
        batch = collate([encoded], [ids], [0], model.processor.pad_id).to(model.trunk.device)
        worst = max(worst, float((patient.logprobs(model.layout, batch)[0] - theirs).abs().max()))
    ok = worst <= BOUND * patient.slack
    advice = "" if ok else "this architecture needs an adapter in models/architectures"
    return Finding("agrees with transformers", "ok" if ok else "failed", f"log p {worst:.1e}", advice)


@torch.no_grad()
def saving_keeps_bits(patient: Patient) -> Finding:
    """Saved to a folder and loaded again, it gives the same bits."""
    with tempfile.TemporaryDirectory() as scratch:
        patient.model.save(Path(scratch))
        back = load_model(scratch, patient.model.trunk.dtype)
    back.layout = patient.model.layout
    again = replace(patient, model=back.to(patient.model.trunk.device))
    same = torch.equal(patient.logprobs(back.layout), again.logprobs(back.layout))
    advice = "" if same else "checkpoints of this model would not be what was trained"
    return Finding("save and load", "ok" if same else "failed", "the same bits" if same else "other bits", advice)


def template_fits_mask(patient: Patient) -> Finding:
    """The chat template puts an answer where the loss mask says: right behind the prompt, its end last."""
    processor, answer = patient.model.processor, "It is noise."
    prompt = Prompt("doctor", (Message("user", (Text("What is this?"),)),))
    whole = processor.render((*prompt.messages, Message("assistant", (Text(answer),))), ask=False)
    ids = processor.encode_text(whole)
    asked = processor.encode_text(processor.render(prompt.messages, ask=True))
    expected = [*asked, *processor.encode_completion(Completion("c", "doctor", answer, "doctor")).tolist()]
    if ids[: len(expected)] == expected:
        return Finding("template and loss mask", "ok", f"{len(expected) - len(asked)} tokens of the answer are learnt")
    first = next(i for i, (a, b) in enumerate(zip([*ids, -1], [*expected, -2], strict=False)) if a != b)
    where = processor.tokenizer.decode(ids[max(0, first - 3) : first + 3])
    return Finding(
        "template and loss mask",
        "failed",
        f"differs at token {first}: {where!r}",
        "answers would be learnt where the model's template does not put them; change its chat template",
    )


def examine(model: Model) -> list[Finding]:
    """All checks of a model; sets its layout to what was found exact."""
    model.eval()
    with tempfile.TemporaryDirectory() as scratch:
        patient = admit(model, Blobs(Path(scratch)))
    layout = shared_prefix_is_exact(patient)  # first: the others examine the layout that is going to be used
    return [
        *media_change_answers(patient),
        *placeholders_are_counted(patient),
        layout,
        agrees_with_transformers(patient),
        padding_is_harmless(patient),
        training_equals_sampling(patient),
        saving_keeps_bits(patient),
        template_fits_mask(patient),
    ]


def first_step(model: Model, encoded: Sequence[EncodedPrompt]) -> list[Finding]:
    """The part of the examination that each training begins with, on its own prompts.

    One prompt of each mixture of media is read with and without them, and in both layouts; the plain layout is chosen
    where the shared prefix is not exact.

    Args:
        model: what is going to be trained.
        encoded: some of its prompts.

    Raises:
        IntegrityError: if a medium does not change what the model says.
    """
    mixtures = {tuple(sorted(name for name, count in e.placeholders.items() if count)): e for e in encoded}
    chosen = list(mixtures.values())
    words = model.processor.encode_completion(Completion("first", "first", "a few words", "doctor"))
    rows = [row for row in range(len(chosen)) for _ in range(2)]
    patient = Patient(model, chosen, [words[: 1 + n % 2 * len(words)] for n in range(len(rows))], rows)
    kept, model.features = model.features, None
    try:
        findings = media_change_answers(patient)
        if model.layout == "shared":
            findings.append(shared_prefix_is_exact(patient))
    finally:
        model.features = kept
    for finding in findings:
        if finding.verdict == "failed":
            raise IntegrityError(f"{finding.check}: no ({finding.figure}); {finding.advice}")
    return findings
