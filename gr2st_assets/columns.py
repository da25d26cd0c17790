"""Columns that several tables share, so that one quantity has one name, type and unit everywhere.

Belongs here: constructors of columns, shared columns and the key tuples made of them. Does not belong here: tables.
"""

from gr2st_assets.schema import Column


def text(name: str, description: str, *allowed: str, nullable: bool = False, null: str = "") -> Column:
    """Describe an id or label."""
    return Column(name, "string", description, allowed=allowed, nullable=nullable, null=null)


def count(
    name: str, description: str, unit: str = "", minimum: int = 0, *, nullable: bool = False, null: str = ""
) -> Column:
    """Describe a whole number."""
    return Column(name, "int64", description, unit, minimum=minimum, nullable=nullable, null=null)


def correlation(name: str, description: str) -> Column:
    """Describe a correlation; NULL where it is undefined."""
    # rounding may carry a perfect correlation just past one
    return Column(name, "float64", description, nullable=True, minimum=-1 - 1e-9, maximum=1 + 1e-9)


def difference(name: str, description: str) -> Column:
    """Describe a difference of correlations; NULL where either is undefined."""
    null = "where either is undefined"
    return Column(name, "float64", description, nullable=True, minimum=-2, maximum=2, null=null)


def error(name: str, description: str, unit: str = "target units") -> Column:
    """Describe a prediction error; NULL for a diagnostic, whose unit is not the target's."""
    return Column(name, "float64", description, unit, minimum=0, nullable=True, null="for a diagnostic")


COHORT = text("cohort", "study the section belongs to")
SECTION_ID = text("section_id", "tissue section, unique within its cohort")
PATIENT_ID = text("patient_id", "donor, unique within the cohort")
SPOT_ID = text("spot_id", "capture spot, unique within its section")
GENE = text("gene", "gene symbol as in the counts")
FOLD_ID = text("fold_id", "fold: cohort/section-<id>, cohort/patient-<id>, cohort/all or external/<cohort>")
SPLIT_UNIT = text("split_unit", "what is held out together", "section", "patient", "external", "all")
PANEL = text("panel", "name of the ordered gene list")
TARGET = text("target", "normalisation that is predicted", "per_spot", "per_gene_legacy", "cp10k")
SEED = count("seed", "seed of every random draw")
MODEL_ID = text("model_id", "content hash of the trained model")
CHAMPION = count(
    "champion",
    "event of the log of promotions by which the model serves; NULL if it does not",
    minimum=1,
    nullable=True,
)
REFERENCE = (
    text("reference_cohort", "cohort whose champion and training sections are compared with"),
    count("champion", "event of the log of promotions by which the model serves", minimum=1),
    MODEL_ID,
)
IS_TRAINING = Column(
    "is_training", "bool", "whether the section is a training section, compared with those of other units"
)
SUPPORT = text(
    "support",
    "whom the interval speaks of: a new patient (needs nine calibration patients at level 0.9), or new spots of the "
    "same patients; none without calibration",
    "patient",
    "spot-level, same patients",
    "none",
)
N_SPOTS = count("n_spots", "spots looked at")
EMBEDDING = Column("embedding", "list<float32>", "one number per dimension, equally many in every row")

DRIFT_MEASURES = ("image", "stain_haematoxylin", "stain_eosin", "depth", "predictions")
LEFT_OUT = ("patient", "section")
STATISTICS = ("mean", "median", "lower_quartile", "upper_quartile")
EVIDENCE = ("printed", "computed", "digitised", "second_hand")

SCORE_SET = (COHORT, SPLIT_UNIT, PANEL, TARGET, SEED)
SECTION = (COHORT, SECTION_ID)
SECTION_OF_PATIENT = (*SECTION, PATIENT_ID)
SPOT = (*SECTION, SPOT_ID)
EDGE = (*SECTION, text("source_spot_id", "spot the edge leaves"), text("target_spot_id", "spot the edge enters"))
RUN = (FOLD_ID, PANEL, TARGET, SEED)
RUN_OF_MODEL = (*RUN, MODEL_ID)
PREDICTOR = (text("method", "kind of predictor"), text("profile", "variant of the method"))
SPOT_KEY = ("cohort", "section_id", "spot_id")
EDGE_KEY = ("cohort", "section_id", "source_spot_id", "target_spot_id")
RUN_KEY = ("fold_id", "panel", "target", "seed")
SET_KEY = ("cohort", "split_unit", "panel", "target", "seed")
SCORE_KEY = (*RUN_KEY, "method", "profile", "cohort", "section_id")

