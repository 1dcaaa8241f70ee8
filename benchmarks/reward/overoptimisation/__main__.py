"""Over-optimisation, seen and stopped: gold against a proxy learnt from n comparisons (2210.10760; 2310.02743).

python -m benchmarks.reward.overoptimisation --json FILE [--world demo|real|both] [--seeds 3] [--only-seed 1]

`demo`: best of n and PPO with the demo's model; gold is the hidden rule that its simulated annotators follow with
noise. `real`: choosing among recordings and among captions, where gold is what people said. What is finished is kept
in FILE.parts/, by world and seed, and not done again; `--only-seed` does one seed, so that several may go side by side.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.reward.overoptimisation.curve import Curve, curve_of
from benchmarks.reward.overoptimisation.demo import TINY, DemoWorld
from benchmarks.reward.overoptimisation.drawing import draw_worlds
from benchmarks.reward.overoptimisation.people import Captions, Speech
from benchmarks.reward.overoptimisation.table import endings, endings_table, fits, fits_table

WORLDS = {"demo": ("demo",), "real": ("speech", "captions"), "both": ("demo", "speech", "captions")}


SPLITS = {"demo": 1, "speech": 4, "captions": 1}
"""Seeds of a world for each that is asked for: a split of the speakers is one set to choose from, and soon done."""


def parts(asked: argparse.Namespace) -> dict[str, list[list[Curve]]]:
    """The curves of every world and seed; made where they are not there yet."""
    folder = Path(f"{asked.json}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    out: dict[str, list[list[Curve]]] = {}
    for world in WORLDS[asked.world]:
        seeds = range(asked.seeds * SPLITS[world])
        wanted = list(seeds) if asked.only_seed is None else [asked.only_seed]
        files = {seed: folder / f"{world}-{seed}.json" for seed in wanted}
        make(world, {seed: file for seed, file in files.items() if not file.exists()}, folder, asked)
        out[world] = [[curve_of(record) for record in json.loads(f.read_text())["curves"]] for f in files.values()]
    return out


def make(world: str, files: Mapping[int, Path], folder: Path, asked: argparse.Namespace) -> None:
    """The curves of some seeds, each written when it is done."""
    if not files:
        return
    begun = time.process_time()

    def told(text: str) -> None:
        print(f"{world}: {text}, {time.process_time() - begun:.0f} s of processor time", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        opened = open_world(world, folder, Path(scratch), asked)
        for seed, file in files.items():
            started = time.process_time()
            made = [curve.to_json() for curve in opened.curves(seed, told)]
            draft = file.with_suffix(".new")
            draft.write_text(json.dumps({"seconds": round(time.process_time() - started, 1), "curves": made}) + "\n")
            draft.replace(file)


def open_world(name: str, folder: Path, scratch: Path, asked: argparse.Namespace) -> DemoWorld | Speech | Captions:
    """A world by name."""
    if name == "demo":
        return DemoWorld(asked.run or folder / "run", asked.override, TINY if asked.tiny else None)
    if name == "speech":
        return Speech(asked.data / "speechocean", scratch)
    return Captions(asked.data / "caption_contest", scratch)


def report(worlds: Mapping[str, Sequence[Sequence[Curve]]]) -> dict[str, object]:
    """Tables, printed, and the same as JSON."""
    out: dict[str, object] = {}
    for world, seeds in worlds.items():
        ends, laws = endings(seeds), fits(seeds)
        print(f"\n{world}, {len(seeds)} seeds\n\n{endings_table(ends)}\n\n{fits_table(laws)}", flush=True)
        named = [
            {**dict(zip(("optimiser", "comparisons", "reward", "penalty"), key, strict=True)), **asdict(fit)}
            for key, fit in laws.items()
        ]
        out[world] = {"seeds": len(seeds), "endings": [asdict(end) for end in ends], "fits": named}
    return out


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    parser.add_argument("--svg", type=Path, help="where the plot is written")
    parser.add_argument("--world", choices=list(WORLDS), default="both")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only-seed", type=int, help="do this seed alone")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--run", type=Path, help="a run of recipes/demo.yaml whose supervised model is taken")
    parser.add_argument("--override", action="append", default=[], help="key=value for the demo's recipe")
    parser.add_argument("--tiny", action="store_true", help="next to nothing, to see that it works")
    asked = parser.parse_args(given)
    torch.set_num_threads(1)
    worlds = parts(asked)
    asked.json.write_text(json.dumps(report(worlds), indent=1) + "\n")
    if asked.svg:
        asked.svg.write_text(draw_worlds(worlds) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
