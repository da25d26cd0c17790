"""Images too coarse for an encoder, and slides that were never sequenced: how far they go."""

import gzip

import numpy as np
import pytest
from PIL import Image

from gr2st_assets import register
from gr2st_assets.assets import folds
from gr2st_assets.definitions import defs
from gr2st_assets.inspection import inspect
from gr2st_assets.kinds import BLUEPRINTS
from gr2st_assets.lake import Lake
from gr2st_assets.records import Provenance
from gr2st_assets.resolution import blind_encoders, coarse_notes
from gr2st_assets.resources import Experiment
from gr2st_assets.schema import conform
from gr2st_assets.sections import image_section, train_section
from gr2st_assets.tables import table_spec
from gr2st_core.errors import MissingArtifactError
from gr2st_core.keys import SectionKey
from gr2st_core.settings import Settings

COARSE, FINE = "color_texture", "efficientnet_lite0_309um"
GENES = ("ERBB2", "ACTB", "KRT18")


def tissue(width, height, seed=0):
    return np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8)


def add_section(folder, section, pitch_px):
    """Section of the her2st layout whose spots are 200 um and ``pitch_px`` pixels apart."""
    places = [(x, y) for x in range(1, 4) for y in range(1, 4)]
    spots = "".join(f"{x}\t{y}\t{x}\t{y}\t{x * pitch_px}\t{y * pitch_px}\t1\n" for x, y in places)
    rows = "".join(f"{x}x{y}\t{x}\t{y}\t{ord(section[0])}\n" for x, y in places)
    header = "x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected\n"
    files = {
        f"data/ST-spotfiles/{section}_selection.tsv": (header + spots).encode(),
        f"data/ST-cnts/{section}.tsv.gz": gzip.compress(("\t" + "\t".join(GENES) + "\n" + rows).encode(), mtime=0),
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    image = folder / f"data/ST-imgs/{section[0]}/{section}/he.png"
    image.parent.mkdir(parents=True)
    Image.fromarray(tissue(4 * pitch_px, 4 * pitch_px, ord(section[0]))).save(image)


def added(lake, name, folder):
    found = inspect(lake, name, folder, Settings(), lambda *_: None, {})
    assert found.faults == []
    register.save(lake, found.cohort)
    return found


def compute(lake, table, key):
    plan = BLUEPRINTS[table].open_plans(lake, Experiment(), Settings(), lambda _: lambda *_: None)(str(key))
    product = plan.compute()
    rows = conform(table_spec(table), product.table, metadata=product.schema_facts)
    lake.write_table(plan.slot, rows, Provenance("mark", plan.inputs, "", "", "", "run", 0.0))
    return rows, {finding.check_name: finding for finding in product.findings}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    assert defs.resolve_all_asset_specs()  # the blueprints are those of the definitions
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("GR2ST_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def lake(home):
    return Lake(home / "lake")


def test_encoders_go_blind_by_their_span():
    assert blind_encoders(0.7) == []
    assert COARSE in blind_encoders(12.5)
    assert FINE not in blind_encoders(12.5)
    assert FINE in blind_encoders(25.0)


def test_a_note_says_which_encoders_and_what_follows():
    facts = {"um_per_px": 12.5, "size_px": [64, 64], "counts": "digest"}
    assert coarse_notes({**facts, "um_per_px": 0.7}) == []
    assert coarse_notes({**facts, "size_px": None}) == []
    (note,) = coarse_notes(facts)
    assert "12.50 um/px" in note
    assert COARSE in note
    assert FINE not in note
    assert "counts are used" in note
    assert "cannot predict" in coarse_notes({**facts, "counts": None})[0]


@pytest.fixture(scope="module")
def mixed(lake, home):
    """A1 has an image of 12.5 um per px, B1 and C1 of 1."""
    for section, pitch_px in (("A1", 16), ("B1", 200), ("C1", 200)):
        add_section(home / "mixed", section, pitch_px)
    added(lake, "mixed", home / "mixed")
    keys = [SectionKey("mixed", section) for section in ("A1", "B1", "C1")]
    for key in keys:
        for table in ("raw/slides", "raw/spots", "raw/counts"):
            compute(lake, table, key)
    return keys


def test_a_coarse_section_has_no_features_of_encoders_that_cannot_use_it_and_a_warning_says_why(lake, mixed):
    rows, findings = compute(lake, f"image/embeddings_{COARSE}", mixed[0])
    assert rows.num_rows == 0
    assert not findings["resolution"].passed
    assert findings["resolution"].severity == "warning"
    assert not findings["resolution"].is_blocking
    assert "12.5 um per px" in findings["resolution"].found
    assert findings["every_spot_has_rows"].passed
    rows, findings = compute(lake, f"image/embeddings_{COARSE}", mixed[1])
    assert rows.num_rows == 9
    assert findings["resolution"].passed


def test_a_coarse_section_teaches_by_its_counts_alone(lake, mixed):
    coarse, *fine = mixed
    made = folds._folds(lake, mixed, [])
    assert {fold.fold_id for fold in made} >= {"mixed/section-B1", "mixed/section-C1", "mixed/all"}
    assert all(fold.counts_only == (coarse,) and coarse not in (*fold.train, *fold.test) for fold in made)
    assert train_section(lake, coarse, ()).counts.totals().sum() > 0
    assert {key for fold in made for key in fold.test} == set(fine)


def test_asking_for_features_that_a_coarse_section_lacks_is_an_error_that_says_why(lake, mixed):
    compute(lake, f"image/embeddings_{COARSE}", mixed[0])
    with pytest.raises(MissingArtifactError, match="too coarse") as caught:
        image_section(lake, mixed[0], (COARSE,))
    assert caught.value.context["section"] == "mixed/A1"
    assert caught.value.context["table"] == f"image/embeddings_{COARSE}"


def test_a_slide_without_counts_goes_through_every_table_and_into_no_fold(lake, tmp_path):
    (tmp_path / "new").mkdir()
    Image.fromarray(tissue(600, 400)).save(tmp_path / "new" / "S1.png")
    (tmp_path / "new" / "cohort.yml").write_text("um_per_px: 1.0\n")
    found = added(lake, "new", tmp_path / "new")
    assert found.cohort.layout == "slides"
    key = SectionKey("new", "S1")
    rows = {
        table: compute(lake, table, key)[0]
        for table in (
            "raw/slides", "raw/spots", "raw/counts", "expression/hvg_table", "cells/cell_types",
            f"image/embeddings_{COARSE}",
        )
    }  # fmt: skip
    n_spots = rows["raw/spots"].num_rows
    assert n_spots == found.facts["new/S1"]["n_spots"] > 0
    assert rows[f"image/embeddings_{COARSE}"].num_rows == n_spots
    assert [rows[t].num_rows for t in ("raw/counts", "expression/hvg_table", "cells/cell_types")] == [0, 0, 0]
    assert train_section(lake, key, ()).counts.matrix.shape == (n_spots, 0)
    assert image_section(lake, key, (COARSE,)).features[COARSE].shape[0] == n_spots
    assert folds._folds(lake, [key], []) == []
