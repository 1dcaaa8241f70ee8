"""harken teaches multimodal models what people prefer.

The verbs are handed on when first asked for, so that importing harken loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harken.pipeline.verbs import (
        collect_human_feedback,
        fine_tune_with_preferences,
        fine_tune_with_rl,
        load_pretrained_model,
        train_reward_model,
    )

__all__ = [
    "collect_human_feedback",
    "fine_tune_with_preferences",
    "fine_tune_with_rl",
    "load_pretrained_model",
    "train_reward_model",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'harken' has no attribute {name!r}")
    return getattr(importlib.import_module("harken.pipeline.verbs"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
