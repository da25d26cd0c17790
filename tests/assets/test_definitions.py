"""What Dagster is told about the project, and what loading it costs."""

import subprocess
import sys

import dagster as dg
import pytest

from gr2st_assets.definitions import ASSETS, TABLE_ASSETS, defs
from gr2st_core.models.comparators.specs import COMPARATORS

HEAVY = ("torch", "scanpy", "great_expectations", "timm", "torch_geometric", "pandas", "numpy", "upath")
GROUPS = {
    "raw", "expression", "image", "cells", "graphs", "folds", "models", "predictions", "evaluation", "serving",
    "catalog",
}  # fmt: skip
FAMILIES = ("models", "predictions")
COMPARED = {spec.name for spec in COMPARATORS}


def test_definitions_are_loadable():
    dg.Definitions.validate_loadable(defs)


def test_loading_imports_nothing_heavy():
    probe = f"import gr2st_assets.definitions, sys; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", probe], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_what_readers_see_is_made_last_in_its_job():
    structure = defs.resolve_job_def("summary").graph.dependency_structure
    nodes = {node.name for node in defs.resolve_job_def("summary").nodes}

    def above(name):
        outputs = structure.input_to_upstream_outputs_for_node(name).values()
        return {output.node.name for each in outputs for output in each}

    assert above("catalog__catalog") == nodes - {"catalog__catalog"}
    assert above("evaluation__report") == nodes - {"catalog__catalog", "evaluation__report"}


def test_preloaded_modules_do_not_touch_a_gpu_or_start_threads():
    probe = (
        "import threading, gr2st_core.warm, gr2st_assets.definitions, torch; "
        "print(torch.cuda.is_initialized(), threading.active_count())"
    )
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", probe], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False 1"


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.key.to_user_string())
def test_every_asset_is_described_owned_grouped_and_kinded(asset):
    spec = asset.specs_by_key[asset.key]
    assert spec.description
    assert spec.owners == ["team:gr2st"]
    is_comparator = asset.key.path[0] in FAMILIES and asset.key.path[1].partition("_")[2] in COMPARED
    assert spec.group_name == ("comparators" if is_comparator else asset.key.path[0])
    assert spec.kinds
    assert spec.group_name in {*GROUPS, "comparators"}


@pytest.mark.parametrize("asset", TABLE_ASSETS, ids=lambda asset: asset.key.to_user_string())
def test_every_table_has_a_code_version_a_column_schema_and_a_blocking_contract(asset):
    spec = asset.specs_by_key[asset.key]
    assert spec.code_version
    assert spec.metadata["dagster/column_schema"].columns
    checks = {check.name: check for check in asset.check_specs}
    assert checks["contract"].blocking


def test_all_groups_of_the_design_are_there():
    assert {asset.key.path[0] for asset in ASSETS} == GROUPS


def test_stages_cover_every_asset_once():
    covered = [
        key
        for name in ("sections", "fold_table", "folds", "summary", "serving", "explorer", "studies", "study_summary")
        for key in defs.resolve_job_def(name).asset_layer.executable_asset_keys
    ]
    assert sorted(covered) == sorted(asset.key for asset in ASSETS)


def test_missing_rows_of_features_and_cell_types_block_what_follows():
    checked = [asset for asset in ASSETS if asset.key.path[0] in ("image", "cells")]
    assert len(checked) > 3
    for asset in checked:
        checks = {check.name: check for check in asset.check_specs}
        assert checks["every_spot_has_rows"].blocking
