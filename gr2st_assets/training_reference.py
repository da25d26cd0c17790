"""The spots that a model was trained on, as something that other spots are compared with.

Belongs here: drawing them from the lake's patch features. Does not belong here: the comparison
(``gr2st_core.drift``), which model (``drift_sections``, ``slide_models``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gr2st_assets.drift_sections import features, measured
from gr2st_assets.lake import Lake
from gr2st_core.keys import SectionKey

if TYPE_CHECKING:
    from gr2st_core.drift.reference import Reference
    from gr2st_core.drift.samples import SpotSample
    from gr2st_core.settings import DriftSettings


def training_reference(
    lake: Lake, patients: Mapping[SectionKey, str], settings: "DriftSettings"
) -> "tuple[Reference | None, list[str]]":
    """Fit a reference on training sections, patients by section.

    Returns
    -------
    None where no section has patch features; and in words what is missing.
    """
    from gr2st_core.drift.reference import fit_reference
    from gr2st_core.drift.samples import draw_spots

    quota = max(1, settings.n_spots // max(1, len(patients)))

    def draw(key: SectionKey) -> "SpotSample | None":
        found = features(lake, key)
        return None if found is None or not len(found[0]) else draw_spots(str(key), *found, quota)

    samples, lacking = measured(sorted(patients), draw)
    if not samples:
        return None, [*lacking, "no training section has patch features, so no spot can be compared"]
    names = {str(key): patient for key, patient in patients.items()}
    return fit_reference(list(samples.values()), names, settings), lacking
