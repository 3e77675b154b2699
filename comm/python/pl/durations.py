"""Durations as people write them."""


def brief(seconds: float) -> str:
    """A duration in the two units that matter: ``3.2 s``, ``4 min 5 s``, ``2 h 10 min``, ``3 d 1 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
