"""Early fusion: features of media take the places of their placeholder tokens in one joined sequence."""

from jaxtyping import Float, Int
from torch import Tensor


def join(
    embeds: Float[Tensor, "B T D"],
    ids: Int[Tensor, "B T"],
    placeholder: int,
    features: Float[Tensor, "M D"],
    modality: str,
) -> Float[Tensor, "B T D"]:
    """Put features, in order, where the placeholders are.

    Args:
        embeds: embeddings of the tokens.
        ids: the tokens.
        placeholder: the id of the modality's placeholder token.
        features: one row a placeholder, in the order of the batch.
        modality: for the error.

    Raises:
        ValueError: if there are not as many placeholders as features: a medium would be lost, or invented.
    """
    where = ids == placeholder
    count = int(where.sum())
    if count != len(features):
        raise ValueError(
            f"{modality}: {count} placeholder tokens in the batch, but {len(features)} features from its media; "
            "each medium must stand in the prompt exactly once (was a placeholder cut off, or a medium dropped?)"
        )
    return embeds.masked_scatter(where[..., None], features.to(embeds.dtype))
