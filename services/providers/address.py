"""Where a provider's lists are, and the headers that open them."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from events.decide.providers import Settings
from services.providers.dialect import Secrets
from services.providers.table import row_of

_PLACE = re.compile(r"\{([a-z_]+)\}")


class MissingOption(ValueError):
    """An address names an option that the provider's settings do not give."""


def option(settings: Settings, name: str) -> Any:  # noqa: ANN401 - options are JSON
    """Return an option of the settings, else the default of the provider's row, else None."""
    if (value := settings.options.get(name)) not in (None, ""):
        return value
    row = row_of(settings)
    return next((one.default for one in row.options if one.name == name), None) if row else None


def filled(template: str, settings: Settings) -> str:
    """Fill every ``{option}`` of *template*, percent-encoded; raise MissingOption for one unset."""

    def fill(place: re.Match[str]) -> str:
        value = option(settings, place[1])
        if value is None:
            raise MissingOption(f"{settings.name}: the address needs the option {place[1]!r}")
        return quote(str(value), safe="")

    return _PLACE.sub(fill, template)


def base(settings: Settings) -> str:
    """Return the address up to the dialect's tail, without a slash at its end."""
    return filled(settings.base_url, settings).rstrip("/")


def url(settings: Settings, tail: str) -> str:
    """Return the address of the list at *tail*."""
    return base(settings) + filled(tail, settings)


def at(*tails: str) -> Callable[[Settings], list[str]]:
    """Make a dialect's `first`: a list at each of *tails*, or at the provider's own tail."""

    def first(settings: Settings) -> list[str]:
        row = row_of(settings)
        own = row.tail if row else None
        return [url(settings, tail) for tail in ((own,) if own else tails)]

    return first


def with_query(address: str, **parameters: str | int) -> str:
    """Return *address* with *parameters* set in its query, in place of earlier ones."""
    parts = urlsplit(address)
    kept = [
        (key, value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
        if key not in parameters
    ]
    query = urlencode([*kept, *((key, str(value)) for key, value in parameters.items())])
    return urlunsplit(parts._replace(query=query))


def bearer(settings: Settings, secrets: Secrets) -> dict[str, str]:  # noqa: ARG001 - a `headers`
    """Authenticate by ``Authorization: Bearer``, where there is a key or a token."""
    secret = secrets.get("api_key") or secrets.get("access_token")
    return {"Authorization": f"Bearer {secret.reveal()}"} if secret else {}


def keyed(header: str, **others: str) -> Callable[[Settings, Secrets], dict[str, str]]:
    """Make a dialect's `headers`: the key under *header*, and *others* (``_`` is ``-``)."""
    fixed = {name.replace("_", "-"): value for name, value in others.items()}

    def headers(_: Settings, secrets: Secrets) -> dict[str, str]:
        secret = secrets.get("api_key")
        return {**fixed, header: secret.reveal()} if secret else dict(fixed)

    return headers


def ollama_host(value: str) -> str | None:
    """Return the base URL that OLLAMA_HOST means, as Ollama's own client reads it.

    A host, ``host:port`` or a URL; the address of every interface is this host. None where it is
    empty or none of these.
    """
    written = value.strip().strip("'\"").strip()
    scheme, separator, rest = written.partition("://")
    if not separator:
        scheme, rest = "http", written
    default = {"http": 80, "https": 443}.get(scheme.lower()) if separator else 11434
    if default is None or not rest:
        return None
    bare = rest if rest.count(":") <= 1 or rest.startswith("[") else f"[{rest}]"
    try:
        parts = urlsplit(f"{scheme.lower()}://{bare}")
        host, port = parts.hostname or "127.0.0.1", parts.port or default
    except ValueError:
        return None
    return f"{parts.scheme}://{_reachable(host)}:{port}{parts.path.rstrip('/')}"


def _reachable(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"  # noqa: PLR2004 - IPv4
    return f"[{host}]" if address.version == 6 else host  # noqa: PLR2004 - IPv6
