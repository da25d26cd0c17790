"""Table contracts: what ``tables`` promises, as Great Expectations suites run on frames.

Belongs here: turning a table's description into expectations, running them, and reading their results. Does not
belong here: rules about the science (``domain``), which are plain Python.

A suite runs in an ephemeral context, made once per process; nothing is written and nothing leaves the machine.
"""

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from gr2st_assets.checks.rows import CheckRow
from gr2st_assets.schema import Column, Severity, TableSpec, rules

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd
    import pyarrow as pa
    from great_expectations.core.batch_definition import BatchDefinition

CHECK_NAME = "contract"

_N_EXAMPLES = 5
# how pandas shows a stored type; whole numbers with NULL come as objects
_PANDAS_TYPES = {
    "string": ["str"],
    "int32": ["int32", "int"],
    "int64": ["int64", "int"],
    "float32": ["float32"],
    "float64": ["float64"],
    "bool": ["bool", "bool_"],
    "binary": ["bytes"],
}


def contract_suite(spec: TableSpec) -> "gx.ExpectationSuite":
    """Build the suite of a table: columns and order, types, NULL, unique keys, bounds, allowed values.

    Lists of numbers are only checked for NULL. Every expectation's ``description`` says what it expects.
    """
    import great_expectations as gx
    import great_expectations.expectations as gxe

    columns = gxe.ExpectTableColumnsToMatchOrderedList(
        column_list=spec.column_names, severity="critical", description="columns in order"
    )
    unique = [_unique(names) for names in (spec.key, *spec.unique)]
    rules = [rule for column in spec.columns for rule in _column_rules(column)]
    return gx.ExpectationSuite(name=spec.name, expectations=[columns, *unique, *rules])


def check_contract(spec: TableSpec, rows: "pa.Table | pd.DataFrame") -> list[CheckRow]:
    """Hold rows against their table's contract.

    Returns
    -------
    One row per expectation in the order of the suite, with the number of violations and a few examples; a critical
    one is blocking.
    """
    suite = contract_suite(spec)
    outcome = (
        _batch_definition()
        .get_batch({"dataframe": _frame(spec, rows)})
        .validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": _N_EXAMPLES})
    )
    by_expectation = {result.expectation_config.description: _row(result) for result in outcome.results}
    return [by_expectation[expectation.description] for expectation in suite.expectations]


@cache
def _batch_definition() -> "BatchDefinition":
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return (
        context.data_sources.add_pandas("rows").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    )


def _frame(spec: TableSpec, rows: "pa.Table | pd.DataFrame") -> "pd.DataFrame":
    """Rows with text as categories, which are looked at once per distinct value: eight times faster on long tables."""
    import pandas as pd

    frame = rows if isinstance(rows, pd.DataFrame) else rows.to_pandas(integer_object_nulls=True)
    text = [c.name for c in spec.columns if c.type == "string" and c.name in frame and frame[c.name].dtype == object]
    return frame.astype(dict.fromkeys(text, "category"))


@cache
def _expect_type() -> type:
    """Type expectation that judges categories by their values."""
    import great_expectations.expectations as gxe
    import pandas as pd

    class ExpectColumnType(gxe.ExpectColumnValuesToBeInTypeList):
        def _validate_pandas(self, actual_column_type: Any, expected_types_list: list[str]) -> dict[str, Any]:
            if not isinstance(actual_column_type, pd.CategoricalDtype):
                return super()._validate_pandas(actual_column_type, expected_types_list)
            found = actual_column_type.categories.inferred_type
            text = expected_types_list == _PANDAS_TYPES["string"] and found in ("string", "empty")
            return {"success": text, "result": {"observed_value": found}}

    return ExpectColumnType


def _unique(names: tuple[str, ...]) -> Any:
    import great_expectations.expectations as gxe

    about = {"severity": "critical", "description": f"unique: {', '.join(names)}"}
    if len(names) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=names[0], **about)
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(names), **about)


def _column_rules(column: Column) -> list[Any]:
    import great_expectations.expectations as gxe

    def about(words: str, severity: Severity = "critical") -> dict[str, str]:
        return {"column": column.name, "severity": severity, "description": f"{column.name}: {words}"}

    found: list[Any] = []
    if column.type in _PANDAS_TYPES:
        found.append(_expect_type()(type_list=_PANDAS_TYPES[column.type], **about(column.type)))
    if not column.nullable:
        found.append(gxe.ExpectColumnValuesToNotBeNull(**about("no missing value")))
    legal = about(", ".join(rules(column)), column.severity)
    if column.minimum is not None or column.maximum is not None:
        found.append(gxe.ExpectColumnValuesToBeBetween(min_value=column.minimum, max_value=column.maximum, **legal))
    if column.allowed:
        found.append(gxe.ExpectColumnValuesToBeInSet(value_set=list(column.allowed), **legal))
    return found


def _row(result: Any) -> CheckRow:
    """Read one validation result; an expectation that could not be evaluated has failed."""
    config, facts = result.expectation_config, result.result
    severity = config.severity.value
    examples = [value for value in facts.get("partial_unexpected_list") or () if value == value]  # NaN is no example
    found = {"examples": examples, "observed": facts.get("observed_value"), "error": _error(result.exception_info)}
    shown = {} if result.success else {name: value for name, value in found.items() if value}
    return CheckRow(
        check_name=CHECK_NAME,
        expectation=config.description,
        passed=bool(result.success),
        severity="critical" if severity == "critical" else "warning",
        is_blocking=severity == "critical",
        n_found=facts.get("unexpected_count"),
        found=json.dumps(shown, default=str, sort_keys=True),
    )


def _error(info: dict[str, Any]) -> str | None:
    """Message of what kept an expectation from being evaluated; keyed by metric if several did."""
    faults = [info] if "raised_exception" in info else list(info.values())
    return next((fault["exception_message"] for fault in faults if fault["raised_exception"]), None)
