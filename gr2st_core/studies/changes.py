"""What is changed, one thing at a time.

Belongs here: the changes of both studies, and how a change applies to settings, panel and fold. Does not belong here:
the values tried (``settings.StudySettings``), training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from gr2st_core.models.registry import COLOR
from gr2st_core.models.spec import M224
from gr2st_core.settings import Gr2stSettings, Settings
from gr2st_core.training.folds import Fold
from gr2st_core.types import Panel

Study = Literal["ablation", "sensitivity"]
BASE = "base"
"""The ablation's row in which nothing is left out."""

LABELS: Mapping[str, str] = MappingProxyType(
    {
        "cell_types": "no cell types",
        "functional_graph": "no functional graph",
        "spatial_graph": "no spatial graph",
        "contrastive_term": "no contrastive term",
        "regression_head": "no regression head",
        "retrieval": "no retrieval",
        "context": "no context: the spot's own patch",
        "encoder": "floor encoder: colour and texture",
        "max_degree": "functional neighbours a spot, at most",
        "radius_pitches": "radius of the spatial graph [spot pitches]",
        "min_threshold": "lowest weight of a functional edge",
        "similarity_temperature": "temperature of the functional graph",
        "retrieval_temperature": "temperature of retrieval",
        "top_k": "reference spots averaged",
        "retrieval_weight": "share of retrieval in the prediction",
        "n_genes": "genes of the panel",
        "n_training_sections": "training sections",
    }
)
"""What each parameter is, for axes."""


@dataclass(frozen=True, slots=True)
class Change:
    """One departure from the base.

    Attributes
    ----------
    parameter
        What is changed: one of ``LABELS``, or ``base`` where nothing is.
    setting, value
        What it is changed to, as text, and as number if it is one.
    is_base
        Whether this is how the base is anyway.
    needs_training
        Whether a model of its own is trained; the others predict with the base's model.
    settings
        New values of ``Gr2stSettings``, nested ones as ``graph.radius_pitches``.
    features
        Encoders read instead of the base's; None: the base's.
    n_genes, n_sections
        Only the first so many genes of the panel, or training sections in key order; None: all.
    """

    study: Study
    parameter: str
    setting: str
    value: float | None = None
    is_base: bool = False
    needs_training: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    features: tuple[str, ...] | None = None
    n_genes: int | None = None
    n_sections: int | None = None

    def applied_to(self, settings: Gr2stSettings) -> Gr2stSettings:
        """Settings with the change in them, validated anew."""
        values = settings.model_dump()
        for name, value in self.settings.items():
            group, _, own = name.rpartition(".")
            (values[group] if group else values)[own] = value
        return Gr2stSettings.model_validate(values)

    def panel_of(self, panel: Panel) -> Panel:
        """Genes that the change predicts."""
        return panel if self.n_genes is None else Panel(panel.name, panel.genes[: self.n_genes])

    def fold_of(self, fold: Fold) -> Fold:
        """Fold that the change trains in; which patients are left follows from the order of the keys."""
        return fold if self.n_sections is None else replace(fold, train=fold.train[: self.n_sections])


@dataclass(frozen=True, slots=True)
class Base:
    """What of the base stands in no settings: the size of its fold, and what training chose."""

    n_genes: int
    n_sections: int
    top_k: int
    retrieval_weight: float


def ablations() -> list[Change]:
    """Make the base and one change for each part left out; context and encoder are replaced by something plainer."""
    only_retrieval = {"retrieval_weights": (1.0,), "mse_weight": 0.0, "gate_weight": 0.0}
    parts: dict[str, dict[str, Any]] = {
        "cell_types": {"cell_types": False},
        "functional_graph": {"functional_graph": False},
        "spatial_graph": {"spatial_graph": False},
        "contrastive_term": {"contrastive_weight": 0.0},
        "regression_head": only_retrieval,
        "retrieval": {"retrieval_weights": (0.0,)},
    }
    return [
        Change("ablation", BASE, BASE, is_base=True, needs_training=False),
        *(Change("ablation", name, "without", settings=values) for name, values in parts.items()),
        Change("ablation", "context", M224[0], features=M224),
        Change("ablation", "encoder", COLOR[0], features=COLOR),
    ]


def sensitivities(settings: Settings, base: Base) -> list[Change]:
    """Make one change for each value of each parameter: parameter by parameter, ascending, the base's value among them.

    Neighbours, temperature and share of retrieval act on the base's trained model: no loss term depends on them. The
    number of epochs, which the inner score chose under the base's own, is then the base's.
    """
    tried, own = settings.studies, settings.gr2st
    graph = own.graph
    return [
        *_varied("max_degree", "graph.max_degree", tried.max_degrees, graph.max_degree),
        *_varied("radius_pitches", "graph.radius_pitches", tried.radii_pitches, graph.radius_pitches),
        *_varied("min_threshold", "graph.min_threshold", tried.min_thresholds, graph.min_threshold),
        *_varied(
            "similarity_temperature",
            "similarity_temperature",
            tried.similarity_temperatures,
            own.similarity_temperature,
        ),
        *_looked_at(
            "retrieval_temperature",
            {v: {"retrieval_temperature": v} for v in tried.retrieval_temperatures},
            own.retrieval_temperature,
        ),
        *_looked_at("top_k", {k: {"top_ks": (k,)} for k in (*tried.top_ks, *own.top_ks)}, base.top_k),
        *_looked_at(
            "retrieval_weight",
            {w: {"retrieval_weights": (w,)} for w in (*tried.retrieval_weights, *own.retrieval_weights)},
            base.retrieval_weight,
        ),
        *_fewer("n_genes", tried.n_genes, base.n_genes),
        *_fewer("n_training_sections", tried.n_training_sections, base.n_sections),
    ]


def _varied(parameter: str, name: str, tried: Sequence[float], own: float) -> list[Change]:
    """Values that take a training each."""
    return [_of(parameter, v, own, settings={name: v}) for v in sorted({*tried, own})]


def _looked_at(parameter: str, tried: Mapping[float, Mapping[str, Any]], own: float) -> list[Change]:
    """Values that the base's model is asked to predict with."""
    values = {**tried, own: {}}
    return [_of(parameter, v, own, needs_training=False, settings=values[v]) for v in sorted(values)]


def _fewer(parameter: Literal["n_genes", "n_training_sections"], tried: Sequence[int], own: int) -> list[Change]:
    """Numbers below the base's own, and that."""
    place = {"n_genes": "n_genes", "n_training_sections": "n_sections"}[parameter]
    numbers = sorted({*(n for n in tried if n < own), own})
    return [_of(parameter, n, own, **{place: n}) for n in numbers]


def _of(parameter: str, value: float, own: float, **what: Any) -> Change:
    """Change of one parameter to a number; the base's own value changes nothing."""
    known: dict[str, Any] = {"study": "sensitivity", "parameter": parameter, "setting": f"{value:g}", "value": value}
    return Change(**known, is_base=True, needs_training=False) if value == own else Change(**known, **what)
