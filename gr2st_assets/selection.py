"""Which assets a run of some methods needs.

Belongs here: from names of methods to names of assets. Does not belong here: which partitions (``currency``), running
(``runs``).
"""

from collections.abc import Collection, Sequence

from gr2st_assets.kinds import BLUEPRINTS
from gr2st_core.models.registry import METHODS, method

MADE_WITH = {"graphs/functional_graph": "gr2st_ours", "evaluation/recall_scores": "low_rank_m224"}
"""Assets that are made where one method is run: they show the inside of its model, or read what it reads."""


def assets_for(methods: Collection[str]) -> list[str]:
    """Partitioned assets that training, predicting and scoring some methods takes; all assets for no method.

    Raises
    ------
    SettingsError
        No such method.
    """
    chosen = [method(name) for name in methods or METHODS]
    left_out = {spec.name for spec in METHODS.values()} - {spec.name for spec in chosen}
    own = {f"{family}_{name}" for family in ("models/model", "predictions/predictions") for name in left_out}
    own |= {asset for asset, name in MADE_WITH.items() if name in left_out}
    if left_out:
        encoders = {f"image/embeddings_{encoder}" for spec in chosen for encoder in spec.features}
        own |= {name for name in BLUEPRINTS if name.startswith("image/embeddings_")} - encoders
    return [name for name in BLUEPRINTS if name not in own]


def within(names: Sequence[str], partitions: str) -> list[str]:
    """Those of the assets that have the partitions."""
    return [name for name in names if BLUEPRINTS[name].partitions == partitions]
