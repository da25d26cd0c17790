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

_SPECS = (
    TableSpec(
        "raw/slides",
        "Each section's image and its facts",
        ("cohort", "section_id"),
        (
            *c.SECTION_OF_PATIENT,
            c.text("image_path", "name of the image file; without one, NULL like all it gives", nullable=True),
            c.text("image_sha256", "SHA-256 of the image file", nullable=True),
            c.count("width_px", "image width", "px", minimum=1, nullable=True),
            c.count("height_px", "image height", "px", minimum=1, nullable=True),
            Column("um_per_px", "float64", "image resolution", "um/px", minimum=0.05, maximum=20, severity="warning"),
            Column("pitch_px", "float64", "distance between neighbouring spots in the image", "px", minimum=0),
            Column("pitch_um", "float64", "the same on the slide", "um", minimum=1, maximum=500, severity="warning"),
            Column("tissue_fraction", "float64", "share of the image that is tissue", "", True, 0, 1),
            Column("thumbnail_um_per_px", "float64", "resolution of thumbnail and mask", "um/px", True, 0),
            Column("thumbnail_png", "binary", "small picture of the slide", nullable=True),
            Column("tissue_mask_png", "binary", "tissue in white, same size as the thumbnail", nullable=True),
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
            c.text("gene_group", "what the gene marks, in panels that say so", nullable=True),
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
            Column("patient_in_training", "bool", c.KNOWN_PATIENT.description + "; test rows only", nullable=True),
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
            Column("relative", "float32", "after the section is centred on itself", "target units", nullable=True),
            Column("retrieval", "float32", "part from similar training spots", "target units", nullable=True),
            Column("regression", "float32", "part from the regression head", "target units", nullable=True),
            Column("weight", "float32", "share of retrieval", nullable=True, minimum=0, maximum=1),
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
            *c.SUMMARY,
        ),
        "fold",
    ),
    TableSpec(
        "evaluation/scoreboard",
        "Every method beside the nulls and the ceiling: means over sections, then patients",
        ("cohort", "split_unit", "panel", "target", "seed", "method", "profile", "training_patients"),
        (
            c.COHORT,
            c.SPLIT_UNIT,
            c.PANEL,
            c.TARGET,
            c.SEED,
            *c.PREDICTOR,
            c.text(
                "training_patients",
                "sections whose patient is in training, is not, or both",
                "mates",
                "strangers",
                "all",
            ),
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
        "serving/reference_bank",
        "Training spots that the served model looks up",
        ("fold_id", "model_id", *c.SPOT_KEY),
        (c.FOLD_ID, c.MODEL_ID, *c.SPOT, c.EMBEDDING),
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
