"""How a table is described, and how rows are made to fit the description.

Belongs here: columns and tables as values, their Arrow and Dagster schemas, and ``conform``, the one door through
which rows reach a file. Does not belong here: which tables there are (``tables``), value contracts run as checks
(``checks.contracts``), files (``lake``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gr2st_core.errors import SchemaError

if TYPE_CHECKING:
    import dagster as dg
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

ColumnType = Literal["string", "int32", "int64", "float32", "float64", "bool", "binary", "list<float32>"]
Severity = Literal["critical", "warning"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, type, description
        What it is called, stored as, and means.
    unit
        Physical or statistical unit, empty for ids and labels.
    nullable
        Whether NULL is a legal value: not measured, or not defined.
    minimum, maximum
        Inclusive bounds.
    allowed
        The only legal values, empty for any.
    severity
        What a value outside bounds or set means: ``critical`` breaks the contract, ``warning`` deserves a look.
    null
        When a value is NULL, as words to follow that; empty if the description says it or nothing special is meant.
    """

    name: str
    type: ColumnType
    description: str
    unit: str = ""
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] = ()
    severity: Severity = "critical"
    null: str = ""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table; asset = table = parquet = SQL view.

    Attributes
    ----------
    name
        Asset key as ``group/asset``; a family ends in ``<...>`` (``image/embeddings_<encoder>``).
    key
        Columns that identify a row; rows are stored in this order.
    partition
        Partition set of the asset, None for one file in all.
    unique
        Further column sets that never repeat.
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition: Literal["section", "fold"] | None = None
    unique: tuple[tuple[str, ...], ...] = ()

    @property
    def view(self) -> str:
        """Name of the SQL view."""
        return self.name.partition("/")[2]

    @property
    def column_names(self) -> list[str]:
        """Column names in stored order."""
        return [column.name for column in self.columns]


def meaning(column: Column) -> str:
    """Say in words what a column holds, with its unit and what NULL means where it is legal."""
    text = f"{column.description} [{column.unit}]" if column.unit else column.description
    return text if not column.nullable or "NULL" in text else f"{text}; NULL {null_meaning(column)}"


def null_meaning(column: Column) -> str:
    """Say in words when a value is NULL; empty where it never is or the description says it."""
    if not column.nullable or "NULL" in column.description:
        return ""
    return column.null or ("where there is none" if column.type in ("string", "binary") else "where it is undefined")


def rules(column: Column) -> list[str]:
    """Say in words what a value must be, beside its type; empty if anything goes."""
    words = []
    if column.minimum is not None:
        words.append(f">= {column.minimum:g}")
    if column.maximum is not None:
        words.append(f"<= {column.maximum:g}")
    if column.allowed:
        words.append(f"one of {', '.join(column.allowed)}")
    return words


