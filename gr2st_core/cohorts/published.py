"""Cohorts that others published: where their files are, and what is known about them.

Belongs here: the catalogue ``published_cohorts.yml``, and catalogues of the same form that a person writes. Does not
belong here: fetching anything (``gr2st_assets.fetch``), reading a cohort folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from gr2st_core.cohorts.plain_yaml import read_yaml
from gr2st_core.errors import SettingsError

UNKNOWN = "unknown"

_MAX_BYTES = 2**20
_CATALOGUE = "published_cohorts.yml"

Checksum = Annotated[str, Field(pattern=r"^(unknown|sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}|git:[0-9a-f]{40})$")]
"""``sha256:``, ``md5:`` or ``git:`` (the id of a git blob) and hexadecimal digits, or ``unknown``."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Keep(_Entry):
    """Which files of a listing or an archive are wanted, and under which name."""

    match: str = Field(description="regular expression for the whole name")
    to: str = Field(r"\g<0>", description="path below the cohort folder; groups of the expression may be used")
    unpack: bool = Field(False, description="the file is gzipped and its content is wanted")

    @field_validator("match")
    @classmethod
    def _compiles(cls, match: str) -> str:
        try:
            re.compile(match)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return match


class KnownFiles(_Entry):
    """Files whose names are known: ``base`` and the path give the address, the path the place."""

    kind: Literal["files"]
    base: str
    files: Mapping[str, Checksum]


class Archive(_Entry):
    """A tar file, gzipped or not."""

    kind: Literal["tar"]
    url: str
    checksum: Checksum = UNKNOWN
    keep: tuple[Keep, ...] = Field(min_length=1)


class GithubTree(_Entry):
    """Files that a commit on GitHub lists, with their blob ids."""

    kind: Literal["github"]
    url: str = Field(description="the tree of the commit, recursive")
    base: str
    keep: tuple[Keep, ...] = Field(min_length=1)


class MendeleyFiles(_Entry):
    """Files that a data set of Mendeley Data lists, with their checksums."""

    kind: Literal["mendeley"]
    url: str
    version: int
    keep: tuple[Keep, ...] = Field(min_length=1)


Source = Annotated[KnownFiles | Archive | GithubTree | MendeleyFiles, Field(discriminator="kind")]


class PublishedCohort(_Entry):
    """One cohort of a catalogue."""

    title: str
    cite: str
    licence: str
    layout: str = Field(description="name of the reader that reads the fetched folder")
    verified: bool = Field(description="whether these addresses have been fetched and read with this catalogue")
    unverified: str = Field("", description="what nobody has checked")
    sources: tuple[Source, ...] = Field(min_length=1)


def published_cohorts(path: Path | None = None) -> Mapping[str, PublishedCohort]:
    """Read a catalogue: the packaged one, or another in the same form.

    Raises
    ------
    SettingsError
        Not YAML text of this form.
    """
    file = Path(str(files("gr2st_core.cohorts") / _CATALOGUE)) if path is None else path
    try:
        if (size := file.stat().st_size) > _MAX_BYTES:
            raise SettingsError("a catalogue is too large", file=file, found=size, expected=f"<= {_MAX_BYTES} bytes")
        content = read_yaml(file.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, PublishedCohort]).validate_python(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError("a catalogue cannot be read", file=file, found=str(error), expected="YAML") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(
            "a catalogue of published cohorts is not valid",
            file=file,
            field=".".join(map(str, first["loc"])),
            found=repr(first["input"])[:100],
            expected=first["msg"],
        ) from error
