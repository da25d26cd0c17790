"""Which addresses files may be fetched from, and one request to one of them.

Belongs here: https only, redirects included, with plain http on this machine alone; what is worth another try. Does not
belong here: files (``downloads``).
"""

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import version
from typing import IO, Any

from gr2st_core.errors import MissingArtifactError, SchemaError

_TIMEOUT_S = 60
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class InterruptedTransferError(Exception):
    """The network or the server failed in a way that may pass."""


def require_allowed(url: str, *, asked_by: str | None = None) -> None:
    """Refuse an address that is neither https nor http on this machine.

    Parameters
    ----------
    asked_by
        Address whose answer, a redirect or a listing, sends us here: one elsewhere may not send us to this machine.

    Raises
    ------
    SchemaError
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    is_here = host in _LOOPBACK and (asked_by is None or urllib.parse.urlsplit(asked_by).hostname in _LOOPBACK)
    if parts is None or not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_here)):
        raise SchemaError(
            "an address is not allowed",
            file=asked_by or url,
            field="url",
            found=url,
            expected="https",
        )


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        require_allowed(newurl, asked_by=req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def answer_to(url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    """Ask for ``url``; the answer has the status 200, 206 or 416.

    Raises
    ------
    SchemaError
        The address, or one that it redirects to, is not allowed.
    MissingArtifactError
        The server refuses for good.
    InterruptedTransferError
        Asking again may help.
    """
    require_allowed(url)
    handlers: list[urllib.request.BaseHandler] = [_CheckedRedirects()]
    if urllib.parse.urlsplit(url).hostname in _LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))
    agent = {"User-Agent": f"gr2st-assets/{version('gr2st-assets')}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers={**agent, **headers})  # noqa: S310 - checked above
    try:
        answer = urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code in _PASSING:
            raise InterruptedTransferError(f"the server answers {error.code} {error.reason}") from error
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise MissingArtifactError(
                "a server does not give a file", file=url, found=f"{error.code} {error.reason}", expected="200 OK"
            ) from error
        answer = error
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedTransferError(str(error) or type(error).__name__) from error
    with closing(answer):
        yield answer


def read_block(answer: Any, size: int) -> bytes:
    """Read up to ``size`` bytes of an answer's body; empty at its end.

    Raises
    ------
    InterruptedTransferError
    """
    try:
        block: bytes = answer.read(size)
    except (OSError, http.client.HTTPException) as error:
        raise InterruptedTransferError(str(error) or type(error).__name__) from error
    return block
