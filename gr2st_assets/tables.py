"""Every table of the lake, once: asset = table = parquet = SQL view.

Belongs here: the name, key and columns of each table; files, contracts, catalogue comments and the columns shown by
Dagster all follow from it. Does not belong here: how a description is applied (``schema``).

Ids are text and never NULL. NULL in a score means undefined (a constant gene), never zero. Strings such as
``fold_id`` are written in the file as well as in its folder, so a file says what it is wherever it lies.
"""

import re
from dataclasses import replace

from gr2st_assets import columns as c
from gr2st_assets.schema import Column, TableSpec, arrow_schema, conform, dagster_schema
from gr2st_core.errors import SchemaError

__all__ = ["TABLES", "Column", "TableSpec", "arrow_schema", "conform", "dagster_schema", "table_spec"]

_FAMILY = re.compile(r"<\w+>$")


def _recall_scores(name: str, description: str) -> TableSpec:
    return TableSpec(
        name,
        description,
        (*c.RUN_KEY, "method", "profile", "cohort", "section_id", "arm", "draw"),
        (
            *c.RUN,
            *c.PREDICTOR,
            *c.SECTION_OF_PATIENT,
            c.text("arm", "whose sections the model saw: of the same patient, or of others", "mates", "strangers"),
            c.count("draw", "which draw of training spots, from 0"),
            c.count("n_training_spots", "spots that the model saw, the same in both arms", minimum=1),
            c.count("n_training_sections", "sections that these are from", minimum=1),
            c.PEARSON,
            c.ZERO_FILLED,
            c.SHUFFLED,
        ),
        "fold",
    )


