"""AWS Signature Version 4: a request signed with a secret that is not sent.

Source: AWS IAM, "Create a signed AWS API request". Signed are the host, the time and the session's
token; the body is empty or small.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from services.providers.dialect import Request

ALGORITHM = "AWS4-HMAC-SHA256"
PORTS = {"https": 443, "http": 80}


class Keys(NamedTuple):
    """Who signs; *session_token* belongs to temporary keys."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


def signed(
    request: Request, keys: Keys, *, region: str, service: str, moment: datetime
) -> dict[str, str]:
    """Return the headers that sign *request* at *moment*; `host` is what the client sends."""
    stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": _host(request.url), "x-amz-date": stamp}
    if keys.session_token:
        headers["x-amz-security-token"] = keys.session_token
    names = ";".join(sorted(headers))
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    canonical = "\n".join(
        [
            request.method,
            _path(request.url),
            _query(request.url),
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            hashlib.sha256(request.body or b"").hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = _mac(key, part)
    signature = _mac(key, f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()
    credential = f"Credential={keys.access_key_id}/{scope}"
    del headers["host"]
    return {
        **headers,
        "Authorization": f"{ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}",
    }


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _host(url: str) -> str:
    parts = urlsplit(url)
    if parts.port in (None, PORTS.get(parts.scheme)):
        return parts.hostname or ""
    return f"{parts.hostname}:{parts.port}"


def _path(url: str) -> str:
    return quote(urlsplit(url).path or "/", safe="/-_.~")


def _query(url: str) -> str:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    spelled = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in pairs)
    return "&".join(f"{key}={value}" for key, value in spelled)
