"""Where a call may go: to its own origin and nowhere else, as its headers hold a credential."""

from __future__ import annotations

import httpx

HIGHEST_PORT = 65_535
PORTS = {"http": 80, "https": 443}


class Misdirected(Exception):
    """A redirect that is not ours to follow."""


def address(url: str) -> httpx.URL:
    """Return *url* in parts; raises ``httpx.InvalidURL`` where it is none, or has no such port."""
    parts = httpx.URL(url)
    if parts.port is not None and parts.port > HIGHEST_PORT:
        raise httpx.InvalidURL(f"there is no port {parts.port}")
    return parts


def onward(method: str, url: httpx.URL, location: str) -> httpx.URL:
    """Return where a redirect from *url* leads; raises Misdirected where it may not."""
    target = url.join(location)
    if method != "GET":
        raise Misdirected(f"{method} is redirected to {target.host or location}")
    if not same_origin(url, target):
        raise Misdirected(
            f"redirected to {target.scheme}://{target.netloc.decode()}: another origin, where no"
            " credential goes; set base_url to it if it is right"
        )
    return target


def same_origin(url: httpx.URL, target: httpx.URL) -> bool:
    """Tell whether what may be sent to *url* may be sent to *target*, too."""
    same = (url.scheme, url.host, url.port) == (target.scheme, target.host, target.port)
    return same and not target.userinfo


def host_of(url: str) -> str:
    """Return the host of *url*; all of it where it is no URL."""
    try:
        return httpx.URL(url).host or url
    except (httpx.InvalidURL, UnicodeError):
        return url


def peer_of(url: str) -> tuple[str, int]:
    """Return the host and the port to which a connection for *url* goes where no proxy is."""
    parts = address(url)
    return parts.raw_host.decode("ascii"), parts.port or PORTS.get(parts.scheme, 0)
