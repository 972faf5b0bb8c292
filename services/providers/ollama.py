"""Ollama's tags, of this host or of its cloud; what a model can do is told by `show`.

Source: ollama 0.6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from events.decide.providers import Settings
from events.record import ModelRecord
from services.providers.address import at, base, bearer
from services.providers.dialect import Detail, Dialect, Page, Request
from services.providers.rows import PROVIDER, Envelope, decoder, opened, page, record
from services.providers.values import inner, listed, text, whole

CAPABILITIES = {
    "completion": "chat",
    "tools": "tools",
    "vision": "vision",
    "embedding": "embeddings",
    "thinking": "reasoning",
}


class _List(Envelope, frozen=True):
    models: list[msgspec.Raw] | None


class _Model(msgspec.Struct, frozen=True):
    name: str
    details: dict[str, Any] | None = None


class _Shown(Envelope, frozen=True):
    details: Any = None
    model_info: Any = None
    capabilities: Any = None


_list = decoder(_List)
_model = decoder(_Model)
_shown = decoder(_Shown)


def _record(row: _Model) -> ModelRecord:
    return record(row.name, family=inner(row.details, "family"), open_weights=True)


def parse(body: bytes, _: str, __: Settings) -> Page:
    """Read the tags; a server without models may say null."""
    return page(opened(body, _list).models or [], _model, _record)


def details(settings: Settings, records: Sequence[ModelRecord]) -> list[Detail]:
    """Ask `show` about each model."""
    return [_detail(base(settings) + "/api/show", name) for name in {one.id: 0 for one in records}]


def _detail(url: str, name: str) -> Detail:
    def merge(body: bytes, records: Sequence[ModelRecord]) -> list[ModelRecord]:
        shown = _shown.decode(body)
        return [with_shown(one, shown) if one.id == name else one for one in records]

    body = msgspec.json.encode({"model": name})
    return Detail(Request(url, "POST", {"Content-Type": "application/json"}, body), merge)


def with_shown(known: ModelRecord, shown: _Shown) -> ModelRecord:
    """Return *known* with what `show` says: the window, the family and a closed list."""
    architecture = inner(shown.model_info, "general.architecture")
    window = whole(inner(shown.model_info, f"{architecture}.context_length"))
    can = listed(shown.capabilities, CAPABILITIES, closed=True)
    family = text(inner(shown.details, "family")) or known.family
    said = {f"capabilities.{word}": PROVIDER for word in can}
    said |= {"context_window": PROVIDER} if window else {}
    said |= {"family": PROVIDER} if family else {}
    return msgspec.structs.replace(
        known,
        family=family,
        context_window=window,
        capabilities=dict(sorted(can.items())),
        sources=dict(sorted({**known.sources, **said}.items())),
    )


DIALECT = Dialect("ollama", at("/api/tags"), parse, bearer, details=details, local=True)
