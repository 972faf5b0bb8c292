"""What may be asked of the catalogue over NATS, and how it answers: JSON, request and reply."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

LIMIT = 100
"""Items of a page, where nothing is said ..."""
MOST = 500
"""... and at most."""
LARGEST_REPLY = 900_000
"""Bytes of a reply: a page ends before it would be larger."""

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Moment = Sequence | str
"""A sequence of `MODELOG`, or a time: RFC 3339, a date, a span back from now (`7d`)."""
Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Price = Annotated[float, msgspec.Meta(ge=0)]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every question may say: *min_seq* waits until the catalogue has that sequence.

    *after* is the `next` of the page before, which goes with the same question.
    """

    min_seq: Sequence | None = None
    limit: Limit = LIMIT
    after: str | None = None


class ModelsQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models are there, now or as of a moment: the filters of `modelog models list`."""

    provider: str | None = None
    capability: str | list[str] = []
    any_capability: str | list[str] = []
    modality: str | None = None
    min_context: Tokens | str | None = None
    max_input_price: Price | None = None
    lifecycle: str | None = None
    availability: str | None = None
    text: str | None = None
    sort: str | None = None
    as_of: Moment | None = None


class ModelQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a model, of one provider or of all that list it."""

    id: str
    provider: str | None = None
    as_of: Moment | None = None


class HistoryQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every version of a model, from the oldest to the newest, by provider."""

    id: str
    provider: str | None = None


class DiffQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What appeared, vanished and changed from one moment to another, which is now by default."""

    from_: Moment = msgspec.field(name="from")
    to: Moment | None = None
    provider: str | None = None


class ProvidersQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is registered, by name."""

    status: str | list[str] = []


class SchedulesQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When each provider is asked; the reply has `totals` besides."""


class HealthQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the providers are, by name; the reply has `summary` besides.

    With *provider* the one item has the newest of its history and its checks, too; *part* asks for
    all of either, newest first.
    """

    provider: str | None = None
    part: Literal["history", "checks"] | None = None


class AlertsQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which alerts there are, by provider and id: *state* is `open`, `resolved` or `all`."""

    state: str = "open"
    provider: str | None = None
    kind: str | list[str] = []
    severity: str | list[str] = []


class StatusQuery(Query, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the catalogue is, and how much is in it."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The reply to a question: *items*, as of *seq*; *next* asks for those behind, if any are."""

    seq: int
    items: list[dict[str, Any]]
    next: str | None
    totals: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    summary: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


QUERIES: dict[str, type[Query]] = {
    "models": ModelsQuery,
    "model": ModelQuery,
    "history": HistoryQuery,
    "diff": DiffQuery,
    "providers": ProvidersQuery,
    "schedules": SchedulesQuery,
    "health": HealthQuery,
    "alerts": AlertsQuery,
    "status": StatusQuery,
}
"""Every question by the rest of its subject."""
