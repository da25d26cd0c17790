"""How an asset materializes: partition by partition, skipping what is current, checking before publishing.

Belongs here: the one loop that every asset goes through. Does not belong here: what any asset computes.

A partition whose fingerprint (code, settings, inputs) equals that of its published artefact is not computed again.
A product that breaks a blocking check is not published, so the previous one goes on serving. A partition that fails
with one of the project's own errors does not stop the others: the step records what succeeded, then fails with the
list of what did not.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from gr2st_assets.checks.rows import CheckRow
from gr2st_assets.fingerprint import fingerprint
from gr2st_assets.lake import Lake
from gr2st_assets.records import Head, Provenance, Slot
from gr2st_assets.schema import TableSpec, conform
from gr2st_core.errors import Gr2stError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Product:
    """What an asset computed for one partition.

    Attributes
    ----------
    table
        Rows of the asset's table.
    numbers
        Facts shown (and plotted over partitions) in the UI.
    picture
        PNG bytes, or None.
    findings
        Results of domain checks.
    schema_facts
        Facts stored with the table's schema.
    write_files
        Writes further files of the artefact into a folder, or None.
    """

    table: "pd.DataFrame | pa.Table"
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    picture: bytes | None = None
    findings: Sequence[CheckRow] = ()
    schema_facts: Mapping[str, str] = field(default_factory=dict)
    write_files: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Plan:
    """One partition of one asset: where it goes, what it is made from, how to make it."""

    slot: Slot
    inputs: Mapping[str, str]
    compute: Callable[[], Product]
    generation: str = ""


@dataclass(frozen=True)
class Recipe:
    """What is the same for all partitions of an asset in a run."""

    spec: TableSpec
    code_version: str
    settings_hash: str
    check_names: tuple[str, ...]

    def mark(self, plan: Plan) -> str:
        """Fingerprint of one partition."""
        return fingerprint(self.spec.name, self.code_version, self.settings_hash, plan.inputs)


class BlockingCheckError(Gr2stError):
    """A product broke a blocking check and was not published."""


@dataclass(frozen=True)
class Outcome:
    """What came of one partition; ``reused`` if it was current."""

    partition_key: str | None
    head: Head
    findings: Sequence[CheckRow]
    reused: bool


def is_current(lake: Lake, recipe: Recipe, plan: Plan) -> bool:
    """Whether the newest artefact and check results of a partition are what the plan would give, generation and all."""
    slots = (plan.slot, _checks_slot(lake, plan.slot))
    return _is_made(lake, recipe, plan) and all(
        lake.require_head(slot).provenance.generation == plan.generation for slot in slots
    )


def _is_made(lake: Lake, recipe: Recipe, plan: Plan) -> bool:
    """Whether they were made from what the plan names."""
    mark = recipe.mark(plan)
    return lake.is_current(plan.slot, mark) and lake.is_current(_checks_slot(lake, plan.slot), mark)


def run_step(
    context: dg.AssetExecutionContext,
    lake: Lake,
    recipe: Recipe,
    plans: Iterator[tuple[str | None, Callable[[], Plan]]],
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Materialize every partition of a step.

    Raises
    ------
    dagster.Failure
        After all partitions were tried, if any failed; not retried, since data errors do not heal by themselves.
    """
    outcomes: list[Outcome] = []
    findings: list[CheckRow] = []
    faults: dict[str, Gr2stError] = {}
    for key, plan in plans:
        label = key or "all"
        try:
            outcome = publish_plan(lake, recipe, key, plan(), context.run.run_id)
        except BlockingCheckError as error:
            findings.extend(error.context.pop("rows"))
            faults[label] = error
        except Gr2stError as error:
            faults[label] = error
            context.log.error(f"{recipe.spec.name} {label}: {error}")  # noqa: TRY400 - says where and what to do itself
        else:
            outcomes.append(outcome)
            findings.extend(outcome.findings)
            context.log.info(f"{recipe.spec.name} {label}: {'current' if outcome.reused else 'published'}")
    reported = {row.check_name for row in findings}
    yield from (_check_result(context, name, findings) for name in recipe.check_names if name in reported or not faults)
    yield from _finish(context, lake, outcomes, faults)


def publish_plan(lake: Lake, recipe: Recipe, key: str | None, plan: Plan, run_id: str) -> Outcome:
    """Compute, check and publish one partition unless it is made from the same already.

    It then joins the plan's generation: a fold that what came into its cohort does not touch is shown with the others.

    Raises
    ------
    BlockingCheckError
    """
    mark, checks_slot = recipe.mark(plan), _checks_slot(lake, plan.slot)
    if _is_made(lake, recipe, plan):
        for slot in (plan.slot, checks_slot):
            lake.join_generation(slot, plan.generation)
        return Outcome(key, lake.require_head(plan.slot), _stored_checks(lake, checks_slot), reused=True)
    started = time.time()
    product = plan.compute()
    table = conform(recipe.spec, product.table, metadata=product.schema_facts)
    findings = _checked(recipe, key, plan.slot, table, product.findings)
    provenance = Provenance(
        fingerprint=mark,
        inputs=dict(plan.inputs),
        settings_hash=recipe.settings_hash,
        code_version=recipe.code_version,
        generation=plan.generation,
        run_id=run_id,
        started=started,
        metadata={
            "dagster/row_count": table.num_rows,
            **{name: value.item() if hasattr(value, "item") else value for name, value in product.numbers.items()},
        },
    )
    _publish_checks(lake, checks_slot, findings, provenance)
    if broken := [row for row in findings if row.is_blocking and not row.passed]:
        raise BlockingCheckError(
            "blocking checks failed; not published",
            asset=recipe.spec.name,
            found="; ".join(f"{row.check_name}: {row.expectation} ({row.found})" for row in broken),
            rows=findings,
        )

    def write_files(folder: Path) -> None:
        if product.picture is not None:
            (folder / "picture.png").write_bytes(product.picture)
        if product.write_files is not None:
            product.write_files(folder)

    head = lake.write_table(plan.slot, table, provenance, write_files=write_files)
    return Outcome(key, head, findings, reused=False)


