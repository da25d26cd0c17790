"""Which images are too coarse for the encoders that methods read.

Belongs here: the one rule that inspection and folds share. Does not belong here: cutting patches
(``gr2st_core.images``), which has the limit.
"""

from collections.abc import Mapping
from typing import Any

from gr2st_core.models.registry import METHODS


def _spans_um() -> dict[str, float]:
    """Patch span by encoder, of all encoders that methods read."""
    from gr2st_core.images.encoders import encoder_spec

    names = sorted({encoder for spec in METHODS.values() for encoder in spec.features})
    return {name: encoder_spec(name).span_um for name in names}


def blind_encoders(um_per_px: float) -> list[str]:
    """Encoders that cannot use an image of this resolution, in alphabetical order."""
    from gr2st_core.images.patches import is_too_coarse

    return [name for name, span_um in _spans_um().items() if is_too_coarse(span_um, um_per_px)]


def coarsest_um_per_px() -> float:
    """Resolution at which every encoder can use an image."""
    from gr2st_core.images.patches import MIN_PATCH_PX

    return min(_spans_um().values()) / MIN_PATCH_PX


def coarse_notes(facts: Mapping[str, Any]) -> list[str]:
    """What a person should know of a section's image; nothing where it is fine enough, or where there is none.

    Parameters
    ----------
    facts
        What inspection found of the section.
    """
    blind = blind_encoders(facts["um_per_px"])
    if facts["size_px"] is None or not blind:
        return []
    has_counts = facts["counts"] is not None
    use = "its counts are used, its image is not" if has_counts else "methods that read them cannot predict it"
    scale = f"{facts['um_per_px']:.2f} um/px, at most {coarsest_um_per_px():.2f}"
    return [f"the image is too coarse ({scale}) for {', '.join(blind)}; {use}"]
