"""What a result depends on, as one string: if it is unchanged, the result need not be made again.

Belongs here: hashing of identities and of source text. Does not belong here: deciding what an asset depends on,
reading data.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from gr2st_core.errors import SettingsError


def fingerprint(asset: str, code_version: str, settings_hash: str, inputs: Mapping[str, str]) -> str:
    """Hash everything that determines the content of one asset for one partition.

    Parameters
    ----------
    inputs
        Digest of every input by name; the order does not matter.

    Returns
    -------
    64 hexadecimal digits.
    """
    facts = {"asset": asset, "code_version": code_version, "settings_hash": settings_hash, "inputs": dict(inputs)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@cache
def code_version(*modules: str) -> str:
    """Hash the source text of modules and of whole packages, without importing them.

    Parameters
    ----------
    modules
        Dotted names such as ``gr2st_core.images``; the order does not matter.

    Returns
    -------
    64 hexadecimal digits; the same on every machine, whatever its line endings.

    Raises
    ------
    SettingsError
        There is no such module.
    """
    digest = hashlib.sha256()
    sources = {name: path for module in modules for name, path in _sources(module)}
    for name, path in sorted(sources.items()):
        text = path.read_text(encoding="utf-8")  # text mode makes every line end in \n
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()


def _sources(module: str) -> Iterator[tuple[str, Path]]:
    """Source files of a module or package, each with its path below the folder that holds the top package."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise SettingsError("there is no such package", found=module)
    package = Path(spec.origin).parent
    path = package.joinpath(*rest)
    files = list(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    if not files or not all(file.is_file() for file in files):
        raise SettingsError("there is no such module", found=module)
    for file in files:
        yield file.relative_to(package.parent).as_posix(), file
