"""What the lake says about its artefacts: where one lies, and what it was made from.

Belongs here: slots, provenance, heads, and their text forms. Does not belong here: files (``lake``, ``publish``), what
columns a table has, which partitions exist.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gr2st_core.errors import DataError, SchemaError

if TYPE_CHECKING:
    from upath import UPath

KEY_ORDER = ("asset", "cohort", "section", "fold", "panel", "target", "seed")

_TABLE = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """One table's place for one set of partition values.

    Attributes
    ----------
    table
        ``group/name``, the asset key.
    keys
        Pairs of name and value, names in the order of ``KEY_ORDER``; empty for an unpartitioned table.
    """

    table: str
    keys: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.keys]
        if not _TABLE.fullmatch(self.table):
            raise SchemaError("a table is named group/name", field="table", found=repr(self.table))
        if names != [name for name in KEY_ORDER if name in names]:
            raise SchemaError("unknown, doubled or unordered slot keys", field="keys", found=names, expected=KEY_ORDER)
        for name, value in self.keys:
            if not _VALUE.fullmatch(value):
                raise SchemaError(f"a slot value matches {_VALUE.pattern}", field=name, found=repr(value))

    @classmethod
    def parse(cls, text: str) -> "Slot":
        """Read the text form, ``group/name/key=value/...``.

        Raises
        ------
        SchemaError
        """
        group, _, rest = text.partition("/")
        name, *pairs = rest.split("/")
        split = (pair.partition("=") for pair in pairs)
        return cls(f"{group}/{name}", tuple((key, value) for key, _, value in split))

    @property
    def partition(self) -> str:
        """The ``key=value/...`` part, empty for an unpartitioned table."""
        return "/".join(f"{name}={value}" for name, value in self.keys)

    def value(self, name: str) -> str | None:
        """Value of one key, or None if the slot has no such key."""
        return dict(self.keys).get(name)

    def __str__(self) -> str:
        return f"{self.table}/{self.partition}".rstrip("/")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an artefact was made from.

    Attributes
    ----------
    fingerprint
        Equal fingerprints mean that making it again would give the same content.
    inputs
        Digest of every input by name.
    generation
        Recipe that all folds of one set must share to be shown together; empty where slots advance on their own.
    started
        Seconds since 1970; stored as UTC, ISO 8601.
    metadata
        Small JSON for people: row counts, scores.
    """

    fingerprint: str
    inputs: Mapping[str, str]
    settings_hash: str
    code_version: str
    generation: str
    run_id: str
    started: float
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def trained_on(self) -> dict[str, str]:
        """Patient of every section that a model was made from, by ``cohort/section`` (see ``FoldWork.membership``)."""
        listed = [self.inputs.get(f"fold:{role}", "") for role in ("train", "counts_only")]
        pairs = [pair.partition("=") for text in listed for pair in text.split(",") if pair]
        return {section: patient for section, _, patient in pairs}


@dataclass(frozen=True, slots=True)
class Head:
    """The newest artefact of a slot.

    Attributes
    ----------
    digest
        Name of the artefact's folder.
    finished
        Seconds since 1970; stored as UTC, ISO 8601.
    """

    slot: Slot
    digest: str
    provenance: Provenance
    finished: float

    def to_document(self) -> dict[str, Any]:
        """Fields for ``documents.encode``; the slot is where the document lies."""
        times = {"started": _iso(self.provenance.started), "finished": _iso(self.finished)}
        return {**asdict(self.provenance), "digest": self.digest, **times}

    @classmethod
    def from_document(cls, slot: Slot, document: Mapping[str, Any], file: "UPath") -> "Head":
        """Read what ``to_document`` gave; ``file`` is for the message.

        Raises
        ------
        DataError
            A field is missing or not a time.
        """
        try:
            fields = {name: document[name] for name in Provenance.__dataclass_fields__}
            fields["started"] = _seconds(document["started"])
            return cls(slot, document["digest"], Provenance(**fields), _seconds(document["finished"]))
        except (KeyError, ValueError) as error:
            raise DataError("a head is damaged", file=file, found=repr(error)) from error


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
