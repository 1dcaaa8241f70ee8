"""Models that could watch videos, on a machine without torchvision: their folders load, and videos are refused.

All of transformers' video processors need torchvision, and a processor that has one among its parts (Qwen-VL and
Omni, LLaVA-OneVision, SmolVLM, InternVL, Gemma 4) cannot be built or loaded without it, not even for pictures. Here
a placeholder takes that part's place. It keeps the settings that the folder had and writes them when the processor
is saved, so that a model which was trained here watches videos again where torchvision is installed.
"""

from typing import Any

from transformers import ImageProcessingMixin, processing_utils
from transformers import __version__ as transformers_version
from transformers.utils import is_torchvision_available
from transformers.video_processing_utils import BaseVideoProcessor

PART = "video_processor"


class NoVideo(ImageProcessingMixin):
    """What stands for a video processor: its settings, and no more.

    Args:
        settings: the video processor's settings as the model's folder has them.
    """

    model_input_names = ()

    def __init__(self, **settings: Any):
        self._settings = settings

    @property
    def num_frames(self) -> Any:
        """Frames of a video (some processors ask even where there is none)."""
        return self._settings.get("num_frames")

    @property
    def fps(self) -> Any:
        """Frames a second of a video (some processors ask even where there is none)."""
        return self._settings.get("fps")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *_: Any, **kwargs: Any) -> "NoVideo":
        """The placeholder with a folder's settings, whatever video processor they are for; none if it has none."""
        try:
            found = BaseVideoProcessor.get_video_processor_dict(pretrained_model_name_or_path, **kwargs)
        except OSError:
            return cls()
        return cls(**found[0])

    def to_dict(self) -> dict[str, Any]:
        """The settings as they were read."""
        return dict(self._settings)

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Refuse.

        Raises:
            ImportError: always.
        """
        raise ImportError("a video was given, but transformers reads videos with torchvision only; install torchvision")


def stand_in_for_video() -> None:
    """Let transformers load processors with a video part without torchvision; with torchvision, change nothing.

    Raises:
        RuntimeError: if this version of transformers keeps its tables of parts elsewhere.
    """
    if is_torchvision_available():
        return
    try:
        loaders = processing_utils._LazyAutoProcessorMapping._MAPPING_NAMES
        classes = processing_utils.MODALITY_TO_BASE_CLASS_MAPPING
        known = PART in loaders and PART in classes
    except AttributeError:
        known = False
    if not known:
        raise RuntimeError(
            f"transformers {transformers_version} keeps its processors' parts elsewhere than 5.23, so harken cannot "
            "leave the video part out; install torchvision, or transformers 5.23"
        )
    loaders[PART] = (__name__, NoVideo.__name__)
    # The class that the part must have: video processors have this one too, and transformers finds it by its name.
    classes[PART] = ImageProcessingMixin.__name__