_SPECS = (
    TableSpec(
        "raw/slides",
        "Each section's image and its facts",
        ("cohort", "section_id"),
        (
            *c.SECTION_OF_PATIENT,
            c.text("image_path", "name of the image file; without one, NULL like all it gives", nullable=True),
            c.text("image_sha256", "SHA-256 of the image file", nullable=True, null="without an image"),
            c.count("width_px", "image width", "px", minimum=1, nullable=True, null="without an image"),
            c.count("height_px", "image height", "px", minimum=1, nullable=True, null="without an image"),
            Column("um_per_px", "float64", "image resolution", "um/px", minimum=0.05, maximum=20, severity="warning"),
            Column("pitch_px", "float64", "distance between neighbouring spots in the image", "px", minimum=0),
            Column("pitch_um", "float64", "the same on the slide", "um", minimum=1, maximum=500, severity="warning"),
            Column(
                "tissue_fraction",
                "float64",
                "share of the image that is tissue",
                "",
                True,
                0,
                1,
                null="without an image",
            ),
            Column(
                "thumbnail_um_per_px",
                "float64",
                "resolution of thumbnail and mask",
                "um/px",
                True,
                0,
                null="without an image",
            ),
            Column("thumbnail_png", "binary", "small picture of the slide", nullable=True, null="without an image"),
            Column(
                "tissue_mask_png",
                "binary",
                "tissue in white, same size as the thumbnail",
                nullable=True,
                null="without an image",
            ),
        ),
        "section",
    ),
    TableSpec(
        "raw/spots",
        "Capture spots: where they are and how much was sequenced",
        c.SPOT_KEY,
        (
            *c.SECTION_OF_PATIENT,
            c.SPOT_ID,
            Column("array_col", "float64", "column on the capture grid, may be fractional", "pitch"),
            Column("array_row", "float64", "row on the capture grid, may be fractional", "pitch"),
            Column("pixel_x", "float64", "spot centre from the left image edge", "px"),
            Column("pixel_y", "float64", "spot centre from the top image edge", "px"),
            c.count("total_count", "molecules over all genes", "molecules"),
            c.count("n_genes", "genes with at least one molecule"),
            Column("has_counts", "bool", "whether the spot was sequenced"),
            Column("is_on_tissue", "bool", "whether the centre is on tissue; NULL without an image", nullable=True),
            c.text("region", "label that a person gave the place; NULL where there is none", nullable=True),
        ),
        "section",
    ),
    TableSpec(
        "raw/counts",
        "Molecules per spot and gene, non-zero only; schema metadata 'genes' lists every gene measured",
        (*c.SPOT_KEY, "gene"),
        (*c.SPOT, c.GENE, Column("count", "int32", "raw molecule count", "molecules", minimum=1)),
        "section",
    ),
    TableSpec(
        "expression/hvg_table",
        "How variable each gene is within a section",
        ("cohort", "section_id", "gene"),
        (
            *c.SECTION,
            c.GENE,
            c.N_SPOTS,
            c.count("detected_spots", "spots with at least one molecule of the gene"),
            Column("mean_count", "float64", "mean over spots", "molecules", minimum=0),
            Column("mean_expression", "float64", "mean of the normalised log expression", minimum=0),
            Column("dispersion", "float64", "log variance-to-mean ratio", nullable=True),
            Column("dispersion_norm", "float64", "dispersion among genes of like mean", nullable=True),
            c.count("rank", "1 = most variable", minimum=1),
            Column("is_highly_variable", "bool", "whether the rank is among the top of the section"),
        ),
        "section",
        (("cohort", "section_id", "rank"),),
    ),
    TableSpec(
        "expression/panel",
        "Ordered genes that the models of a fold predict",
        ("fold_id", "panel", "position"),
        (
            *c.RUN[:2],
            c.count("position", "place in the panel, from 0"),
            c.GENE,
            c.text("gene_group", "what the gene marks, in panels that say so", nullable=True, null="in other panels"),
            c.text("panel_sha256", "SHA-256 of the symbols, one a line"),
        ),
        "fold",
        (("fold_id", "panel", "gene"),),
    ),
    TableSpec(
        "image/embeddings_<encoder>",
        "Patch features of a frozen image encoder",
        c.SPOT_KEY,
        (*c.SPOT, c.text("encoder", "image model and patch span"), c.EMBEDDING),
        "section",
    ),
    TableSpec(
        "cells/cell_types",
        "Share of each cell class in a spot",
        (*c.SPOT_KEY, "source", "method", "cell_class"),
        (
            *c.SPOT,
            c.text("cell_class", "class of cells"),
            Column("proportion", "float64", "share; NULL if unknown", nullable=True, minimum=0, maximum=1 + 1e-9),
            c.text("source", "what the share was derived from", "image", "expression"),
            c.text("method", "how it was derived"),
        ),
        "section",
    ),
    TableSpec(
        "graphs/spatial_graph",
        "Neighbouring spots, both directions",
        c.EDGE_KEY,
        (
            *c.EDGE,
            Column("distance_pitches", "float64", "distance of the centres", "pitch", minimum=0),
        ),
        "section",
    ),
    TableSpec(
        "graphs/functional_graph",
        "Spots that a trained model connected",
        (*c.RUN_KEY, "model_id", *c.EDGE_KEY),
        (
            *c.RUN_OF_MODEL,
            *c.EDGE,
            Column("weight", "float64", "similarity and cell type, weighted"),
        ),
        "fold",
    ),
    TableSpec(
        "folds/fold_table",
        "Role of every section in every fold",
        ("fold_id", "cohort", "section_id"),
        (
            c.FOLD_ID,
            c.SPLIT_UNIT,
            *c.SECTION_OF_PATIENT,
            c.text("role", "what the fold uses the section for", "train", "counts_only", "test"),
            Column(
                "patient_in_training",
                "bool",
                c.KNOWN_PATIENT.description + "; test rows only",
                nullable=True,
                null="in rows of other roles",
            ),
        ),
    ),
    TableSpec(
        "models/model_<predictor>",
        "Training history of a model: one row per epoch and loss term",
        (*c.RUN_KEY, "stage", "epoch", "term"),
        (
            *c.RUN_OF_MODEL,
            c.text("stage", "run within the training, as inner or refit"),
            c.count("epoch", "epoch, from 0"),
            c.text("term", "loss term or score"),
            Column("value", "float64", "its value", nullable=True),
        ),
        "fold",
    ),
    TableSpec(
        "predictions/observed",
        "Measured expression of the test sections",
        ("fold_id", "panel", "target", *c.SPOT_KEY, "gene"),
        (
            c.FOLD_ID,
            c.PANEL,
            c.TARGET,
            *c.SPOT,
            c.GENE,
            Column("observed", "float32", "measured expression", "target units"),
        ),
        "fold",
    ),
    TableSpec(
        "predictions/predictions_<predictor>",
        "Predicted expression of the test sections",
        (*c.RUN_KEY, "method", "profile", *c.SPOT_KEY, "gene"),
        (
            *c.RUN,
            *c.PREDICTOR,
            c.MODEL_ID,
            *c.SPOT,
            c.GENE,
            Column("predicted", "float32", "absolute, from training offsets alone", "target units"),
            Column(
                "relative",
                "float32",
                "after the section is centred on itself",
                "target units",
                nullable=True,
                null="if the method has none",
            ),
            Column(
                "retrieval",
                "float32",
                "part from similar training spots",
                "target units",
                nullable=True,
                null="if the method has none",
            ),
            Column(
                "regression",
                "float32",
                "part from the regression head",
                "target units",
                nullable=True,
                null="if the method has none",
            ),
            Column(
                "weight",
                "float32",
                "share of retrieval; in a blend, of GR2ST",
                nullable=True,
                minimum=0,
                maximum=1,
                null="if the method mixes nothing",
            ),
        ),
        "fold",
    ),
    TableSpec(
        "evaluation/gene_scores",
        "Score of each gene in each test section",
        (*c.SCORE_KEY, "gene"),
        (
            *c.SCORED,
            c.GENE,
            c.N_SPOTS,
            *c.GENE_SCORES,
            *c.FIT,
            *c.GENE_FACTS,
        ),
        "fold",
    ),
    TableSpec(
        "evaluation/section_scores",
        "Scores of each test section, means over genes",
        c.SCORE_KEY,
        (
            *c.SCORED,
            c.N_SPOTS,
            c.count("n_genes", "genes of the panel"),
            c.count("n_undefined", "genes without a defined pearson"),
            c.count("n_undefined_spots", "spots without a defined pearson_spot; NULL for a diagnostic", nullable=True),
            *c.SUMMARY,
        ),
        "fold",
    ),
    TableSpec(
        "evaluation/scoreboard",
        "Every method beside the nulls and the ceiling: means over sections, then patients",
        (*c.SET_KEY, "method", "profile", "training_patients"),
        (
            *c.SCORE_SET,
            *c.PREDICTOR,
            c.TRAINING_PATIENTS,
            Column("is_diagnostic", "bool", "whether the row saw the test counts and is no method"),
            c.count("n_sections", "test sections", minimum=1),
            c.count("n_patients", "their patients", minimum=1),
            *c.SUMMARY,
            c.correlation("pearson_min", "lowest section"),
            c.correlation("pearson_max", "highest section"),
            c.correlation("pearson_patients", "pearson, every patient of equal weight"),
            c.count("n_undefined", "gene and section pairs without a defined pearson"),
        ),
    ),
    TableSpec(
        "evaluation/comparisons",
        "Pairs of methods: difference of the mean pearson_zero_filled with its bootstrap interval",
        (*c.SET_KEY, "training_patients", "method_b", "profile_b", "method_a", "profile_a"),
        (
            *c.SCORE_SET,
            c.TRAINING_PATIENTS,
            c.text("method_a", "kind of predictor"),
            c.text("profile_a", "variant of method_a"),
            c.text("method_b", "reference that method_a is compared with"),
            c.text("profile_b", "variant of method_b"),
            Column("difference", "float64", "a minus b, mean over genes, then sections", "", minimum=-2, maximum=2),
            Column("low", "float64", "2.5 % of the draws lie below", "", minimum=-2, maximum=2),
            Column("high", "float64", "97.5 % of the draws lie below", "", minimum=-2, maximum=2),
            Column("p_value", "float64", "two-sided, that the difference is 0", "", minimum=0, maximum=1),
            Column("p_holm", "float64", "corrected for all methods compared with b", "", minimum=0, maximum=1),
            c.count("n_patients", "their patients", minimum=1),
            c.count("n_sections", "test sections", minimum=1),
            c.count("sections_above", "sections in which a is better"),
            c.count("n_draws", "draws of the bootstrap", minimum=1),
            Column("is_population", "bool", "whether patients were drawn too, or are too few for it"),
            c.text("scope", "what interval and p-values speak of"),
        ),
    ),
    _recall_scores(
        "evaluation/recall_scores",
        "Scores of models that saw the patient's other sections only, and of others that saw strangers only",
    ),
    _recall_scores(
        "evaluation/recall_scores_comparators",
        "The same of the small comparators on features, under per_spot and seed 0 only: draws of spots repeat it",
    ),
    TableSpec(
        "evaluation/recall_share",
        "How much of a score is owed to the patient's other sections, at equal numbers of training spots. Strangers "
        "differ in depth and quality too, not only in being someone else; of two patients it says little",
        ("cohort", "panel", "target", "seed", "method", "profile"),
        (
            c.COHORT,
            c.PANEL,
            c.TARGET,
            c.SEED,
            *c.PREDICTOR,
            c.correlation(
                "mates", "pearson where training saw the patient's other sections only; patients weigh alike"
            ),
            c.correlation("strangers", "the same where it saw sections of other patients only, of as many spots"),
            Column("difference", "float64", "mates minus strangers", "", True, -2, 2),
            Column(
                "share",
                "float64",
                "difference over mates: what strangers cannot give; above 1 where they score below 0, NULL unless "
                "mates is positive",
                nullable=True,
            ),
            c.count("sections_above", "test sections in which mates score higher"),
            c.count("n_sections", "test sections that have both mates and strangers", minimum=1),
            c.count("n_patients", "their patients", minimum=1),
            c.count("n_draws", "draws of training spots that were averaged", minimum=1),
            Column("mean_training_spots", "float64", "of either arm, mean over test sections", minimum=1),
        ),
    ),
    TableSpec(
        "evaluation/ablation",
        "GR2ST with one part left out at a time: scores of each test section, beside those of the whole model",
        (*c.RUN_KEY, *c.STUDY_KEY, "cohort", "section_id"),
        c.CHANGED,
        "fold",
    ),
    TableSpec(
        "evaluation/sensitivity",
        "GR2ST with one setting changed at a time. top_k, retrieval_weight and retrieval_temperature act on the "
        "trained base, every other setting takes a training. Where the target divides by the panel's counts, fewer "
        "genes change what is predicted, too",
        (*c.RUN_KEY, *c.STUDY_KEY, "cohort", "section_id"),
        c.CHANGED,
        "fold",
    ),
    TableSpec(
        "evaluation/studies",
        "Ablation and sensitivity over complete fold sets: means over sections and differences from the base",
        (*c.SET_KEY, *c.STUDY_KEY),
        (
            *c.SCORE_SET,
            *c.STUDY,
            c.count("n_sections", "test sections", minimum=1),
            c.count("n_patients", "their patients", minimum=1),
            c.count("sections_of_base", "sections in whose fold the setting is the base's own"),
            c.correlation("pearson", "mean over sections of the mean over genes"),
            c.correlation("pearson_min", "lowest section"),
            c.correlation("pearson_max", "highest section"),
            c.difference("difference", "mean over sections of pearson minus that of the base, on the same genes"),
            c.difference("difference_min", "lowest section"),
            c.difference("difference_max", "highest section"),
            c.count("sections_below", "sections in which pearson is below the base's"),
        ),
    ),
    TableSpec(
        "evaluation/report",
        "The report of each cohort, an HTML file beside this table: what it is about, and the file's checksum",
        ("cohort",),
        (
            c.COHORT,
            c.PANEL,
            c.TARGET,
            c.SEED,
            c.SPLIT_UNIT,
            *c.PREDICTOR,
            c.CHAMPION,
            c.count("n_sections", "test sections", minimum=1),
            c.count("n_patients", "their patients", minimum=1),
            c.correlation("pearson_zero_filled", "of the method, as on the scoreboard, to three decimals"),
            c.text("file", "name of the HTML file in the artefact"),
            c.text("sha256", "SHA-256 of the HTML file"),
            c.count("n_bytes", "its size", "bytes", minimum=1),
            c.text("state_digest", "SHA-256 over the artefacts of all tables that it was made from"),
        ),
    ),
    TableSpec(
        "evaluation/published_scores",
        "The literature's scores, each with what it was made under; not comparable without reading that",
        ("entry",),
        (
            c.count("entry", "line of the packaged file", minimum=1),
            c.text("publication", "its short name"),
            c.text("citation", "where the number stands"),
            c.text("method", "kind of predictor"),
            c.text("profile", "variant, if the source has several", nullable=True),
            c.text("dataset", "study, as her2st"),
            c.text("section", "section as the source names it; NULL over all", nullable=True),
            c.text("statistic", "of the Pearson correlations over genes; then the mean over sections", *c.STATISTICS),
            c.text("genes", "how many, and how chosen", nullable=True),
            replace(c.TARGET, nullable=True, description="normalisation by the method's code; NULL if not known"),
            c.SPLIT_UNIT,
            Column("has_selection_leak", "bool", "whether test scores chose the model; NULL if not known", "", True),
            c.text("evidence", "how the number was obtained", *c.EVIDENCE),
            Column("value", "float64", "its value", nullable=True),
            c.text("note", "what else to know", nullable=True),
        ),
    ),
    TableSpec(
        "serving/reference_bank",
        "Training spots that the served model looks up",
        ("fold_id", "model_id", *c.SPOT_KEY),
        (c.FOLD_ID, c.MODEL_ID, c.CHAMPION, *c.SPOT, c.EMBEDDING),
    ),
    TableSpec(
        "serving/champion",
        "Every decision about which model is served, oldest first; is_serving marks the champion of each cohort",
        ("event",),
        (
            c.count("event", "place in the log of promotions", minimum=1),
            c.text("kind", "what became of the model", "promoted", "held", "refused", "rolled_back", "withdrawn"),
            Column("is_serving", "bool", "whether the model is its cohort's champion now, by this event"),
            c.count(
                "against", "event whose champion it was compared with; NULL for the first", minimum=1, nullable=True
            ),
            c.count(
                "restores", "event that was gone back to", minimum=1, nullable=True, null="unless it was gone back"
            ),
            c.COHORT,
            c.PANEL,
            c.TARGET,
            c.SEED,
            *c.PREDICTOR,
            c.MODEL_ID,
            c.text("settings_digest", "SHA-256 of the method's settings"),
            c.correlation("score", "mean out-of-fold pearson_zero_filled, patients of equal weight"),
            c.difference("gain", "score minus the champion's on what both scored; NULL for the first"),
            c.difference("gain_low", "lower bound of the gain; NULL with few patients"),
            c.difference("gain_min", "gain of the patient that gains least"),
            c.count("n_patients", "patients with out-of-fold scores", minimum=1),
            c.count("n_genes", "genes scored", minimum=1),
            Column("is_first", "bool", "whether nothing was served before"),
            Column("has_few_patients", "bool", "whether they are too few to speak of others"),
            Column("is_by_person", "bool", "whether a person decided, where the rule left it or to go back"),
            c.text("reasons", "why, one sentence a comparison"),
        ),
    ),
    TableSpec(
        "serving/spot_drift",
        "How unlike the spots that a champion was trained on each spot looks; of a training section, compared with "
        "those of other patients (with fewer than three patients, of other sections)",
        ("reference_cohort", *c.SPOT_KEY),
        (
            *c.REFERENCE,
            *c.SPOT,
            Column(
                "distance",
                "float64",
                "to the k-th nearest training spot, k by settings",
                "SD of a component",
                minimum=0,
            ),
            Column(
                "quantile",
                "float64",
                "share of left-out training spots that are nearer; NULL with too few",
                "",
                True,
                0,
                1,
            ),
            Column("is_above", "bool", "whether quantile is above the level of the settings; NULL likewise", "", True),
            c.text("nearest_section_id", "training section of the spot that looks most alike"),
            c.text("nearest_spot_id", "that spot"),
            c.IS_TRAINING,
        ),
    ),
    TableSpec(
        "serving/drift",
        "How unlike the sections that a champion was trained on each section is, by measure. A threshold speaks of one "
        "measure: of several, one is exceeded by chance more often",
        ("reference_cohort", "cohort", "section_id", "measure"),
        (
            *c.REFERENCE,
            *c.SECTION,
            c.text(
                "measure",
                "image: share of spots unlike training; stains: median optical density; depth: median log10 molecules "
                "of a spot; predictions: distribution of every gene's prediction",
                *c.DRIFT_MEASURES,
            ),
            Column("value", "float64", "distance from the training sections", minimum=0),
            Column("threshold", "float64", "learnt by leaving out; NULL with fewer than three units", "", True, 0),
            Column("is_drift", "bool", "whether value is above threshold; NULL without one", nullable=True),
            Column("section_value", "float64", "what was measured; NULL where it is no single number", nullable=True),
            Column(
                "reference_mean",
                "float64",
                "its mean over the training sections compared with",
                nullable=True,
                null="where it is no single number",
            ),
            c.IS_TRAINING,
            c.count("n_reference_sections", "training sections that this rests on", minimum=1),
            c.count("n_units", "patients or sections among them that were left out", minimum=1),
            c.text("left_out", "what was left out together; NULL if nothing could be", *c.LEFT_OUT, nullable=True),
        ),
    ),
    TableSpec(
        "serving/calibration",
        "How far a champion's recipe was from measurements of patients it never saw, by gene. Half width of an "
        "interval: quantile * greatest(scale_floor, scale_intercept + scale_slope * predicted)",
        ("reference_cohort", "gene"),
        (
            *c.REFERENCE,
            c.PANEL,
            c.TARGET,
            c.GENE,
            Column("level", "float64", "nominal coverage of the intervals", "", minimum=0, maximum=1),
            Column(
                "quantile",
                "float64",
                "of the scaled absolute errors; NULL if no finite interval is supported",
                "",
                True,
                0,
            ),
            Column("scale_intercept", "float64", "typical absolute error where 0 is predicted", "target units"),
            Column("scale_slope", "float64", "what it grows by with the prediction"),
            Column("scale_floor", "float64", "its smallest value", "target units", minimum=0),
            c.SUPPORT,
            c.count("n_patients", "patients whose out-of-fold errors were used", minimum=1),
            c.count("n_spots", "spots of theirs", minimum=1),
            Column(
                "coverage",
                "float64",
                "share of spots covered by intervals of the other patients, mean over patients; NULL with one patient",
                "",
                True,
                0,
                1,
            ),
            Column(
                "coverage_min",
                "float64",
                "the same of the patient that is covered least",
                "",
                True,
                0,
                1,
                null="with one patient",
            ),
        ),
    ),
    TableSpec(
        "serving/slide_predictions",
        "Expression that champions predict for sections they were not trained on, from the image alone, with intervals",
        ("reference_cohort", *c.SPOT_KEY, "gene"),
        (
            *c.REFERENCE,
            c.PANEL,
            c.TARGET,
            *c.SPOT,
            c.GENE,
            Column("predicted", "float32", "predicted expression, absolute", "target units"),
            Column(
                "lower", "float32", "lower end of the interval, never below 0; NULL without one", "target units", True
            ),
            Column("upper", "float32", "upper end of the interval; NULL without one", "target units", True),
            c.SUPPORT,
        ),
        "section",
    ),
    TableSpec(
        "serving/explorer",
        "Pages to look at sections with, an HTML file beside each table: what it shows, and the file's checksum",
        ("cohort", "section_id"),
        (
            *c.SECTION,
            *c.RUN,
            *c.PREDICTOR,
            c.MODEL_ID,
            c.count("n_spots", "spots shown", minimum=1),
            c.count("n_genes", "genes shown", minimum=1),
            c.text("file", "name of the HTML file in the artefact"),
            c.text("sha256", "SHA-256 of the HTML file"),
        ),
        "section",
    ),
    TableSpec(
        "raw/quarantine",
        "What is wrong with the sections that were refused",
        ("cohort", "fault"),
        (
            c.text("cohort", "name of the cohort"),
            c.count("fault", "number of the fault within the cohort"),
            c.text("section", "id of the section that the fault costs; NULL where it costs none", nullable=True),
            c.text("message", "what is wrong"),
            c.text("file", "file that it is in", nullable=True),
            c.text("field", "column, row or setting that it is in", nullable=True),
            c.text("found", "what was found", nullable=True),
            c.text("expected", "what was expected", nullable=True),
            c.text("hint", "what to do", nullable=True),
        ),
    ),
    TableSpec(
        "catalog/check_results",
        "What every check found, last time it ran",
        ("asset", "check_name", "partition_key", "variant", "expectation"),
        (
            c.text("asset", "asset key as group/name"),
            c.text("check_name", "name of the check"),
            c.text("partition_key", "partition looked at, empty for an asset without partitions"),
            c.text("variant", "panel, target and seed of a fold, as panel=.../target=.../seed=..., else empty"),
            c.text("severity", "what a failure means", "critical", "warning"),
            Column("passed", "bool", "whether nothing was found"),
            Column("is_blocking", "bool", "whether a failure stops what follows"),
            c.text("expectation", "what was expected"),
            Column("n_found", "int64", "violations, NULL where they cannot be counted", nullable=True, minimum=0),
            c.text("found", "what was found, as JSON"),
        ),
    ),
    TableSpec(
        "catalog/model_costs",
        "How large every model is and what its training took, from its provenance; seconds and memory differ from run "
        "to run. A model whose successor waits for other folds is missing",
        (*c.RUN_KEY, "method", "profile"),
        (
            *c.RUN_OF_MODEL,
            *c.PREDICTOR,
            c.text("setting", "full as published, or made small for two cores", "full", "small"),
            c.count("n_parameters", "numbers that are stored as weights, reference spots not counted"),
            Column("fit_seconds", "float64", "wall time of the training, inner run and refit", "s", True, 0),
            Column(
                "peak_memory_mb",
                "float64",
                "most memory of the process meanwhile, above what it held before",
                "MiB",
                True,
                0,
                null="where the system does not say",
            ),
            Column(
                "peak_gpu_memory_mb",
                "float64",
                "most memory of tensors on the GPU meanwhile",
                "MiB",
                True,
                0,
                null="without one",
            ),
            c.text("device", "where networks trained", nullable=True),
            Column(
                "is_resumed",
                "bool",
                "whether it went on where a process had stopped, so that the seconds are not those of the training",
                nullable=True,
            ),
        ),
    ),
)

TABLES = {spec.name: spec for spec in _SPECS}
"""Every table and family by name."""


def family_prefix(name: str) -> str:
    """Start of the names of a family's members (``image/embeddings_``); empty for a table that is no family."""
    return _FAMILY.sub("", name) if _FAMILY.search(name) else ""


def table_spec(name: str) -> TableSpec:
    """Find a table; a member of a family (``image/embeddings_color_texture``) has the family's columns under its name.

    Raises
    ------
    SchemaError
        No such table.
    """
    if name in TABLES:
        return TABLES[name]
    for family, spec in TABLES.items():
        prefix = family_prefix(family)
        if prefix and re.fullmatch(re.escape(prefix) + "[a-z0-9_]+", name):
            return replace(spec, name=name)
    raise SchemaError("no such table", table=name, expected=sorted(TABLES))
