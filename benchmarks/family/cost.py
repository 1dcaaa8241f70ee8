"""What each part of the family costs: seconds and memory of a forward and a backward, at three sizes.

python -m benchmarks.family.cost --json FILE [--plot FILE.svg] [--batch N] [--repeats N] [--only NAME,...]

A part stands alone: an encoder reads media, a way of joining three streams, a head what is joined. Milliseconds are
the fastest of the repeats, which other work on the machine disturbs least. Memory is the most that tensors held at one
time above what was there before, as torch's profiler counts allocations: what is kept for the backward, and gradients.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

import harken.models.fusion.fuse
import harken.models.fusion.heads
from benchmarks.family.command import write_figures
from benchmarks.family.cost_plot import cost_plot
from benchmarks.family.sized import SIZES, decoder, encoder
from harken.models.fusion import parts
from harken.models.fusion.fuse.fuse import Streams
from harken.models.fusion.heads.head import View
from harken.models.fusion.stream import Stream

STATES = {"image": 64, "audio": 50, "text": 32}
"""States of each stream that is joined."""
PICTURE, FRAMES, WORDS, STEPS, ANSWER = (3, 32, 32), 400, 32, (64, 8), 128
"""Of a medium: colours and pixels, log-mel frames (4 s), words, steps and channels; and tokens that a decoder reads."""
WARM = 2


@dataclass(frozen=True)
class Job:
    """One part of one size: its module, and what is summed up and differentiated."""

    room: str
    part: str
    size: str
    module: nn.Module
    forward: Callable[[], Tensor]


def encoders(batch: int) -> Iterator[Job]:
    """Each encoder of each modality."""
    media: dict[str, Tensor] = {
        "image": torch.rand(batch, *PICTURE),
        "audio": torch.randn(batch, 80, FRAMES),
        "numbers": torch.randn(batch, *STEPS),
        "text": torch.randint(1, 500, (batch, WORDS)),
    }
    for modality, (package, _) in parts.ENCODERS.items():
        for name in parts.names_in(package):
            for size_name, size in SIZES.items():
                module = encoder(modality, name, size).build()
                given = media[modality]
                yield Job(
                    f"{modality} encoder",
                    name,
                    size_name,
                    module,
                    lambda m=module, x=given: m(x).states.square().mean(),
                )


def streams_of(batch: int, width: int) -> Streams:
    """Random streams that ask for gradients."""
    real = {m: torch.ones(batch, count, dtype=torch.bool) for m, count in STATES.items()}
    return {m: Stream(torch.randn(batch, n, width, requires_grad=True), real[m]) for m, n in STATES.items()}


def fuses(batch: int) -> Iterator[Job]:
    """Each way of joining, without a language model."""
    for name in parts.names_in(harken.models.fusion.fuse):
        for size_name, size in SIZES.items():
            module = parts.fuse({"name": name}).build(size.width, list(STATES), False)
            streams = streams_of(batch, size.width)

            def joined(module: nn.Module = module, streams: Streams = streams) -> Tensor:
                packed = {m: module.compress(m, stream) for m, stream in streams.items()}
                total: Tensor = module(packed).shared.square().mean()
                return total

            yield Job("joining", name, size_name, module, joined)


def heads(batch: int) -> Iterator[Job]:
    """Each head; the language head is the decoder's layers over an answer."""
    for size_name, size in SIZES.items():
        speaker = decoder(size)
        ids = torch.randint(0, 500, (batch, ANSWER))
        yield Job("head", "language", size_name, speaker, lambda m=speaker, x=ids: m(x).logits.square().mean())
    for name in parts.names_in(harken.models.fusion.heads):
        if name == "language":
            continue
        for size_name, size in SIZES.items():
            between = {"between": ("image", "text")} if name == "contrast" else {}
            module = parts.head("it", {"name": name, **between}).build(size.width, list(STATES))
            streams = streams_of(batch, size.width)
            again = parts.fuse({"name": "concatenation"}).build(size.width, list(STATES), False)
            view = View(again(streams).shared.detach().requires_grad_(), streams, lambda s, j=again: j(s).shared)

            def read(module: nn.Module = module, view: View = view) -> Tensor:
                found = [value.float().square().mean() for value in module(view).values() if value.requires_grad]
                return torch.stack(found).sum()

            yield Job("head", name, size_name, module, read)


def once(job: Job) -> None:
    """A forward and a backward."""
    job.module.zero_grad(set_to_none=True)
    job.forward().backward()  # type: ignore[no-untyped-call]


def peak(job: Job) -> int:
    """The most bytes that tensors held at one time during one forward and backward, above what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        once(job)
    events = seen.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        held += change
        most = max(most, held)
    return most


def measured(job: Job, repeats: int) -> dict[str, Any]:
    """A job's figures."""
    seconds = []
    for number in range(WARM + repeats):
        start = time.perf_counter()
        once(job)
        if number >= WARM:
            seconds.append(time.perf_counter() - start)
    weights = sum(p.numel() for p in job.module.parameters())
    return {
        "room": job.room,
        "part": job.part,
        "size": job.size,
        "ms": round(1000 * min(seconds), 3),
        "ms_median": round(1000 * statistics.median(seconds), 3),
        "MiB": round(peak(job) / 2**20, 4),
        "weights": weights,
    }


def main() -> None:
    """Measure, print, draw and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--plot", type=Path, help="where the plot is drawn, as SVG")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="parts to measure, by name; all if not said")
    said = parser.parse_args()
    torch.set_num_threads(said.threads)
    torch.manual_seed(0)
    only = {name for name in said.only.split(",") if name}
    rows: list[dict[str, Any]] = []
    jobs = (job for room in (encoders, fuses, heads) for job in room(said.batch))
    for job in tqdm(jobs, "parts", disable=None):
        if not only or job.part in only:
            rows.append(measured(job, said.repeats))
            tqdm.write(json.dumps(rows[-1]))
    sizes = {name: {"width": size.width, "layers": size.layers} for name, size in SIZES.items()}
    write_figures(said.json, {"batch": said.batch, "threads": said.threads, "sizes": sizes, "rows": rows})
    if said.plot:
        said.plot.parent.mkdir(parents=True, exist_ok=True)
        said.plot.write_text(cost_plot(rows, said.batch))


if __name__ == "__main__":
    main()
