"""Whatever is made from a section's image, the image is decoded once."""

from collections import Counter

import pytest
from filelock import FileLock

from gr2st_assets import register
from gr2st_assets.definitions import defs
from gr2st_assets.inspection import inspect
from gr2st_assets.kinds import BLUEPRINTS
from gr2st_assets.lake import Lake
from gr2st_assets.models import sweep_finished
from gr2st_assets.records import Provenance
from gr2st_assets.resources import Experiment
from gr2st_assets.schema import conform
from gr2st_assets.tables import table_spec
from gr2st_core.cohorts.synthetic import make_synthetic_cohort
from gr2st_core.images.slides import Slide
from gr2st_core.settings import Settings

TABLES = (
    "raw/slides", "raw/spots", "image/embeddings_color_texture", "image/embeddings_efficientnet_lite0",
    "image/embeddings_efficientnet_lite0_309um",
)  # fmt: skip


def quiet(*_):
    pass


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("GR2ST_HOME", str(tmp_path))
    make_synthetic_cohort(tmp_path / "tiny", n_patients=2, sections_per_patient=1)
    lake = Lake(tmp_path / "lake")
    register.save(lake, inspect(lake, "tiny", tmp_path / "tiny", Settings(), quiet, {}).cohort)
    return lake


def test_slide_spots_and_encoders_decode_each_image_once_and_the_sweep_leaves_none(lake, tmp_path, monkeypatch):
    assert defs.resolve_all_asset_specs()  # the blueprints are those of the definitions
    decodings, decode = Counter(), Slide._decode
    monkeypatch.setattr(Slide, "_decode", lambda slide: (decodings.update([slide.section]), decode(slide))[1])
    for table in TABLES:
        plan_of = BLUEPRINTS[table].open_plans(lake, Experiment(), Settings(), lambda _: quiet)
        for key in ("tiny/A1", "tiny/B1"):
            plan = plan_of(key)
            rows = conform(table_spec(table), plan.compute().table)
            lake.write_table(plan.slot, rows, Provenance("mark", plan.inputs, "", "", "", "run", 0.0))
    assert decodings == {"tiny/A1": 1, "tiny/B1": 1}

    images, locks = tmp_path.glob(".decoded/*/pixels.npy"), sorted(tmp_path.glob(".decoded/*.lock"))
    assert len(list(images)) == 2
    with FileLock(locks[0]):
        sweep_finished(tmp_path)
    assert [path.parent.name for path in tmp_path.glob(".decoded/*/pixels.npy")] == [locks[0].stem]
    sweep_finished(tmp_path)
    assert not list(tmp_path.glob(".decoded/*/"))
