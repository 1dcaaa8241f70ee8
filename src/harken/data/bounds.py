"""Settings out of their range are refused where they are said."""

import math


def at_least(config: object, part: str, **lowest: int | float) -> None:
    """Refuse fields that are no number or below their lowest value; None is left alone.

    Args:
        config: what has the fields.
        part: of the recipe, for the error.
        lowest: by the field's name.

    Raises:
        ValueError: naming the field, its value and the lowest.
    """
    for name, low in lowest.items():
        value = getattr(config, name)
        if value is not None and not (math.isfinite(value) and value >= low):
            raise ValueError(f"{part}.{name} must be a number from {low} up, not {value}")


def share(config: object, part: str, *names: str) -> None:
    """Refuse fields that are no share from 0 to 1.

    Raises:
        ValueError: naming the field and its value.
    """
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise ValueError(f"{part}.{name} must be a share from 0 to 1, not {value}")
