"""SmolVLM (2504.05299): Idefics3 with a video part. 4 tokens a tile. Its processor needs num2words."""

from pathlib import Path

from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration, SmolVLMImageProcessor, SmolVLMProcessor

from families import idefics3, pieces
from harken.models.novideo import NoVideo


def save(folder: Path, seed: int = 0) -> None:
    words = pieces.tokenizer(
        {
            "image_token": "<image>",
            "fake_image_token": "<fake_token_around_image>",
            "global_image_token": "<global-img>",
            "end_of_utterance_token": idefics3.END,
        },
        idefics3.CONTROL,
        idefics3.END,
    )
    config = SmolVLMConfig(**idefics3.parts_of_config(words))
    tile = idefics3.TILE
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size={"longest_edge": 2 * tile}, max_image_size={"longest_edge": tile}),
        words,
        NoVideo(num_frames=8, fps=1),
        image_seq_len=idefics3.TOKENS,
        chat_template=idefics3.TEMPLATE,
    )
    pieces.save(SmolVLMForConditionalGeneration(config), processor, folder, seed)