PEARSON = correlation("pearson", "Pearson correlation over spots; NULL where either side is constant")
ZERO_FILLED = correlation("pearson_zero_filled", "as pearson, a constant prediction counting as 0")
SPEARMAN = correlation("spearman", "Spearman rank correlation over spots")
EQUAL_DEPTH = correlation("pearson_equal_depth", "pearson on counts thinned to one depth per section")
SHUFFLED = correlation("pearson_shuffled", "control: pearson after the section's spots are permuted")
CEILING = correlation("ceiling", "highest pearson that the noise of the counts allows")
CEILING_DEPTH = correlation("ceiling_given_depth", "ceiling of what sequencing depth does not explain")
MSE = error("mse", "mean squared error over spots", "target units squared")
MAE = error("mae", "mean absolute error over spots")
MEAN_ERROR = error("section_mean_error", "error of the section mean, absolute, mean over genes")
R2 = Column("r2", "float64", "1 - squared error over that of the training mean", nullable=True, maximum=1)
VARIANCE_RATIO = Column("variance_ratio", "float64", "variance of the prediction over the truth's", "", True, 0)
MORAN_OBSERVED = Column("moran_observed", "float64", "Moran's I of the measurement on the spatial graph", nullable=True)
MORAN_PREDICTED = Column("moran_predicted", "float64", "Moran's I of the prediction; higher = smoother", nullable=True)
GR2ST_SHARE = Column(
    "gr2st_share",
    "float64",
    "share that a blend's training gave GR2ST, 0 included; NULL for other methods",
    "",
    True,
    0,
    1,
)
SECTION_FACTS = (
    correlation("pearson_top", "pearson of the genes of highest training mean"),
    Column("r2_median", "float64", "median over genes of r2", nullable=True, maximum=1),
    Column("variance_ratio_median", "float64", "median over genes of variance_ratio", nullable=True, minimum=0),
    MORAN_OBSERVED,
    MORAN_PREDICTED,
    Column("moran_error", "float64", "difference of the two Moran's I, absolute", "", True, 0),
    correlation("moran_correlation", "Spearman over genes of predicted and observed Moran's I"),
    correlation("pearson_spot", "mean over spots of the correlation over genes; high for the training mean too"),
    correlation("pearson_spot_centred", "the same after the training mean is removed"),
    Column("top_gene_recall", "float64", "share of the section's highest genes among those predicted", "", True, 0, 1),
    Column("raised_gene_recall", "float64", "the same for genes most above their training mean", "", True, 0, 1),
)
TRAINING_PATIENTS = text(
    "training_patients",
    "sections whose patient is in training, is not, or both",
    "mates",
    "strangers",
    "all",
)
STUDY = (
    text("study", "what is asked: parts left out, or settings varied", "ablation", "sensitivity"),
    text("parameter", "part or setting that is changed; base where nothing is left out"),
    text("setting", "what it is changed to"),
    Column("value", "float64", "setting as a number, in the unit that parameter names; NULL if it is none", "", True),
)
STUDY_KEY = ("study", "parameter", "setting")
KNOWN_PATIENT = Column("patient_in_training", "bool", "whether the patient has other sections in training")

MODEL_IF_ANY = text("model_id", "content hash of the trained model; NULL for a diagnostic", nullable=True)
SCORED = (*RUN, SPLIT_UNIT, *PREDICTOR, MODEL_IF_ANY, *SECTION_OF_PATIENT, KNOWN_PATIENT)
CHANGED = (
    *RUN,
    SPLIT_UNIT,
    *STUDY,
    Column("is_base", "bool", "whether the setting is the base's own, so that nothing is changed"),
    *SECTION_OF_PATIENT,
    KNOWN_PATIENT,
    count("n_training_sections", "sections trained on: the first in key order", minimum=1),
    count("n_training_patients", "their patients", minimum=1),
    count("n_genes", "genes of the panel", minimum=1),
    count("n_undefined", "genes without a defined pearson"),
    correlation("pearson", "mean over genes of the correlation over spots"),
    correlation("pearson_base", "the same of the base, gr2st_ours as it is, on the same genes"),
    correlation("pearson_retrieval", "the same of retrieval alone"),
    correlation("pearson_regression", "the same of the regression head alone"),
    Column("retrieval_weight", "float64", "share of retrieval in the prediction", minimum=0, maximum=1),
    count("top_k", "reference spots averaged", minimum=1),
    correlation("pearson_inner", "best score on the inner split, by which the number of epochs was chosen"),
)
GENE_SCORES = (PEARSON, ZERO_FILLED, SPEARMAN, EQUAL_DEPTH, MSE, MAE)
FIT = (R2, VARIANCE_RATIO, MORAN_OBSERVED, MORAN_PREDICTED)
GENE_FACTS = (
    Column("observed_mean", "float64", "mean over spots", "target units"),
    Column("predicted_mean", "float64", "mean over spots; NULL for a diagnostic", "target units", nullable=True),
    Column("training_mean", "float64", "mean of the training spots; NULL without that null", "target units", True),
    Column(
        "is_highly_expressed",
        "bool",
        "whether the training mean is among the panel's highest",
        nullable=True,
        null="without a training mean",
    ),
    Column("is_observed_constant", "bool", "whether the measurement never changes"),
    Column("is_predicted_constant", "bool", "whether the prediction never changes"),
)
SUMMARY = (*GENE_SCORES, MEAN_ERROR, CEILING, CEILING_DEPTH, SHUFFLED, *SECTION_FACTS, GR2ST_SHARE)
