"""Training spots beside each spot: those that a method looked up, else the one that looks most alike.

Belongs here: asking a trained method, naming what it says, and what is shown where it looks nothing up. Does not belong
here: the search (``gr2st_core.retrieval``).
"""

from typing import TYPE_CHECKING

from gr2st_assets.explorer.view import ReferenceSpots

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from gr2st_core.predictor import Fitted
    from gr2st_core.retrieval.references import References
    from gr2st_core.types import ImageSection

SHOWN = 5
"""Reference spots of each spot."""


def reference_spots(fitted: "Fitted", image: "ImageSection", name: str, drift: "pd.DataFrame | None") -> ReferenceSpots:
    """Name the reference spots of a section's spots.

    Parameters
    ----------
    drift
        Rows of ``serving/spot_drift`` in the order of the section's spots, or None.
    """
    from gr2st_core.retrieval.references import LooksUp

    found = fitted.references(image, SHOWN) if isinstance(fitted, LooksUp) else None
    if found is not None and found.share > 0:
        return _of_method(found)
    why = f"{name} looks no training spots up" if found is None else f"{name} gave its part {found.part} no weight"
    return _most_alike(drift, image.n_spots, why)


def _of_method(found: "References") -> ReferenceSpots:
    named = f"part {found.part}" if found.part != "values" else "prediction"
    share = f", which is {found.share:.0%} of the prediction" if found.part != "values" else ""
    note = (
        f"The {found.weights.shape[1]} training spots that weigh most in the {named}{share}; "
        f"each with its weight there, on average {float(found.weights.sum(axis=1).mean()):.0%} together."
    )
    names, index = _numbered(found.section_keys, found.spot_ids)
    return ReferenceSpots(names, index, found.weights, note)


def _most_alike(drift: "pd.DataFrame | None", n_spots: int, why: str) -> ReferenceSpots:
    import numpy as np

    if drift is None:
        return ReferenceSpots((), np.empty((n_spots, 0), np.int32), None, f"{why}.")
    cohort = drift.reference_cohort.iloc[0]
    sections = np.array([[f"{cohort}/{name}"] for name in drift.nearest_section_id])
    names, index = _numbered(sections, drift.nearest_spot_id.to_numpy(dtype=np.str_)[:, None])
    note = (
        f"{why}. Instead, the training spot of the champion of {cohort} that looks most alike "
        "(image features, spot_drift): it did not make the prediction."
    )
    return ReferenceSpots(names, index, None, note)


def _numbered(section_keys: "np.ndarray", spot_ids: "np.ndarray") -> "tuple[tuple[tuple[str, str], ...], np.ndarray]":
    """Each pair once, in order of its first place, and the number of each place."""
    import numpy as np

    pairs = list(zip(section_keys.ravel().tolist(), spot_ids.ravel().tolist(), strict=True))
    number = {pair: k for k, pair in enumerate(dict.fromkeys(pairs))}
    return tuple(number), np.array([number[pair] for pair in pairs], dtype=np.int32).reshape(spot_ids.shape)
