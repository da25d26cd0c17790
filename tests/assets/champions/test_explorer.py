"""What the explorer shows is what the lake holds: the champion's out-of-fold prediction, or what it serves."""

import hashlib
import io
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gr2st_assets.assets.calibration import calibration
from gr2st_assets.assets.explorer import explorer
from gr2st_assets.assets.slide_predictions import slide_predictions
from gr2st_assets.assets.spot_drift import spot_drift
from gr2st_assets.champions import champions, history
from gr2st_assets.explorer.chosen import Shown, choose, inputs
from gr2st_assets.explorer.gather import gather
from gr2st_assets.explorer.page import write_page
from gr2st_assets.explorer.values import NOT_CALIBRATED, NOT_CHAMPION, read_expression
from gr2st_assets.manifest import Entry
from gr2st_assets.models import load_champion
from gr2st_assets.removal import plan_removal
from gr2st_assets.sections import image_section
from gr2st_assets.slots import section_slot
from gr2st_core.cohorts.spot_size import spot_diameter
from gr2st_core.errors import MissingArtifactError, SettingsError
from gr2st_core.keys import SectionKey
from gr2st_core.models.registry import METHODS
from samples.champion_lake import ERRORS, GENE_NAMES, LOW_RANK, RIDGE

OWN, NEW = SectionKey("c", "A1"), SectionKey("d", "L1")


def shown(lake) -> Shown:
    """Give the newest of everything, as a manifest would show it."""
    heads = {slot: lake.require_head(slot) for slot in lake.slots()}
    return Shown(1, {s: Entry(h.digest, h.provenance.generation, lake.files(s)) for s, h in heads.items()})


@pytest.fixture
def whole(sections):
    """``whole(key)``: put what a page needs of a section and drift does not: scale, thumbnail, regions, graph."""

    def add(key):
        lake = sections.lake
        png = io.BytesIO()
        Image.new("RGB", (40, 20), "pink").save(png, "png")
        facts = {
            "pitch_um": 200.0,
            "width_px": 400,
            "height_px": 200,
            "thumbnail_png": png.getvalue(),
            "image_sha256": "",
        }
        for table, columns in (("raw/slides", facts), ("raw/spots", {"region": "tumour"})):
            rows = lake.read_table(section_slot(lake, table, key)).to_pandas()
            sections._write(table, key, rows.assign(**columns))
        edges = pd.DataFrame({"source_spot_id": ["s01", "s00"], "target_spot_id": ["s00", "s01"]})
        sections._write("graphs/spatial_graph", key, edges)
        return shown(lake)

    return add


def test_a_section_is_shown_by_the_model_that_its_patient_was_held_out_from(sections):
    found = choose(sections.lake, shown(sections.lake), OWN)
    assert (found.name, found.fold_id, found.split_unit) == (RIDGE, "c/patient-A", "patient")
    assert found.event == champions(history(sections.lake))["c"]
    assert found.model[0].value("fold") == "patient-A"


def test_the_champion_shows_a_section_that_no_fold_holds_out(sections):
    found = choose(sections.lake, shown(sections.lake), NEW)
    assert (found.name, found.fold_id, found.predictions) == (RIDGE, "c/all", None)
    assert found.model == champions(history(sections.lake))["c"].contender.model


def test_what_cannot_be_shown_is_refused_with_what_there_is(sections):
    lake = sections.lake
    with pytest.raises(SettingsError) as wrong:
        choose(lake, shown(lake), OWN, fold="c/patient-B")
    assert wrong.value.context["expected"] == ["c/patient-A"]
    with pytest.raises(SettingsError):
        choose(lake, shown(lake), OWN, method="ridge_m225")
    with pytest.raises(MissingArtifactError) as missing:
        choose(lake, shown(lake), OWN, method="knn_m224")
    assert missing.value.context["field"] == "knn_m224"


def test_without_a_champion_a_method_has_to_be_named(world):
    with pytest.raises(MissingArtifactError) as nobody:
        choose(world.lake, shown(world.lake), OWN)
    assert "--method" in nobody.value.context["hint"]
    assert choose(world.lake, shown(world.lake), OWN, method=RIDGE).event is None


def test_another_method_is_shown_without_the_champions_intervals(sections):
    sections.world.put_method(LOW_RANK)
    found = choose(sections.lake, shown(sections.lake), OWN, method=LOW_RANK)
    assert (found.name, found.event) == (LOW_RANK, None)


