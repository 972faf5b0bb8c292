"""One call's observation becomes one class: exception first, then status, then body. Pure.

Source of both tables: health.md, section 3.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import httpx
import msgspec

from services.calls.body import BadBody

Group = Literal["OK", "PARTIAL", "FAIL", "BLOCKED", "THROTTLED", "NEUTRAL", "UNKNOWN"]

GROUPS: dict[str, Group] = {
    "ok": "OK",
    "slow": "PARTIAL",
    "empty": "PARTIAL",
    "shrunk": "PARTIAL",
    "invalid_response": "FAIL",
    "credential": "BLOCKED",
    "quota": "BLOCKED",
    "forbidden_edge": "BLOCKED",
    "endpoint_gone": "BLOCKED",
    "config": "BLOCKED",
    "rate_limited": "THROTTLED",
    "check_invalid": "NEUTRAL",
    "overloaded": "FAIL",
    "server": "FAIL",
    "connect": "FAIL",
    "timeout_connect": "FAIL",
    "timeout_read": "FAIL",
    "timeout_total": "FAIL",
    "dns_nx": "FAIL",
    "dns": "FAIL",
    "tls": "FAIL",
    "local": "UNKNOWN",
    "check_error": "UNKNOWN",
}
"""Every class, and what it means to the verdict."""

BY_CODE = frozenset({"credential", "quota", "endpoint_gone"})
"""The only classes that a body's code may ask for."""

CODES = {
    "API_KEY_INVALID": "credential",
    "invalid_api_key": "credential",
    "incorrect_api_key": "credential",
    "insufficient_quota": "quota",
    "insufficient_balance": "quota",
    "insufficient_credits": "quota",
    "insufficient_funds": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "billing_error": "quota",
    "payment_required": "quota",
    "account_suspended": "quota",
}
"""What the codes of error objects mean with every dialect; a dialect adds its own."""

LOCAL_ERRNOS = frozenset(
    {
        errno.ENETUNREACH,
        errno.EADDRNOTAVAIL,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)
NO_SUCH_NAME = frozenset(
    {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
)  # macOS knows the second, musl does not


def of_exception(error: BaseException) -> str:
    """Return the class of an exchange that ended in *error*.

    The type decides first; of a failed connection, the leaves of its causes and groups do.
    """
    match error:
        case httpx.ConnectTimeout():
            return "timeout_connect"
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            return "timeout_read"
        case httpx.PoolTimeout():
            return "local"
        case TimeoutError():
            return "timeout_total"
        case httpx.ConnectError():
            return _of_leaves(list(leaves(error)))
        case (
            httpx.RemoteProtocolError(__cause__=httpx.InvalidURL())
            | httpx.RemoteProtocolError(__context__=httpx.InvalidURL())
        ):  # where a redirect leads
            return "config"
        case httpx.NetworkError() | httpx.RemoteProtocolError():
            return "connect"
        case (
            BadBody() | httpx.DecodingError() | msgspec.MsgspecError() | UnicodeDecodeError()
            | RecursionError()
        ):  # fmt: skip
            return "invalid_response"
        case (
            httpx.TooManyRedirects() | httpx.UnsupportedProtocol() | httpx.InvalidURL()
            | UnicodeError()
        ):  # fmt: skip
            return "config"
        case httpx.ProxyError():
            return "local"
        case (
            OSError() | ExceptionGroup()
        ):  # some faults within an established TLS session pass httpx unmapped
            found = list(leaves(error))
            ours = not all(isinstance(leaf, OSError) for leaf in found)
            return "check_error" if ours else _of_leaves(found)
        case _:
            return "check_error"


def _of_leaves(found: list[BaseException]) -> str:
    if any(isinstance(leaf, ssl.SSLError) for leaf in found):
        return "tls"
    classes = {_of_leaf(leaf) for leaf in found} or {"connect"}
    for class_ in ("connect", "dns_nx", "dns"):
        if class_ in classes:
            return class_
    return "local"


def _of_leaf(leaf: BaseException) -> str:
    match leaf:
        case socket.gaierror(errno=code):
            return "dns_nx" if code in NO_SUCH_NAME else "dns"
        case OSError(errno=code) if code in LOCAL_ERRNOS:
            return "local"
        case _:
            return "connect"


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield what *error* comes from: the ends of its causes, contexts and groups, each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        at = waiting.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        if isinstance(at, BaseExceptionGroup):
            waiting += at.exceptions
        elif at.__cause__ is not None:
            waiting.append(at.__cause__)
        elif at.__context__ is not None:  # httpcore suppresses it (`raise … from None`)
            waiting.append(at.__context__)
        else:
            yield at


def of_status(  # noqa: PLR0913 - all that bears on the class
    status: int,
    *,
    codes: Iterable[str] = (),
    known_codes: Mapping[str, str] | None = None,
    edge: bool = False,
    conditional: bool = False,
    worked: bool = False,
) -> str:
    """Return the class of an answer by its *status* and the *codes* in its error object.

    *known_codes* are the dialect's, beside `CODES`. *edge*: the body is a page, not an API's
    answer. *conditional*: the request asked for changes only. *worked*: this URL has answered with
    a list before, under this configuration.
    """
    by_code = of_codes(codes, known_codes or {})
    match status:
        case 304 if conditional:
            return "ok"
        case _ if 200 <= status < 300:  # noqa: PLR2004 - the statuses of RFC 9110
            return "ok"
        case 401:
            return "credential"
        case 402:
            return "quota"
        case 400 | 403 | 404 | 410 | 412 | 422 | 429 if by_code is not None:
            return by_code
        case 403:
            return "forbidden_edge" if edge else "credential"
        case 407 | 451:
            return "forbidden_edge"
        case 410:
            return "endpoint_gone"
        case 404 | 405:
            return "endpoint_gone" if worked else "config"
        case 501 | 505:
            return "config"
        case 429:
            return "rate_limited"
        case 408 | 425:
            return "server"
        case 503 | 529:
            return "overloaded"
        case _ if 400 <= status < 500:  # noqa: PLR2004 - the statuses of RFC 9110
            return "check_invalid"
        case _ if 500 <= status < 600:  # noqa: PLR2004 - the statuses of RFC 9110
            return "server"
        case _:
            return "invalid_response"


def of_codes(codes: Iterable[str], known: Mapping[str, str]) -> str | None:
    """Return the class that the first known of *codes* asks for; None where none may.

    A dialect's *known* codes go before ours. Without a change of group: only a class of `BY_CODE`.
    """
    for code in codes:
        class_ = known.get(code) or CODES.get(code)
        if class_ in BY_CODE:
            return class_
    return None
