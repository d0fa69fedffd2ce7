"""When the water comes back."""

from math import cos, pi

PERIOD = 12.42  # hours from one high water to the next


def height(hours: float, *, amplitude: float = 1.5) -> float:
    """The height of the water above its mean, so many hours after high water."""
    return amplitude * cos(2 * pi * hours / PERIOD)
