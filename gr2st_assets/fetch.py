"""Fetching a published cohort into a folder that ``gr2st cohort add`` reads.

Belongs here: the files of one cohort in turn, what is here already, the record of what came. Does not belong here: one
download (``downloads``), archives (``unpacking``), listings (``listings``), addresses (``published_cohorts.yml``).

::

    <folder>/SHA256SUMS     what was fetched, as sha256sum writes it; a later fetch compares
    <folder>/.fetch/        parts of files, archives until they are unpacked, what came out of which archive
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from upath import UPath

from gr2st_assets.checksums import require_checksum
from gr2st_assets.downloads import PAUSES_S, GivenUpError, download
from gr2st_assets.inbox import CHECKSUMS, listed_checksums
from gr2st_assets.listings import Wanted, files_of
from gr2st_assets.publish import file_sha256, write_atomic
from gr2st_assets.unpacking import unpack
from gr2st_core.cohorts.published import UNKNOWN, Archive, PublishedCohort
from gr2st_core.errors import DataError, SchemaError
from gr2st_core.settings import DEFAULT_LIMITS, Limits

WORKPLACE = ".fetch"
_ARCHIVES = "archives.json"
_MOST_GIVEN_UP = 2  # files in a row, after which a server counts as out of reach


def fetch(
    cohort: PublishedCohort,
    folder: Path,
    say: Callable[[str], None],
    *,
    limits: Limits = DEFAULT_LIMITS,
    pauses_s: Sequence[float] = PAUSES_S,
) -> list[DataError]:
    """Bring the files of a cohort into ``folder``; what is there and as recorded is left alone.

    Returns
    -------
    What is wrong with files that did not come; the others came all the same.

    Raises
    ------
    SchemaError
        Another process is fetching into this folder.
    """
    workplace = folder / WORKPLACE
    workplace.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(workplace / "lock", timeout=0):
            return _Fetch(folder, say, limits, pauses_s).run(cohort)
    except Timeout as error:
        raise SchemaError(
            "the cohort is being fetched already", file=folder, hint="wait until that has ended"
        ) from error


class _Fetch:
    """One fetch into one folder.

    Attributes
    ----------
    sums
        SHA-256 of what was fetched, now or earlier, by path below the folder.
    faults
        What is wrong.
    """

    def __init__(self, folder: Path, say: Callable[[str], None], limits: Limits, pauses_s: Sequence[float]) -> None:
        self._folder, self._workplace = folder, folder / WORKPLACE
        self._say, self._limits, self._pauses_s = say, limits, pauses_s
        recorded = (folder / CHECKSUMS).is_file()
        self.sums = dict(listed_checksums(UPath(folder))) if recorded else {}
        self.faults: list[DataError] = []

    def run(self, cohort: PublishedCohort) -> list[DataError]:
        """Fetch source after source; a fault of one never costs the others."""
        for source in cohort.sources:
            try:
                if isinstance(source, Archive):
                    self._archive(source)
                else:
                    self._files(files_of(source, self._listing))
            except (DataError, OSError) as error:
                self._note(error, getattr(source, "url", getattr(source, "base", "")))
        return self.faults

    def _note(self, error: DataError | OSError, file: object) -> None:
        if isinstance(error, OSError):
            error = DataError("a file cannot be written", file=error.filename or file, found=error.strerror)
        self.faults.append(error)

    def _listing(self, url: str) -> Path:
        path = self._workplace / "listing.json"
        path.with_name("listing.json.part").unlink(missing_ok=True)  # a list is asked for anew
        self._download(url, path, UNKNOWN)
        return path

    def _download(self, url: str, path: Path, checksum: str) -> None:
        download(url, path, checksum, self._say, pauses_s=self._pauses_s)

    def _files(self, files: Sequence[Wanted]) -> None:
        given_up = 0
        for number, file in enumerate(files, start=1):
            try:
                if self._is_here(file.path, file.checksum):
                    continue
                self._say(f"{number}/{len(files)} {file.path}")
                came = self._workplace / "files" / file.path
                came.parent.mkdir(parents=True, exist_ok=True)
                recorded = self.sums.get(file.path)
                is_recorded_only = file.checksum == UNKNOWN and recorded
                self._download(file.url, came, f"sha256:{recorded}" if is_recorded_only else file.checksum)
                self._install({file.path: came})
                given_up = 0
            except (DataError, OSError) as error:
                self._note(error, file.path)
                given_up = given_up + 1 if isinstance(error, GivenUpError) else 0
                if given_up == _MOST_GIVEN_UP and number < len(files):
                    self._say(f"the server is out of reach: {len(files) - number} more files are not tried")
                    return

    def _archive(self, source: Archive) -> None:
        known = self._archives()
        record = known.get(source.url)
        if record and all(self._is_here(path, UNKNOWN) for path in record["files"]):
            return
        number = hashlib.sha256(source.url.encode()).hexdigest()[:8]
        came = self._workplace / f"{number}-{source.url.rsplit('/', 1)[-1]}"
        if not came.exists():
            self._say(source.url)
            is_recorded_only = record and source.checksum == UNKNOWN
            self._download(source.url, came, f"sha256:{record['sha256']}" if is_recorded_only else source.checksum)
        staged = self._workplace / "unpacked"
        shutil.rmtree(staged, ignore_errors=True)  # what a killed fetch left
        staged.mkdir()
        try:
            paths = self._unpacked(came, staged, source)
            self._install({path: staged / path for path in paths if not self._is_here(path, UNKNOWN)})
        finally:
            shutil.rmtree(staged)
        known[source.url] = {"sha256": file_sha256(came), "files": paths}
        write_atomic(UPath(self._workplace / _ARCHIVES), json.dumps(known, sort_keys=True, indent=1).encode())
        came.unlink()

    def _unpacked(self, archive: Path, staged: Path, source: Archive) -> list[str]:
        try:
            return unpack(archive, staged, source.keep, self._limits)
        except SchemaError:
            archive.unlink()
            raise

    def _archives(self) -> dict[str, Any]:
        path = self._workplace / _ARCHIVES
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

    def _is_here(self, path: str, checksum: str) -> bool:
        """Whether a file is here already, as it should be.

        Raises
        ------
        SchemaError
            Another file is here, or its place leads elsewhere.
        """
        final = self._folder / path
        if not final.resolve().is_relative_to(self._folder.resolve()):
            raise SchemaError("a file lies outside its cohort folder", file=final, found=final.resolve())
        if not final.exists():
            return False
        recorded = self.sums.get(path)
        expected = f"sha256:{recorded}" if recorded and checksum == UNKNOWN else checksum
        hint = "move it away, then fetch again"
        if expected == UNKNOWN:
            raise SchemaError("a file that was not fetched is in the way", file=final, hint=hint)
        try:
            require_checksum(final, expected)
        except SchemaError as error:
            raise SchemaError(error.message, **{**error.context, "hint": hint}) from error
        self.sums[path] = recorded or file_sha256(final)
        return True

    def _install(self, files: Mapping[str, Path]) -> None:
        """Put files in place; what they are is on record before, so that no file is here that nobody can judge."""
        self.sums.update({path: file_sha256(came) for path, came in files.items()})
        lines = "".join(f"{sha}  {path}\n" for path, sha in sorted(self.sums.items()))
        write_atomic(UPath(self._folder / CHECKSUMS), lines.encode())
        for path, came in files.items():
            final = self._folder / path
            final.parent.mkdir(parents=True, exist_ok=True)
            came.replace(final)
