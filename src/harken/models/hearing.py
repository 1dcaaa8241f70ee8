"""A model that hears samples where it is given them: log-mel frames are made of them on the way, with gradients."""

from dataclasses import replace

from torch import nn

from harken.data.batch import Batch, Outputs, Prompts
from harken.data.processor import SAMPLES, Processor
from harken.models.fusion.log_mel import LogMel


class Hearing(nn.Module):
    """A module whose batches may have samples besides frames (`EncodedPrompts(..., samples=True)`).

    An attack that names `samples` moves what a loudspeaker plays, and its gradient goes through the frames.

    Args:
        module: called as `module(batch, needs)`; it never sees samples.
        processor: that it reads with; of harken's own family.

    Raises:
        ValueError: if the processor makes no log-mel frames.
    """

    def __init__(self, module: nn.Module, processor: Processor):
        super().__init__()
        self.module = module
        self.log_mel = LogMel(getattr(processor.hf, "feature_extractor", None))

    def forward(self, batch: Batch, needs: frozenset[str]) -> Outputs:
        """As the module's, of what the samples sound like."""
        out: Outputs = self.module(replace(batch, prompts=self.heard(batch.prompts)), needs)
        return out

    def heard(self, prompts: Prompts) -> Prompts:
        """The prompts with frames of their samples, as the module reads them; as they are, where there are none."""
        if SAMPLES[0] not in prompts.media:
            return prompts
        media = {name: tensor for name, tensor in prompts.media.items() if name not in SAMPLES}
        samples, _, extents = (prompts.media[name] for name in SAMPLES)
        media["input_features"] = self.log_mel(samples, extents).to(media["input_features"].dtype)
        rows = {name: counts for name, counts in prompts.media_rows.items() if name not in SAMPLES}
        return replace(prompts, media=media, media_rows=rows, media_keys=("",) * len(prompts.ids))
