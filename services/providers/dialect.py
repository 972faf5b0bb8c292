"""What a dialect is: where a list is, who may read it, and what its rows mean. Pure.

A dialect makes requests and reads answers; `services/calls` carries both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from events.decide.providers import Settings
from events.record import ModelRecord

if TYPE_CHECKING:  # its module reads the configuration, which reads the table of providers
    from services.keys import Secret

NOTHING: Mapping[str, Any] = MappingProxyType({})

Secrets = Mapping[str, "Secret"]
"""What a provider's references resolved to: `api_key`, and the names of its `credentials`."""


class Refused(Exception):
    """A provider answered 200 with an error: *class_* of design/health.md §3, and its words."""

    def __init__(self, class_: str, message: str) -> None:
        super().__init__(message)
        self.class_ = class_
        self.message = message


class Request(NamedTuple):
    """One HTTP request, without the headers that authenticate it."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = NOTHING
    body: bytes | None = None


class Row(NamedTuple):
    """One row, mapped; *fields* are the names at its top on the wire, for schema drift."""

    record: ModelRecord
    fields: frozenset[str]


class Page(NamedTuple):
    """One answer of a list.

    *next* is the absolute URL of the page after it; *total* the provider's own count of all rows as
    sent; *failed* counts rows that did not decode, *unusable* rows whose id no subject can carry.
    """

    rows: list[Row]
    next: str | None = None
    total: int | None = None
    failed: int = 0
    unusable: int = 0

    @property
    def sent(self) -> int:
        """How many rows there were on the wire; what *total* counts."""
        return len(self.rows) + self.failed + self.unusable


class Detail(NamedTuple):
    """A request that adds fields to rows, never rows.

    *merge* takes the answer's body and all records, and returns as many in the same order; it
    raises msgspec.DecodeError where the body is no answer, which leaves its fields unknown.
    """

    request: Request
    merge: Callable[[bytes, Sequence[ModelRecord]], list[ModelRecord]]


class Exchange(NamedTuple):
    """How credentials become a token of limited life: ask *request*, then *read* its body.

    *read* returns the token and its life in seconds; it raises msgspec.DecodeError. The token is a
    secret from there on.
    """

    request: Request
    read: Callable[[bytes], tuple[str, float]]


class Dialect(NamedTuple):
    """A shape of answer.

    *first* gives the first page of each list, together one fetch; *parse* reads the body of any
    page, given its URL: it raises msgspec.DecodeError or UnicodeDecodeError where the body is no
    such list, and Refused where it is an error. *headers* authenticates; *sign* does so anew for
    each attempt, at that moment, given what *headers* lacks; *exchange* says how credentials
    become a token, and raises Refused where they cannot. *masked* paths are not compared;
    *codes* are the words of its error objects and the classes that they mean; *instead* is what
    serves for a list whose URL is answered with 404: another URL, or a page of static rows.
    """

    name: str
    first: Callable[[Settings], list[str]]
    parse: Callable[[bytes, str, Settings], Page]
    headers: Callable[[Settings, Secrets], dict[str, str]]
    masked: frozenset[str] = frozenset()
    details: Callable[[Settings, Sequence[ModelRecord]], list[Detail]] | None = None
    codes: Mapping[str, str] = NOTHING
    local: bool = False
    sign: Callable[[Request, Settings, Secrets, datetime], dict[str, str]] | None = None
    exchange: Callable[[Settings, Secrets, datetime], Exchange | None] | None = None
    instead: Callable[[str, Settings], str | Page | None] | None = None
