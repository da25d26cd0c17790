"""What an HDF5 file of a 10x count matrix declares, judged before anything of it is loaded.

Belongs here: layout, links, sizes, and the signs of a probe-level matrix. Does not belong here: loading it
(``spaceranger_matrix``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gr2st_core.cohorts.faults import Faults
from gr2st_core.cohorts.matrix_checks import within_limits
from gr2st_core.containers.hdf5_guard import arrays_in, declared_bytes, member
from gr2st_core.settings import Limits

PROBE_HINT = "give filtered_feature_bc_matrix.h5 of the same run, which has one row per gene"
_PROBE_FIELDS = {"gene_id", "probe_region", "probe_type", "filtered_probes"}
_MAX_CHUNK = 2**27
_ENTRIES = ("data", "indices")


def matrix_group(file: Any) -> Any:
    """Group of the matrix: ``matrix``, or in the second version the genome's; None without one.

    Raises
    ------
    SchemaError
        It is a link.
    """
    names = ["matrix"] if "matrix" in set(file) else list(file)  # `in file` would follow a link
    if len(names) != 1:
        return None
    group = member(file, names[0])
    return group if hasattr(group, "keys") and {"barcodes", "indptr", "shape"} <= set(group) else None


def check_declared(file: Any, path: Path, faults: Faults, limits: Limits) -> None:
    """Judge the sizes that a file declares, and refuse what would make a reader look elsewhere."""
    group = matrix_group(file)
    if group is None:
        faults.add(
            "an HDF5 file has no 10x count matrix",
            file=path,
            found=sorted(file)[:10],
            expected="a group 'matrix', or one group of one genome, with barcodes, indices, indptr, data and shape",
        )
        return
    sets = dict(arrays_in(group, path))
    is_third = "features" in group
    names, ids = ("features/name", "features/id") if is_third else ("gene_names", "genes")
    needed = {"barcodes", "data", "indices", "indptr", "shape", names, ids}
    if missing := sorted((needed | ({"features/feature_type"} if is_third else set())) - set(sets)):
        faults.add("a 10x count matrix lacks parts", file=path, field=missing, found=sorted(sets)[:20])
        return
    if {name.rpartition("/")[2] for name in sets} & _PROBE_FIELDS:
        refuse_probes(path, faults, sorted({name.rpartition("/")[2] for name in sets} & _PROBE_FIELDS))
    others = sum(declared_bytes(item) for name, item in sets.items() if name not in _ENTRIES)
    if others > limits.max_bytes:
        faults.add(
            "an HDF5 file unpacks to too many bytes",
            file=path,
            field="limits.max_bytes",
            found=others,
            expected=f"at most {limits.max_bytes}",
            hint="raise limits.max_bytes in the settings if the machine has the memory",
        )
    elif within_limits(sets["barcodes"].size, sets["data"].size, faults, file=path, limits=limits):
        _check_shapes(sets, names, path, faults)


def _check_shapes(sets: dict[str, Any], names: str, path: Path, faults: Faults) -> None:
    n_spots, n_genes = sets["barcodes"].size, sets[names].size
    expected = {
        "indptr": (n_spots + 1,),
        "indices": sets["data"].shape,
        "shape": (2,),
        **({"features/feature_type": (n_genes,), "features/id": (n_genes,)} if names == "features/name" else {}),
        **({"genes": (n_genes,)} if names == "gene_names" else {}),
    }
    if wrong := {name: sets[name].shape for name, shape in expected.items() if sets[name].shape != shape}:
        faults.add("parts of a 10x count matrix do not fit", file=path, field=sorted(wrong), found=wrong)
    elif (declared := sets["shape"][()].tolist()) != [n_genes, n_spots]:
        faults.add(
            "a matrix has not the size of its lists of features and barcodes",
            file=path,
            field="shape",
            found=declared,
            expected=[n_genes, n_spots],
        )
    elif any(
        sets[name].ndim != 1 or declared_bytes(sets[name]) > 16 * sets[name].size + _MAX_CHUNK for name in _ENTRIES
    ):
        faults.add("an HDF5 file is stored in chunks that are too large", file=path, field=_ENTRIES)
    elif any(sets[name].dtype.kind not in "iuf" for name in _ENTRIES):
        faults.add("counts are not numbers", file=path, field=_ENTRIES, found=[str(sets[n].dtype) for n in _ENTRIES])


def refuse_probes(path: Path, faults: Faults, found: list[str]) -> None:
    """Note that a matrix has rows per probe; ``found`` shows how that is known."""
    faults.add(
        "a matrix counts probes, not genes", file=path, found=found, expected="one row per gene", hint=PROBE_HINT
    )
