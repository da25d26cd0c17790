"""Champions predict sections that they were not trained on, with intervals that rest on their own errors."""

import dagster as dg
import numpy as np
import pytest

from gr2st_assets.assets.calibration import calibration
from gr2st_assets.assets.slide_predictions import slide_predictions
from gr2st_assets.champions import champions, history
from gr2st_assets.drift_sections import COLOURS, ENCODER
from gr2st_assets.models import load_champion
from gr2st_assets.removal import plan_removal, remove
from gr2st_assets.sections import image_section
from gr2st_assets.slots import section_slot
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS
from samples.champion_lake import ERRORS, GENE_NAMES, RIDGE

NEW = "d/L1"


@pytest.fixture
def predict(sections):
    """Give what materializes the predictions of one section: rows, and the metadata of the materialization."""
    instance = dg.DagsterInstance.ephemeral()

    def materialize(key):
        instance.add_dynamic_partitions("sections", [key])
        result = sections.run(slide_predictions, instance=instance, partition_key=key)
        assert result.success
        (event,) = result.asset_materializations_for_node("serving__slide_predictions")
        rows = sections.lake.read_table(section_slot(sections.lake, "serving/slide_predictions", SectionKey.parse(key)))
        return rows.to_pandas(), event.metadata

    return materialize


def calibrated(sections):
    assert sections.run(calibration).success
    return sections.rows("serving/calibration").set_index("gene")


def test_intervals_are_as_wide_as_the_champions_own_errors(sections):
    rows = calibrated(sections)
    assert list(rows.index) == sorted(GENE_NAMES)
    assert (rows.support == "spot-level, same patients").all()
    assert (rows.n_patients == 3).all()
    assert rows.coverage.between(0.9, 1).all()
    predicted = sections.lake.read_table(
        sections.lake.slot(f"predictions/predictions_{RIDGE}", cohort="c", fold="patient-A", panel="fold_safe",
                           target="per_spot", seed=0)
    ).to_pandas()  # fmt: skip
    for gene, error in zip(GENE_NAMES, ERRORS, strict=True):
        of = rows.loc[gene]
        line = of.scale_intercept + of.scale_slope * predicted.predicted[predicted.gene == gene]
        half = of["quantile"] * np.maximum(of.scale_floor, line)
        assert half.median() == pytest.approx(abs(error), rel=0.02)


def test_a_new_section_is_predicted_by_the_champions_fit_with_its_intervals(sections, predict):
    rule = calibrated(sections)
    rows, _ = predict(NEW)
    contender = champions(history(sections.lake))["c"].contender
    fitted = load_champion(sections.lake, contender)
    expected = fitted.predict(image_section(sections.lake, SectionKey.parse(NEW), METHODS[RIDGE].features))
    wide = rows.pivot(index="spot_id", columns="gene", values="predicted").loc[expected.spot_ids, list(GENE_NAMES)]
    np.testing.assert_array_equal(wide.to_numpy(), expected.values)
    assert set(rows.model_id) == {contender.model_id}
    assert set(rows.champion) == {1}
    half = rule["quantile"] * rule.scale_floor.clip(rule.scale_intercept)
    found = (rows.upper - rows.lower).groupby(rows.gene).median() / 2
    np.testing.assert_allclose(found[list(GENE_NAMES)], half[list(GENE_NAMES)], rtol=0.05)
    assert (rows.lower <= rows.predicted).all()
    assert (rows.lower >= np.minimum(rows.predicted, 0)).all()


def test_without_calibration_a_prediction_has_no_interval_and_says_so(predict):
    rows, _ = predict(NEW)
    assert rows.lower.isna().all()
    assert rows.upper.isna().all()
    assert set(rows.support) == {"none"}


def test_a_training_section_is_not_predicted_by_the_model_that_saw_it(predict):
    rows, metadata = predict("c/A1")
    assert rows.empty
    assert "all were trained on the section" in metadata["not_predicted"].value


def test_a_section_without_features_or_image_is_said_to_be_so(sections, predict):
    sections.put("d/M1", image=False)
    rows, metadata = predict("d/M1")
    assert rows.empty
    assert f"image/embeddings_{METHODS[RIDGE].features[0]} not made" in metadata["not_predicted"].value


def test_a_champion_whose_fit_is_gone_costs_no_other_section_and_is_named(sections, predict):
    slot, digest = champions(history(sections.lake))["c"].contender.model
    (file,) = (name for name in sections.lake.files(slot, digest) if name.endswith(".safetensors"))
    (sections.lake.folder(slot, digest) / file).write_bytes(b"damaged")
    rows, metadata = predict(NEW)
    assert rows.empty
    assert "an artefact is damaged" in metadata["not_predicted"].value


def test_measurements_of_another_panel_than_the_champions_are_not_used(sections):
    slot = {"cohort": "c", "fold": "patient-A", "panel": "fold_safe", "target": "per_spot"}
    rows = sections.lake.read_table(sections.lake.slot("predictions/observed", **slot)).to_pandas()
    fewer = rows[rows.gene != GENE_NAMES[0]]
    sections.world.put("predictions/observed", fewer, fold="patient-A", inputs={"expression/panel": "another"})
    result = sections.run(calibration)
    assert result.success
    (event,) = result.asset_materializations_for_node("serving__calibration")
    assert "another panel" in event.metadata["without_intervals"].value
    assert sections.rows("serving/calibration").empty


def test_calibration_of_predictions_that_were_made_anew_is_refused_with_the_reason(sections):
    sections.world.put_method(RIDGE, "another recipe", seed=1)
    result = sections.run(calibration)
    (event,) = result.asset_materializations_for_node("serving__calibration")
    assert "not of the champion's recipe" in event.metadata["without_intervals"].value
    assert sections.rows("serving/calibration").empty


def test_what_a_model_trained_on_a_removed_section_predicted_of_others_goes_with_it(
    sections, predict, tmp_path, monkeypatch
):
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    calibrated(sections)
    assert len(predict(NEW)[0])
    with dg.DagsterInstance.ephemeral() as instance:
        remove(sections.lake, instance, plan_removal(sections.lake, "c", section="A1"))
    left = {slot.table for slot in sections.lake.slots() if slot.value("cohort") == "d"}
    assert left == {"raw/slides", "raw/spots", *(f"image/embeddings_{name}" for name in (ENCODER, COLOURS))}
    with pytest.raises(MissingArtifactError):
        sections.rows("serving/calibration")
