"""A model of the family without a language head: media in, what its heads say out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from harken.data.batch import Batch, EncodedPrompt, Outputs, collate_prompts
from harken.data.processor import Processor
from harken.models.encoders import counted
from harken.models.fusion.model import FusionForPrediction


class Predictor(nn.Module):
    """Trunk and processor.

    Attributes:
        trunk: the Hugging Face model.
        processor: what it reads with.
    """

    def __init__(self, trunk: FusionForPrediction, processor: Processor):
        super().__init__()
        self.trunk = trunk
        self.processor = processor

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """What the heads say of P prompts, as `Outputs.heads`; nothing else can be needed.

        Raises:
            IntegrityError: if placeholders and features differ in number.
        """
        prompts = batch.prompts
        with counted(self.trunk, prompts, self.processor.placeholders):
            return Outputs(heads=self.trunk(prompts.ids, **prompts.media))

    @torch.no_grad()
    def predict(self, encoded: Sequence[EncodedPrompt], batch: int = 256) -> Mapping[str, Tensor]:
        """What the heads say of any number of prompts, `batch` at a time; by `head.output`, with a row for each.

        Numbers that are one for a whole batch (a contrastive head's scale) are left out.
        """
        self.eval()
        found: dict[str, list[Tensor]] = {}
        for start in range(0, len(encoded), batch):
            part = encoded[start : start + batch]
            prompts = collate_prompts(part, self.processor.pad_id).to(self.trunk.device)
            for name, value in self.trunk(prompts.ids, **prompts.media).items():
                if value.dim() and len(value) == len(part):
                    found.setdefault(name, []).append(value.float().cpu())
        return {name: torch.cat(values) for name, values in found.items()}

    def save(self, folder: Path) -> None:
        """Write a Hugging Face folder, in safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        self.trunk.save_pretrained(folder)
        self.processor.save(str(folder))
