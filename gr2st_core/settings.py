"""Every default of the project, once.

Belongs here: frozen, validated settings and how a YAML file overrides them. Does not belong here: paths (but those of
starting weights that a user names), secrets, or anything that depends on the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError, model_validator

from gr2st_core.comparator_settings.hggep import FEATURES_SMALL as HGGEP_FEATURES_SMALL
from gr2st_core.comparator_settings.hggep import SMALL as HGGEP_SMALL
from gr2st_core.comparator_settings.hggep import HGGEPSettings
from gr2st_core.comparator_settings.hist2st import FEATURES_SMALL as HIST2ST_FEATURES_SMALL
from gr2st_core.comparator_settings.hist2st import SMALL as HIST2ST_SMALL
from gr2st_core.comparator_settings.hist2st import Hist2STSettings
from gr2st_core.comparator_settings.histogene import FEATURES_SMALL as HISTOGENE_FEATURES_SMALL
from gr2st_core.comparator_settings.histogene import SMALL as HISTOGENE_SMALL
from gr2st_core.comparator_settings.histogene import HisToGeneSettings
from gr2st_core.comparator_settings.mclstexp import FEATURES_SMALL as MCLSTEXP_FEATURES_SMALL
from gr2st_core.comparator_settings.mclstexp import SMALL as MCLSTEXP_SMALL
from gr2st_core.comparator_settings.mclstexp import MclStExpSettings
from gr2st_core.comparator_settings.multires import SMALL as MULTIRES_SMALL
from gr2st_core.comparator_settings.multires import MultiresSettings
from gr2st_core.comparator_settings.reg2st import SMALL as REG2ST_SMALL
from gr2st_core.comparator_settings.reg2st import Reg2STSettings
from gr2st_core.comparator_settings.thitogene import FEATURES_SMALL as THITOGENE_FEATURES_SMALL
from gr2st_core.comparator_settings.thitogene import SMALL as THITOGENE_SMALL
from gr2st_core.comparator_settings.thitogene import THItoGeneSettings
from gr2st_core.errors import SettingsError
from gr2st_core.frozen import Frozen, Share


class ImageSettings(Frozen):
    """How patches are cut and encoded."""

    stain: Literal["none", "reinhard"] = Field("none", description="stain normalisation of the whole section")
    batch_size: int = Field(64, ge=1, description="patches encoded at once, at most; memory may lower it")


class Limits(Frozen):
    """What one section's files may ask of the machine; beyond it the section is refused."""

    max_megapixels: int = Field(250, ge=1, description="pixels of an image that is decoded whole")
    max_bytes: int = Field(2**30, ge=1, description="bytes that a compressed file may unpack to")
    max_cells: int = Field(2**29, ge=1, description="non-zero entries of a count matrix")
    max_spots: int = Field(500_000, ge=1, description="spots of a section")
    max_seconds: int = Field(600, ge=1, description="wall time for reading one section")
    max_memory_mb: int = Field(8192, ge=256, description="address space of the process that reads sections")


DEFAULT_LIMITS = Limits()


class PanelSettings(Frozen):
    """How the fold-safe panel is chosen (reference: highly variable, detected, recurrent)."""

    n_genes: int = Field(785, ge=1, description="panel size, at most")
    n_top: int = Field(2000, ge=1, description="highly variable genes taken per training patient")
    min_detected: float = Field(0.10, ge=0, le=1, description="share of training spots that must express a gene")


class GraphSettings(Frozen):
    """Spatial and functional graph."""

    radius_pitches: float = Field(3.0, gt=0, description="spots closer than this are neighbours (strict)")
    similarity_weight: float = Field(0.7, ge=0, le=1, description="share of similarity, the rest is equal cell type")
    min_threshold: float = Field(0.6, ge=0, le=1, description="lowest edge weight kept")
    kappa: float = Field(1.0, ge=0, description="standard deviations above a spot's mean similarity")
    max_degree: int = Field(64, ge=1, description="functional neighbours per spot, at most")


