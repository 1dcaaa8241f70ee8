"""Tiny random models of many Hugging Face families, each saved to a folder as a user's would be."""

from collections.abc import Callable

from families import (
    gemma3,
    gemma4,
    idefics3,
    internvl,
    janus,
    llava,
    llava_onevision,
    qwen2_5_omni,
    qwen2_5_vl,
    qwen2_audio,
    qwen2_vl,
    qwen3_5,
    qwen3_vl,
    smolvlm,
    text,
    voxtral,
)

Save = Callable[..., None]
IMAGE, AUDIO = frozenset({"image"}), frozenset({"audio"})

# How it is saved, what it takes besides text, and whether a prompt may have several pictures.
FAMILIES: dict[str, tuple[Save, frozenset[str], bool]] = {
    "text": (text.save, frozenset(), False),
    "llava": (llava.save, IMAGE, True),
    "llava_onevision": (llava_onevision.save, IMAGE, True),
    "qwen2_vl": (qwen2_vl.save, IMAGE, True),
    "qwen2_5_vl": (qwen2_5_vl.save, IMAGE, True),
    "qwen3_vl": (qwen3_vl.save, IMAGE, True),
    "qwen3_5": (qwen3_5.save, IMAGE, True),
    "idefics3": (idefics3.save, IMAGE, True),
    "smolvlm": (smolvlm.save, IMAGE, True),
    "gemma3": (gemma3.save, IMAGE, True),
    "gemma4": (gemma4.save, IMAGE | AUDIO, True),
    "internvl": (internvl.save, IMAGE, True),
    "janus": (janus.save, IMAGE, True),
    "qwen2_audio": (qwen2_audio.save, AUDIO, False),
    "voxtral": (voxtral.save, AUDIO, False),
    "qwen2_5_omni": (qwen2_5_omni.save, IMAGE | AUDIO, True),
}
