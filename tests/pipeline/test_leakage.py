"""A held-out section's counts and cell types change its scores and nothing else."""

import gzip
import io
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

HELD = "A1"
FOLDS = ("tiny/section-A1", "tiny/patient-A")


def randomize_counts(folder):
    path = folder / "data" / "ST-cnts" / f"{HELD}.tsv.gz"
    table = pd.read_csv(path, sep="\t", index_col=0)
    table.loc[:, :] = np.random.default_rng(0).integers(0, 50, table.shape)
    text = io.StringIO()
    table.to_csv(text, sep="\t")
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def shuffle_deconvolution(folder):
    path = folder / "res" / "ST-deconv" / "props" / "major.zip"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in members if name.endswith(f"{HELD}-proportion.tsv"))
    table = pd.read_csv(io.BytesIO(members[name]), sep="\t", index_col=0)
    table.iloc[:, :] = table.to_numpy()[np.random.default_rng(0).permutation(len(table))]
    members[name] = table.to_csv(sep="\t").encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def test_predictions_do_not_know_the_held_out_section(materialized, cohort, tmp_path):
    folder = tmp_path / "disturbed"
    shutil.copytree(cohort, folder)
    randomize_counts(folder)
    shuffle_deconvolution(folder)
    project = materialized.copy(tmp_path / "home")
    project.gr2st("cohort", "add", "tiny", str(folder))
    project.materialize(*[argument for fold in FOLDS for argument in ("--fold", fold)])

    before, after = materialized.digests(), project.digests()
    held = [slot for slot in before if slot.value("fold") in ("section-A1", "patient-A")]
    predicted = [slot for slot in held if slot.table.startswith(("predictions/predictions_", "models/"))]
    assert len(predicted) == 2 * 2 * len(project.methods)
    panels = [slot for slot in held if slot.table == "expression/panel"]
    assert len(panels) == 2
    assert [slot for slot in (*panels, *predicted) if before[slot] != after[slot]] == []
    changed = {slot.table for slot in before if before[slot] != after[slot]}
    assert {"raw/counts", "cells/cell_types", "predictions/observed", "evaluation/gene_scores"} <= changed