class Gr2stSettings(Frozen):
    """The GR2ST network and its training.

    Defaults are those of the best inner scores on her2st without section C5. Within their noise (0.003) and therefore
    simple: weighing shallow spots less (``depth_exponent``) added nothing, nor did more than two heads.
    """

    d_embedding: int = Field(256, ge=8)
    n_heads: int = Field(2, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    n_positions: int = Field(64, ge=1, description="rows of each position table")
    cell_types: bool = Field(True, description="cell classes in the spot tower, the functional graph and the gate loss")
    functional_graph: bool = Field(True, description="attention between training spots of alike expression")
    spatial_graph: bool = Field(True, description="attention between training spots that lie close together")
    similarity_temperature: float = Field(1.0, gt=0, description="divides similarities of the functional graph")
    top_ks: tuple[PositiveInt, ...] = Field(
        (50, 100, 200, 400), min_length=1, description="reference spots averaged per query spot, to choose from"
    )
    retrieval_temperature: float = Field(0.1, gt=0)
    retrieval_weights: tuple[Share, ...] = Field(
        (0.4, 0.2, 0.0, 0.6, 0.8, 1.0),
        min_length=1,
        description="shares of retrieval in the prediction to choose from, the most cautious first",
    )
    epochs: int = Field(20, ge=1, description="most epochs of the inner run; the refit takes the best epoch's number")
    patience: int = Field(8, ge=1, description="epochs without a better inner score before the inner run stops")
    learning_rate: float = Field(6e-4, gt=0)
    final_learning_rate: float = Field(3e-5, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    contrastive_weight: float = Field(1.0, ge=0)
    mse_weight: float = Field(50.0, ge=0)
    gate_weight: float = Field(1.0, ge=0)
    attention_weight: float = Field(0.01, ge=0)
    max_pcs: int = Field(256, ge=1, description="principal components of the training features")
    head_rank: int = Field(4, ge=1, description="gene directions that the head predicts along")
    depth_exponent: float = Field(0.0, ge=0, description="power of a spot's depth in its weight in the squared error")
    graph: GraphSettings = GraphSettings()


class PublishedSettings(Frozen):
    """What both published states of GR2ST share; every default as published unless it says otherwise."""

    d_embedding: int = Field(256, ge=8)
    n_heads: int = Field(8, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    n_positions: int = Field(
        64, ge=1, description="rows of each position table (published: 65,536, of which < 70 used)"
    )
    temperature: float = Field(1.0, gt=0, description="divides similarities and contrastive logits")
    top_k: int = Field(200, ge=1, description="reference spots averaged per query spot")
    distance_floor: float = Field(
        1e-8, gt=0, description="added to squared L1 distances, so that no weight is infinite"
    )
    learning_rate: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-3, ge=0, description="L2 term in Adam's gradient, on all parameters")


class Gr2stR1Settings(PublishedSettings):
    """GR2ST as first released: contrast and retrieval."""

    epochs: int = Field(100, ge=1, description="Adam starts anew in each")
    functional_neighbours: int = Field(20, ge=1, description="spots that a spot chooses by similarity")
    spatial_neighbours: int = Field(20, ge=1, description="spots that a spot chooses by distance, itself included")
    type_bonus: float = Field(0.3, ge=0, description="added to the similarity of spots of one cell class")


class Gr2stR2Settings(PublishedSettings):
    """GR2ST as its abstract describes it: threshold graph, regression head, ensemble."""

    epochs: int = Field(200, ge=1)
    late_epoch: int = Field(150, ge=0, description="epochs done when the learning rate falls")
    late_learning_rate: float = Field(1e-5, gt=0)
    similarity_weight: float = Field(0.7, ge=0, le=1, description="share of similarity, the rest is equal cell class")
    similarity_threshold: float = Field(0.6, ge=0, le=1, description="functional edges weigh more than this")
    radius: float = Field(3.0, gt=0, description="spots closer on the grid than this are neighbours (strict)")
    d_gate: int = Field(128, ge=1, description="hidden units of the gate")
    mse_weight: float = Field(50.0, ge=0)
    gate_weight: float = Field(1.0, ge=0)
    attention_weight: float = Field(0.01, ge=0)
    retrieval_weight: float = Field(0.4, ge=0, le=1, description="share of retrieval in the prediction")


class RidgeSettings(Frozen):
    """Ridge on patch features; the penalty is chosen inside training."""

    penalties: tuple[float, ...] = Field((1e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6))
    max_pcs: int = Field(256, ge=1)


class KnnSettings(Frozen):
    """Mean expression of the nearest training spots in feature space; k is chosen inside training."""

    neighbours: tuple[int, ...] = Field((25, 50, 100, 200, 400))
    max_pcs: int = Field(256, ge=1)


class LowRankSettings(Frozen):
    """Low-rank kernel ridge on feature blocks; the grid that is searched inside training (accuracy.md 6)."""

    depth_exponents: tuple[NonNegativeFloat, ...] = Field(
        (0.5, 0.0), min_length=1, description="power of a spot's depth in its weight, shallow spots counting less"
    )
    n_loadings: tuple[PositiveInt, ...] = Field(
        (50,), min_length=1, description="gene directions kept, where training sections alone give them"
    )
    shared_loadings: tuple[tuple[Share, PositiveInt], ...] = Field(
        ((0.5, 10), (0.5, 20), (1.0, 10), (1.0, 20)),
        description="share of counts-only sections in the gene covariance, and directions kept",
    )
    penalties: tuple[PositiveFloat, ...] = Field((0.3, 0.1, 0.03, 0.01), min_length=1)
    ranks: tuple[PositiveInt, ...] = Field((2, 3, 4, 6), min_length=1)
    n_averaged: int = Field(8, ge=1, description="best settings averaged")
    clip: float = Field(8.0, gt=0, description="features are cut at this many standard deviations")


class BlendSettings(Frozen):
    """Mixture of methods; weights are chosen inside training."""

    steps: int = Field(10, ge=1, le=20, description="weights are multiples of one over this")
    margin: float = Field(0.002, ge=0, description="inner correlation that every further part must add")


class StudySettings(Frozen):
    """Values that the sensitivity study of GR2ST tries beside the base's own."""

    max_degrees: tuple[PositiveInt, ...] = (16, 256)
    radii_pitches: tuple[PositiveFloat, ...] = (1.5, 5.0)
    min_thresholds: tuple[Share, ...] = (0.4, 0.5, 0.8)
    similarity_temperatures: tuple[PositiveFloat, ...] = (0.3, 3.0)
    retrieval_temperatures: tuple[PositiveFloat, ...] = (0.01, 0.03, 0.3, 1.0)
    top_ks: tuple[PositiveInt, ...] = (1, 10, 50, 100, 200, 400, 800)
    retrieval_weights: tuple[Share, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    n_genes: tuple[PositiveInt, ...] = Field((50, 200), description="first genes of the panel")
    n_training_sections: tuple[PositiveInt, ...] = Field(
        (1, 2, 3, 4, 8, 16, 32), description="first training sections in key order"
    )


class EvaluationSettings(Frozen):
    """Noise ceiling, equal depth, shuffled control, top genes, intervals."""

    n_thinnings: int = Field(10, ge=1, description="binomial halves per section for the noise ceiling")
    n_equal_depth: int = Field(5, ge=1, description="thinnings to equal depth whose scores are averaged")
    n_permutations: int = Field(20, ge=1, description="exchanges of spots averaged for the shuffled control")
    n_top_genes: int = Field(50, ge=1, description="highly expressed genes, at most a quarter of the panel")
    n_bootstrap: int = Field(1000, ge=1, description="draws of a comparison; p-values are at least 2 / (draws + 1)")
    n_recall_draws: int = Field(3, ge=1, description="draws of training spots averaged for the recall share")
    block_pitches: float = Field(4.0, gt=0, description="side of the blocks of spots that are drawn together")

    @property
    def scores_digest(self) -> str:
        """Digest of what scores depend on: not the bootstrap nor the draws, which only other tables do."""
        names = ("n_bootstrap", "block_pitches", "n_recall_draws")
        defaults = {name: type(self).model_fields[name].default for name in names}
        return self.model_copy(update=defaults).digest

    @property
    def bootstrap_digest(self) -> str:
        """Digest of what comparisons depend on."""
        return EvaluationSettings(n_bootstrap=self.n_bootstrap, block_pitches=self.block_pitches).digest

    @property
    def recall_digest(self) -> str:
        """Digest of what recall shares depend on."""
        return EvaluationSettings(n_recall_draws=self.n_recall_draws, n_permutations=self.n_permutations).digest


class ServingSettings(Frozen):
    """What is served: which methods compete for it, and what a challenger must show to take over.

    ``min_signal`` is 0.05 since ridge trained on exchanged counts scores up to 0.03 by chance, in all patients alike:
    the folds of a set share most of their training (32 sets of 2 or 8 patients, 200 spots, 64 features: SD 0.014).
    With a handful of features chance reaches far more; against a champion that learnt something it never passes.
    """

    methods: tuple[str, ...] = Field(
        ("blend_default", "gr2st_ours", "low_rank_m224", "ridge_m224"), description="names of methods that compete"
    )
    panel: str = Field("fold_safe", description="name of the panel that is served")
    target: Literal["per_spot", "per_gene_legacy", "cp10k"] = "per_spot"
    seed: int = Field(0, ge=0, description="of the trained models that compete")
    min_effect: float = Field(0.005, ge=0, description="correlation that a challenger must gain over the champion")
    min_signal: float = Field(
        0.05, ge=0, description="correlation that whatever is served must have over nulls and shuffled control"
    )
    max_loss: float = Field(0.01, ge=0, description="with few patients: most that any one of them may lose")
    confidence: float = Field(0.90, gt=0.5, lt=1, description="of the lower bound of the gain, one-sided")
    n_draws: int = Field(2000, ge=100, description="draws of patients")
    draw_seed: int = Field(0, ge=0, description="of the draws of patients")
    few_patients: Literal["promote", "hold"] = Field(
        "promote", description="whether a challenger that passes on too few patients takes over or waits for a person"
    )


class IntervalSettings(Frozen):
    """How prediction intervals are calibrated."""

    level: float = Field(0.9, gt=0, lt=1, description="nominal coverage")
    n_spots: int = Field(20_000, ge=100, description="calibration spots, drawn from all patients alike")
    draw_seed: int = Field(0, ge=0, description="of that draw")


class DriftSettings(Frozen):
    """How spots and sections are compared with those that a champion was trained on."""

    n_spots: int = Field(5000, ge=1, description="training spots kept, drawn from all training sections alike")
    n_components: int = Field(32, ge=1, description="whitened principal components of the patch features, at most")
    n_neighbours: int = Field(10, ge=1, description="a spot's score is the distance to the training spot of this rank")
    spot_level: float = Field(0.95, gt=0, lt=1, description="share of left-out training spots that are not flagged")


class Settings(Frozen):
    """All settings of one project."""

    limits: Limits = DEFAULT_LIMITS
    images: ImageSettings = ImageSettings()
    panel: PanelSettings = PanelSettings()
    gr2st: Gr2stSettings = Gr2stSettings()
    gr2st_r1: Gr2stR1Settings = Gr2stR1Settings()
    gr2st_r2: Gr2stR2Settings = Gr2stR2Settings()
    ridge: RidgeSettings = RidgeSettings()
    knn: KnnSettings = KnnSettings()
    low_rank: LowRankSettings = LowRankSettings()
    blend: BlendSettings = BlendSettings()
    histogene: HisToGeneSettings = HisToGeneSettings()
    histogene_small: HisToGeneSettings = HISTOGENE_SMALL
    histogene_features_small: HisToGeneSettings = HISTOGENE_FEATURES_SMALL
    hist2st: Hist2STSettings = Hist2STSettings()
    hist2st_small: Hist2STSettings = HIST2ST_SMALL
    hist2st_features_small: Hist2STSettings = HIST2ST_FEATURES_SMALL
    thitogene: THItoGeneSettings = THItoGeneSettings()
    thitogene_small: THItoGeneSettings = THITOGENE_SMALL
    thitogene_features_small: THItoGeneSettings = THITOGENE_FEATURES_SMALL
    hggep: HGGEPSettings = HGGEPSettings()
    hggep_small: HGGEPSettings = HGGEP_SMALL
    hggep_features_small: HGGEPSettings = HGGEP_FEATURES_SMALL
    mclstexp: MclStExpSettings = MclStExpSettings()
    mclstexp_small: MclStExpSettings = MCLSTEXP_SMALL
    mclstexp_features_small: MclStExpSettings = MCLSTEXP_FEATURES_SMALL
    reg2st: Reg2STSettings = Reg2STSettings()
    reg2st_small: Reg2STSettings = REG2ST_SMALL
    multires: MultiresSettings = MultiresSettings()
    multires_small: MultiresSettings = MULTIRES_SMALL
    studies: StudySettings = StudySettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    serving: ServingSettings = ServingSettings()
    intervals: IntervalSettings = IntervalSettings()
    drift: DriftSettings = DriftSettings()

    @model_validator(mode="before")
    @classmethod
    def _overrides_stand_on_these_defaults(cls, given: Any) -> Any:
        """A part of which some values are given keeps the others as they are here, not as its class begins."""
        if not isinstance(given, dict):
            return given
        parts = {name: field.default for name, field in cls.model_fields.items() if name in given}
        return _merged({name: part.model_dump() for name, part in parts.items()}, given)


def load_settings(path: Path | None = None) -> Settings:
    """Read settings from a YAML file of overrides; without one, the defaults.

    Raises
    ------
    SettingsError
        Unknown key, value out of range, or a file that is not a mapping.
    """
    if path is None:
        return Settings()
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"a settings file is YAML text: {error}", file=path) from error
    try:
        return Settings.model_validate({} if values is None else values)  # an empty file overrides nothing
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"settings are not valid: {faults}", file=path) from error


def _merged(defaults: Any, overrides: Any) -> Any:
    """Overrides on top of defaults, key by key."""
    if not (isinstance(defaults, dict) and isinstance(overrides, dict)):
        return overrides
    return defaults | {key: _merged(defaults.get(key), value) for key, value in overrides.items()}
