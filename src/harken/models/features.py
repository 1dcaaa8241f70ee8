"""Outputs of frozen encoders, computed once a medium and kept by (content hash, encoder hash).

What a prompt's media become before they are put among its words depends on nothing that is trained while the encoders
are frozen: policy, reference, critic and reward model read the same features in every epoch. They lie in safetensors
files that are mapped into memory; a model reads them in place of running its encoders.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from harken.data.batch import EncodedPrompt, Prompts, collate_prompts
from harken.models.encoders import (
    are_frozen,
    as_encoded,
    encoder_hash,
    flat_features,
    methods_of,
    standing_in,
)


class _Reached(Exception):
    """The encoders have run; the decoder need not."""


class Features:
    """The features of prompts' media, by the content hash of those media.

    Args:
        trunk: whose encoders; they must be frozen.
        folder: where files lie; the encoder's hash names a folder in it.

    Raises:
        ValueError: if an encoder is trained, or the model has no encoders that harken can stand in for.
    """

    def __init__(self, trunk: PreTrainedModel, folder: Path):
        if not are_frozen(trunk):
            raise ValueError("features are kept for frozen encoders only, and an encoder of this model is trained")
        self.methods = methods_of(trunk)
        if not self.methods:
            raise ValueError(f"{type(trunk).__name__} has no encoders whose outputs can be kept")
        self.folder = folder / encoder_hash(trunk)
        self._files: list[Any] = []
        self._where: dict[str, Any] = {}
        self._names: dict[str, list[str]] = {}
        self._open()

    @staticmethod
    def fits(trunk: PreTrainedModel) -> bool:
        """Whether harken can stand in for the encoders of this model."""
        return bool(methods_of(trunk))

    def __deepcopy__(self, memo: object) -> "Features":
        """A copy of a model reads the same files."""
        return self

    def _open(self) -> None:
        for path in sorted(self.folder.glob("*.safetensors"))[len(self._files) :]:
            opened = safe_open(path, "pt")
            self._files.append(opened)
            for name in opened.keys():  # noqa: SIM118  (a handle, not a mapping)
                self._where[name] = opened
                key, modality, *field = name.split(".", 2)
                if field:
                    self._names.setdefault(f"{key}.{modality}.", []).append(field[0])

    def missing(self, prompts: Sequence[EncodedPrompt]) -> list[EncodedPrompt]:
        """Those of the prompts whose media were not computed yet, each set of media once."""
        found = {p.media_key: p for p in prompts if p.media_key and f"{p.media_key}.done" not in self._where}
        return list(found.values())

    @torch.no_grad()
    def fill(self, trunk: PreTrainedModel, prompts: Sequence[EncodedPrompt], pad_id: int, batch: int = 32) -> int:
        """Run the encoders over the media of prompts that are not there yet, and write what they give.

        Returns:
            how many prompts' media were computed.
        """
        todo = self.missing(prompts)
        # Media of one size run together, without padding between them.
        todo.sort(key=lambda p: [(name, tuple(t.shape)) for name, t in sorted(p.media.items())])
        tensors: dict[str, Tensor] = {}
        for start in range(0, len(todo), batch):
            part = todo[start : start + batch]
            tensors |= self._compute(trunk, part, pad_id)
        if tensors:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{len(self._files):06d}.safetensors"
            save_file(tensors, path.with_suffix(".writing"))
            os.replace(path.with_suffix(".writing"), path)
            self._open()
        return len(todo)

    def _compute(self, trunk: PreTrainedModel, part: Sequence[EncodedPrompt], pad_id: int) -> dict[str, Tensor]:
        prompts = collate_prompts(part, pad_id).to(trunk.device)
        tensors: dict[str, Tensor] = {f"{p.media_key}.done": torch.ones(1, dtype=torch.uint8) for p in part}
        for modality, out in self._encode(trunk, prompts).items():
            counts = prompts.placeholders[modality].tolist()
            for name, tensor in flat_features(out).items():
                for prompt, rows in zip(part, tensor.split(counts), strict=True):
                    if len(rows):
                        tensors[f"{prompt.media_key}.{modality}.{name}"] = rows.clone().cpu()
        return tensors

    def _encode(self, trunk: PreTrainedModel, prompts: Prompts) -> dict[str, Any]:
        """What the encoders give for a batch, seen on its way to the decoder, which is not run."""
        made: dict[str, Any] = {}
        base, decoder = trunk.base_model, trunk.get_decoder()

        def stop(*args: Any, **kwargs: Any) -> None:
            raise _Reached

        def listening(modality: str, method: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                made[modality] = method(*args, **kwargs)
                return made[modality]

            return call

        before = decoder.forward
        decoder.forward = stop
        try:
            with standing_in(base, {m: listening(m, getattr(base, n)) for m, n in self.methods.items()}):
                base(input_ids=prompts.ids, attention_mask=prompts.mask.long(), **prompts.per_token, **prompts.media)
        except _Reached:
            pass
        finally:
            decoder.forward = before
        return made

    @contextmanager
    def read_by(self, trunk: PreTrainedModel, prompts: Prompts) -> Iterator[None]:
        """Within, the trunk reads these prompts' features in place of running its encoders.

        Raises:
            KeyError: if a prompt's media were never computed (`fill` does it).
        """
        give = {modality: self._giving(trunk, prompts, modality) for modality in self.methods}
        with standing_in(trunk.base_model, give):
            yield

    def _giving(self, trunk: PreTrainedModel, prompts: Prompts, modality: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            keys = [k for k, n in zip(prompts.media_keys, prompts.placeholders[modality].tolist(), strict=True) if n]
            named: dict[str, list[Tensor]] = {}
            for key in keys:
                start = f"{key}.{modality}."
                names = self._names.get(start, ())
                if not names:
                    raise KeyError(f"the {modality} features of a prompt's media were never computed; `fill` does it")
                for name in names:
                    named.setdefault(name, []).append(self._where[start + name].get_tensor(start + name))
            flat = {name: torch.cat(parts).to(trunk.device) for name, parts in named.items()}
            return as_encoded(flat)

        return call