def test_values_are_joined_by_id_and_genes_stand_by_falling_r(sections):
    assert sections.run(calibration).success
    lake = sections.lake
    chosen = choose(lake, shown(lake), OWN)
    image = image_section(lake, OWN, METHODS[RIDGE].features)
    values, _ = read_expression(lake, shown(lake), chosen, image, None)
    rows = lake.read_table(chosen.predictions).to_pandas().set_index(["spot_id", "gene"]).predicted
    assert sorted(values.genes) == list(GENE_NAMES)
    assert (np.diff(values.pearson) <= 0).all()
    for column, gene in enumerate(values.genes):
        own = [rows[spot, gene] for spot in image.spot_ids]
        np.testing.assert_array_equal(values.predicted[:, column], own)
        error = ERRORS[GENE_NAMES.index(gene)]
        np.testing.assert_allclose(values.observed[:, column] - values.predicted[:, column], error, atol=1e-6)
        rule = sections.rows("serving/calibration").set_index("gene").loc[gene]
        line = np.maximum(rule.scale_floor, rule.scale_intercept + rule.scale_slope * np.float64(own))
        np.testing.assert_allclose(values.half_width[:, column], rule["quantile"] * line, rtol=1e-5)
    assert values.interval_note == "90% intervals, support: spot-level, same patients"


def test_without_calibration_it_says_which_is_missing(sections):
    lake = sections.lake
    sections.world.put_method(LOW_RANK)
    sections.put_predictions(LOW_RANK)
    image = image_section(lake, OWN, METHODS[RIDGE].features)
    for method, note in ((None, NOT_CALIBRATED), (LOW_RANK, NOT_CHAMPION)):
        chosen = choose(lake, shown(lake), OWN, method=method)
        values, _ = read_expression(lake, shown(lake), chosen, image, None)
        assert (values.half_width, values.interval_note) == (None, note)


def test_a_new_section_shows_what_the_champion_predicts_stored_or_not(sections, whole):
    assert sections.run(calibration, spot_drift).success
    lake = sections.lake
    before = whole(NEW)
    made = gather(lake, before, choose(lake, before, NEW))
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("sections", [str(NEW)])
    assert sections.run(slide_predictions, instance=instance, partition_key=str(NEW)).success
    after = shown(lake)
    stored = gather(lake, after, choose(lake, after, NEW))
    assert inputs(lake, after, choose(lake, after, NEW)) != inputs(lake, before, choose(lake, before, NEW))
    contender = champions(history(lake))["c"].contender
    expected = load_champion(lake, contender).predict(image_section(lake, NEW, METHODS[RIDGE].features))
    for view in (made, stored):
        values = view.expression
        assert (values.observed, values.pearson, view.model_id) == (None, None, contender.model_id)
        np.testing.assert_array_equal(
            values.predicted[:, [values.genes.index(g) for g in expected.genes]], expected.values
        )
    np.testing.assert_allclose(stored.expression.half_width, made.expression.half_width, atol=1e-6)
    drift = sections.rows("serving/spot_drift").query("section_id == 'L1'").set_index("spot_id")
    named = [stored.references.names[k][1] for k in stored.references.index[:, 0]]
    assert named == [drift.nearest_spot_id[spot] for spot in stored.spots.ids]
    assert "did not make the prediction" in stored.references.note
    assert stored.slide.size_px == (400, 200)
    assert stored.spots.edges.shape == (2, 2)


def test_the_asset_keeps_the_page_that_the_command_writes_and_links_it(sections, whole, monkeypatch):
    lake, before = sections.lake, whole(NEW)
    monkeypatch.setattr(Shown, "of", lambda _: before)
    instance = dg.DagsterInstance.ephemeral()
    instance.add_dynamic_partitions("sections", [str(NEW)])
    result = sections.run(explorer, instance=instance, partition_key=str(NEW))
    assert result.success
    (event,) = result.asset_materializations_for_node("serving__explorer")
    page = Path(event.metadata["explorer"].path).read_bytes()
    assert page == write_page(gather(lake, before, choose(lake, before, NEW)))
    slot = section_slot(lake, "serving/explorer", NEW)
    (row,) = lake.read_table(slot).to_pylist()
    assert (row["file"], row["sha256"]) == ("explorer.html", hashlib.sha256(page).hexdigest())
    assert (row["fold_id"], row["n_spots"], row["n_genes"]) == ("c/all", 30, 3)
    assert slot in plan_removal(lake, "c", section="A1").slots  # it may name spots of other sections


@pytest.mark.parametrize(("pitch", "diameter"), [(200, 100), (150, 110), (100, 55), (8, 8), (500, 275)])
def test_spots_are_as_wide_as_on_the_array_that_has_their_pitch(pitch, diameter):
    found, note = spot_diameter(float(pitch))
    assert found == pytest.approx(diameter)
    assert f"{diameter:g}" in note
