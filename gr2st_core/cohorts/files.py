"""Files of a cohort folder: whether they may be read, and what they are.

Belongs here: what every reader needs whatever its layout. Does not belong here: any layout, any parsing.
"""

from __future__ import annotations

from pathlib import Path

from gr2st_core.containers.checksums import file_sha256, files_of
from gr2st_core.errors import MissingArtifactError, SchemaError

__all__ = ["file_sha256", "require_inside", "stamp"]


def stamp(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Name, inode, size and time of change of a file, or of all files in a folder: differs when one was written to."""
    files = files_of(path) if path.is_dir() else [path]
    stats = [(file.relative_to(path.parent).as_posix(), file.stat()) for file in files]
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def require_inside(path: Path, folder: Path, *, section: str | None = None, may_be_folder: bool = False) -> Path:
    """Give ``path`` back if it is a regular file that lies in ``folder``, links followed.

    Parameters
    ----------
    may_be_folder
        Whether a folder of such files, which a format such as zarr treats as one file, will do.

    Raises
    ------
    MissingArtifactError
        If there is no such file.
    SchemaError
        If it, or a file in it, lies outside ``folder``, or is a pipe or a device.
    """
    if may_be_folder and path.is_dir() and path.resolve().is_relative_to(folder.resolve()):
        for file in files_of(path):
            require_inside(file, folder, section=section)
        return path
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise SchemaError(
            "a file lies outside its cohort folder",
            file=path,
            section=section,
            found=real,
            expected=f"a file below {folder}",
            hint="copy the file into the folder instead of linking it",
        )
    if not real.exists():
        raise MissingArtifactError("a file of the cohort does not exist", file=path, section=section, found=real)
    if not real.is_file():
        raise SchemaError("a cohort holds regular files only", file=path, section=section, expected="a regular file")
    return path
