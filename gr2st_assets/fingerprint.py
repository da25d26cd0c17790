"""What a result depends on, as one string: if it is unchanged, the result need not be made again.

Belongs here: hashing of identities and of source text. Does not belong here: deciding what an asset depends on,
reading data.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from gr2st_core.errors import SettingsError

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|.+)|import[ \t]+(.+))", re.MULTILINE)
_COMMENT = re.compile("#.*")


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
        text = _text(path)
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()


def reached(modules: Iterable[str], *, within: Iterable[str]) -> tuple[str, ...]:
    """Modules that the named ones import, directly or not, themselves included; read from source, none is imported.

    Parameters
    ----------
    within
        Packages and modules that are followed; what lies elsewhere does not count.

    Returns
    -------
    Dotted names in alphabetical order.

    Raises
    ------
    SettingsError
        There is no such module.
    """
    followed = tuple(f"{package}." for package in within)
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and f"{name}.".startswith(followed):
            found.add(name)
            waiting.extend(_imports_of(name))
    return tuple(sorted(found))


@cache
def _imports_of(module: str) -> frozenset[str]:
    """Modules that a module imports, or a package's ``__init__``."""
    path = _path(module)
    if path is None or not _is_module(module):
        raise SettingsError("there is no such module", found=module)
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return imports(_text(file))


def imports(source: str) -> frozenset[str]:
    """Modules that a text of Python imports at any depth; an imported name that is a module counts itself.

    Statements are found as the formatter writes them, one a line, since every start of a process would wait for the
    parser; one in a docstring counts as well, and one too many is never wrong.
    """
    names: set[str] = set()
    for package, members, modules in _IMPORT.findall(_COMMENT.sub("", source)):
        if package:
            own = [f"{package}.{name}" for name in _first_words(members.strip("()"))]
            names.update(member if _is_module(member) else package for member in own)
        else:
            names.update(_first_words(modules))
    return frozenset(names)


def _first_words(listed: str) -> Iterator[str]:
    """Names of a list that commas part, without what they are called here."""
    for part in listed.split(","):
        if words := part.split():
            yield words[0]


@cache
def _text(path: Path) -> str:
    """Read a source file, once however many methods share it; text mode makes every line end in a newline."""
    return path.read_text(encoding="utf-8")


@cache
def _is_module(name: str) -> bool:
    """Whether there is a file or folder of that name in an installed package."""
    path = _path(name)
    return path is not None and (path.is_dir() or path.with_suffix(".py").is_file())


@cache
def _sources(module: str) -> tuple[tuple[str, Path], ...]:
    """Source files of a module or package, each with its path below the folder that holds the top package."""
    path = _path(module)
    if path is None:
        raise SettingsError("there is no such package", found=module)
    files = list(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    if not files or not all(file.is_file() for file in files):
        raise SettingsError("there is no such module", found=module)
    folder = path.parents[module.count(".")]
    return tuple((file.relative_to(folder).as_posix(), file) for file in files)


@cache
def _path(module: str) -> Path | None:
    """Where a module's file (without its suffix) or a package's folder is, None if its top package is unknown."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent.joinpath(*rest)