def arrow_schema(spec: TableSpec) -> "pa.Schema":
    """Build the stored schema: types, nullability, and each column's description and unit as field metadata."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(c.name, _arrow_type(c.type), c.nullable, {"description": c.description, "unit": c.unit})
            for c in spec.columns
        ],
        {"table": spec.name, "description": spec.description},
    )


def dagster_schema(spec: TableSpec) -> "dg.TableSchema":
    """Build the column schema for ``dagster/column_schema`` metadata."""
    import dagster as dg  # the command that asks starts without it

    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name,
                c.type,
                meaning(c),
                dg.TableColumnConstraints(nullable=c.nullable, unique=spec.key == (c.name,), other=rules(c)),
            )
            for c in spec.columns
        ],
        constraints=dg.TableConstraints([f"unique: {', '.join(names)}" for names in (spec.key, *spec.unique)]),
    )


def conform(
    spec: TableSpec, data: "pa.Table | pd.DataFrame", *, metadata: Mapping[str, str] | None = None
) -> "pa.Table":
    """Make rows fit a table: column order, types, NaN to NULL where nullable, rows sorted by key.

    Parameters
    ----------
    data
        Exactly the columns of ``spec`` in any order; a frame's index is ignored.
    metadata
        Facts stored with the schema, beside those that an Arrow table already carries.

    Returns
    -------
    One chunk a column, equal for equal rows in any order.

    Raises
    ------
    SchemaError
        Columns missing or unknown, a type that would lose information, NULL, NaN or infinite values where they are
        not legal, or a repeated key; lists every fault.
    """
    import pyarrow as pa

    try:
        source = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SchemaError(f"a column mixes types: {error}", table=spec.name) from error
    arrays = _fit_all(spec, source)
    schema = arrow_schema(spec)
    extra = {k: v for k, v in (source.schema.metadata or {}).items() if k != b"pandas"} | dict(metadata or {})
    table = pa.Table.from_arrays(arrays, schema=schema.with_metadata({**extra, **schema.metadata}))
    order, repeats = _order(table, spec.key)
    faults = [f"{repeats} rows repeat the key {spec.key}"] if repeats else []
    faults += [f"{n} rows repeat {names}" for names in spec.unique if (n := _order(table, names)[1])]
    _raise(spec, faults)
    return table.take(pa.array(order)).combine_chunks()


def _fit_all(spec: TableSpec, source: "pa.Table") -> "list[pa.Array]":
    given = source.column_names
    faults = [f"column {name} is missing" for name in spec.column_names if name not in given]
    faults += [f"column {name} is unknown" for name in given if name not in spec.column_names]
    arrays = []
    for column in spec.columns:
        if column.name in given:
            try:
                arrays.append(_fit(column, source.column(column.name)))
            except SchemaError as error:
                faults.append(error.message)
    _raise(spec, faults)
    return arrays


def _raise(spec: TableSpec, faults: list[str]) -> None:
    if faults:
        raise SchemaError(f"rows do not fit the table: {'; '.join(faults)}", table=spec.name, found=len(faults))


def _arrow_type(name: ColumnType) -> "pa.DataType":
    import pyarrow as pa

    return pa.list_(pa.field("element", pa.float32())) if name == "list<float32>" else pa.type_for_alias(name)


def _fit(column: Column, values: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    _require_kind(column, values.type)
    try:
        if pa.types.is_integer(values.type) and column.type.startswith("float"):
            values = values.cast(pa.float64())
        fitted = values.cast(_arrow_type(column.type)).combine_chunks()
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{column.name} is not {column.type}: {error}") from error
    if pa.types.is_floating(fitted.type):
        fitted = pc.if_else(pc.is_nan(fitted), pa.scalar(None, fitted.type), fitted)
    _refuse_non_finite(column, fitted)
    if fitted.null_count and not column.nullable:
        raise SchemaError(f"{column.name} has {fitted.null_count} missing values")
    return fitted


def _refuse_non_finite(column: Column, fitted: "pa.Array") -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_list = pa.types.is_list(fitted.type)
    numbers = pc.list_flatten(fitted) if is_list else fitted
    if not pa.types.is_floating(numbers.type):
        return
    if infinite := pc.sum(pc.is_inf(numbers)).as_py():
        raise SchemaError(f"{column.name} has {infinite} infinite values")
    if is_list and (undefined := numbers.null_count + (pc.sum(pc.is_nan(numbers)).as_py() or 0)):
        raise SchemaError(f"{column.name} has {undefined} missing numbers")


def _require_kind(column: Column, found: "pa.DataType") -> None:
    """Arrow would turn numbers into text and text into numbers; here that is a fault, not a cast."""
    import pyarrow.types as kinds

    plain = found.value_type if kinds.is_dictionary(found) else found
    text = kinds.is_string(plain) or kinds.is_large_string(plain)
    number = kinds.is_integer(plain) or kinds.is_floating(plain)
    fits = {
        "string": text,
        "bool": kinds.is_boolean(plain),
        "binary": kinds.is_binary(plain) or kinds.is_large_binary(plain),
        "list<float32>": kinds.is_list(plain) or kinds.is_fixed_size_list(plain) or kinds.is_large_list(plain),
    }
    if not (fits.get(column.type, number) or kinds.is_null(plain)):
        raise SchemaError(f"{column.name} is {found}, expected {column.type}")


def _order(table: "pa.Table", names: tuple[str, ...]) -> "tuple[NDArray[np.int64], int]":
    """Row order by the named columns, first name first, and how many rows repeat an earlier one."""
    import numpy as np

    ranks = [_ranks(table.column(name)) for name in names]
    order = np.lexsort(ranks[::-1])
    repeated = np.ones(max(len(order) - 1, 0), dtype=bool)
    for rank in ranks:
        repeated &= np.diff(rank[order]) == 0
    return order, int(repeated.sum())


def _ranks(values: "pa.ChunkedArray") -> "NDArray[np.int64]":
    """Position of each value among the distinct values in byte order, which no locale changes."""
    import numpy as np
    import pyarrow.compute as pc

    encoded = values.combine_chunks().dictionary_encode()
    rank = np.empty(len(encoded.dictionary), dtype=np.int64)
    rank[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(rank))
    places: NDArray[np.int32] = encoded.indices.to_numpy(zero_copy_only=False)
    return rank[places]
