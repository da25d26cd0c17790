"""What the lake says about champions: who competes with what evidence, and each event of promotion.

Belongs here: contenders and events as values, and their documents. Does not belong here: the log of events
(``champions``), finding contenders (``contenders``), the rule (``gr2st_core.evaluation.promotion``).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from gr2st_assets.documents import decode, encode
from gr2st_assets.records import Slot
from gr2st_core.errors import DataError

if TYPE_CHECKING:
    from upath import UPath

EventKind = Literal["promoted", "held", "refused", "rolled_back", "withdrawn"]
_SERVING = ("promoted", "rolled_back")
_IDENTITY = (
    "cohort", "panel", "target", "seed", "method", "profile", "model_id", "fit", "patients", "n_genes", "genes_sha256"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contender:
    """A recipe, its fit on all sections of a cohort, and the evidence for it.

    Attributes
    ----------
    cohort, panel, target, seed, method, profile, cells
        What is predicted, by what; ``cells`` as the run was told to take cell types.
    settings
        All values, enough to fit again.
    settings_digest, code_version, generation
        Of the fit and of every fold's model alike.
    model_id, trained_on
        Content hash of the fit, and its training patients as ``cohort/patient``.
    fit
        Digest by slot (text form) of the immutable artefacts that predict: model and panel.
    scores, controls
        The same of the out-of-fold ``gene_scores`` and ``section_scores``, one a held-out patient.
    patients
        Mean out-of-fold score of each patient.
    n_genes, genes_sha256
        How many genes were scored, and which (sorted symbols, one a line).
    """

    cohort: str
    panel: str
    target: str
    seed: int
    method: str
    profile: str
    cells: str
    settings: Mapping[str, Any]
    settings_digest: str
    code_version: str
    generation: str
    model_id: str
    trained_on: tuple[str, ...]
    fit: Mapping[str, str]
    scores: Mapping[str, str]
    controls: Mapping[str, str]
    patients: Mapping[str, float]
    n_genes: int
    genes_sha256: str

    @property
    def name(self) -> str:
        """Name in the registry of methods."""
        return f"{self.method}_{self.profile}"

    @property
    def score(self) -> float:
        """Mean over patients of the out-of-fold score."""
        return sum(self.patients.values()) / len(self.patients)

    @property
    def model(self) -> tuple[Slot, str]:
        """Where the fitted model lies: slot and digest."""
        return self._fitted("models/")

    @property
    def genes(self) -> tuple[Slot, str]:
        """Where the panel that it predicts lies: slot and digest."""
        return self._fitted("expression/")

    def _fitted(self, group: str) -> tuple[Slot, str]:
        return next((Slot.parse(s), digest) for s, digest in self.fit.items() if s.startswith(group))

    @property
    def identity(self) -> str:
        """SHA-256 of the fit and its scores; score tables change with other methods too, so not theirs."""
        facts = {name: value for name, value in asdict(self).items() if name in _IDENTITY}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Contender":
        """Read what ``asdict`` gave."""
        return cls(**{**document, "trained_on": tuple(document["trained_on"])})


@dataclass(frozen=True, slots=True)
class Event:
    """One decision about a contender: of the rule, or of a person.

    Attributes
    ----------
    number
        Place in the log, from 1.
    against
        Number of the event by which the champion it was compared with served; 0 if nothing did.
    decision
        Document of the rule's decision; None where a person went back.
    by_person
        Whether a person let a held contender pass, or went back.
    restores
        Number of the event that this one goes back to, else 0.
    previous
        SHA-256 of the event before, so that history cannot be rewritten unnoticed.
    """

    number: int
    kind: EventKind
    contender: Contender
    against: int
    decision: Mapping[str, Any] | None
    by_person: bool = False
    restores: int = 0
    previous: str = ""

    @property
    def serves(self) -> bool:
        """Whether the contender is champion from here on."""
        return self.kind in _SERVING

    @property
    def changes_champion(self) -> bool:
        """Whether another model, or none, is champion from here on."""
        return self.serves or self.kind == "withdrawn"

    def encode(self) -> bytes:
        """Bytes of the event's file: equal events give equal bytes, times are not among them."""
        document = asdict(self)
        return encode({**document, "sha256": _content_digest(document)})

    @property
    def digest(self) -> str:
        """SHA-256 of the event's file."""
        return hashlib.sha256(self.encode()).hexdigest()

    @classmethod
    def decode(cls, data: bytes, file: "UPath") -> "Event":
        """Read what ``encode`` gave.

        Raises
        ------
        DataError
            The file was changed, or lacks something.
        SchemaError
            Written by a newer version.
        """
        names = [field.name for field in fields(cls)]
        document = decode(data, file, "sha256", *names)
        values = {name: document[name] for name in names}
        if (found := _content_digest(values)) != document["sha256"]:
            raise DataError(
                "a promotion was changed after it was written", file=file, expected=document["sha256"], found=found
            )
        try:
            return cls(**{**values, "contender": Contender.from_document(values["contender"])})
        except (KeyError, TypeError) as error:
            raise DataError("a promotion is damaged", file=file, field="contender", found=repr(error)) from error


def _content_digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