def _checked(
    recipe: Recipe, key: str | None, slot: Slot, table: "pa.Table", findings: Sequence[CheckRow]
) -> list[CheckRow]:
    """Contract rows and domain rows of one partition, each labelled with asset and partition."""
    from dataclasses import replace

    from gr2st_assets.checks.contracts import check_contract

    rows = [*check_contract(recipe.spec, table), *findings]
    if unknown := sorted({row.check_name for row in rows} - set(recipe.check_names)):
        raise Gr2stError("a check reported that its asset does not declare", asset=recipe.spec.name, found=unknown)
    where = {"cohort", "section", "fold"}
    variant = "/".join(f"{name}={value}" for name, value in slot.keys if name not in where)
    return [replace(row, asset=recipe.spec.name, partition_key=key or "", variant=variant) for row in rows]


def _checks_slot(lake: Lake, slot: Slot) -> Slot:
    return lake.slot(f"checks/{slot.table.replace('/', '__')}", **dict(slot.keys))


def _publish_checks(lake: Lake, slot: Slot, rows: Sequence[CheckRow], provenance: Provenance) -> None:
    from dataclasses import asdict

    import pandas as pd

    from gr2st_assets.tables import table_spec

    spec = table_spec("catalog/check_results")
    frame = pd.DataFrame([asdict(row) for row in rows], columns=spec.column_names)
    frame["n_found"] = frame["n_found"].astype("Int64")
    lake.write_table(slot, conform(spec, frame), provenance)


def _stored_checks(lake: Lake, slot: Slot) -> list[CheckRow]:
    return [CheckRow(**row) for row in lake.read_table(slot).to_pylist()]


def _check_result(context: dg.AssetExecutionContext, name: str, findings: Sequence[CheckRow]) -> dg.AssetCheckResult:
    rows = [row for row in findings if row.check_name == name]
    failed = [row for row in rows if not row.passed]
    critical = any(row.severity == "critical" for row in failed)
    records = [
        dg.TableRecord({"partition": row.partition_key, "expectation": row.expectation, "found": row.found[:500]})
        for row in failed[:50]
    ]
    return dg.AssetCheckResult(
        asset_key=context.asset_key,
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if critical or not failed else dg.AssetCheckSeverity.WARN,
        metadata={
            "expectations": len(rows),
            "failed": len(failed),
            **({"failures": dg.MetadataValue.table(records)} if records else {}),
        },
    )


def _metadata(lake: Lake, outcome: Outcome) -> dict[str, Any]:
    import base64

    slot, head = outcome.head.slot, outcome.head
    metadata: dict[str, Any] = {
        **head.provenance.metadata,
        "dagster/uri": str(lake.folder(slot)),
        "artefact": head.digest,
        "reused": outcome.reused,
    }
    for picture in sorted(lake.folder(slot).glob("*.png")):
        encoded = base64.b64encode(picture.read_bytes()).decode()
        metadata[picture.stem] = dg.MetadataValue.md(f"![{picture.stem}](data:image/png;base64,{encoded})")
    for page in sorted(lake.folder(slot).glob("*.html")):
        metadata[page.stem] = dg.MetadataValue.path(str(page))
    for words in sorted(lake.folder(slot).glob("*.md")):
        metadata[words.stem] = dg.MetadataValue.md(words.read_text(encoding="utf-8"))
    return metadata


def _finish(
    context: dg.AssetExecutionContext, lake: Lake, outcomes: Sequence[Outcome], faults: Mapping[str, Gr2stError]
) -> Iterator[dg.MaterializeResult]:
    if faults:
        for outcome in outcomes:
            context.log_event(
                dg.AssetMaterialization(
                    context.asset_key, metadata=_metadata(lake, outcome), partition=outcome.partition_key
                )
            )
        listed = "\n".join(f"{key}: {error}" for key, error in faults.items())
        raise dg.Failure(
            f"{len(faults)} of {len(faults) + len(outcomes)} partitions failed\n{listed}",
            metadata={"failed_partitions": dg.MetadataValue.json(sorted(faults))},
            allow_retries=False,
        )
    if not context.has_partition_key_range and not context.has_partition_key:
        yield dg.MaterializeResult(metadata=_metadata(lake, outcomes[0]))
        return
    for outcome in outcomes:
        context.add_asset_metadata(_metadata(lake, outcome), context.asset_key, outcome.partition_key)
    yield dg.MaterializeResult()
