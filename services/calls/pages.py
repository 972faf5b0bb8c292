"""Every page of a provider's list, or nothing of it.

Source: providers.md, section 1.3, and discovery.md, section 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import httpx

from events.decide.providers import Settings
from events.record import ModelRecord
from services.calls.call import Outcome
from services.calls.classify import GROUPS
from services.calls.decoding import decoded, failed
from services.calls.details import NotAnswered, detailed
from services.calls.headers import sendable
from services.calls.origin import same_origin
from services.calls.rows import fields, merged
from services.providers import Dialect, Page, Request, Row

MOST_PAGES = 1000
MOST_ROWS = 100_000
"""Of all pages: the largest list known has 6,504."""

Ask = Callable[[Request], Awaitable[Outcome]]
"""One call within the bounds of the fetch that it belongs to."""


class Validators(NamedTuple):
    """What tells whether a list of one page has changed since: its tags and its hash."""

    etag: str | None
    last_modified: str | None
    sha256: str | None


class Fetched(NamedTuple):
    """What one fetch brought.

    *outcome* is that of its last call. Only where it is ``ok`` does the rest mean anything.
    *complete*: every row was read and the provider's own total agrees. *skipped* counts rows left
    out: *undecodable* ones, and those with unusable ids. *not_modified*: the list is that of
    *validators*, so nothing was decoded and *records* is empty. *fields* counts the rows that sent
    each raw field.
    """

    outcome: Outcome
    records: tuple[ModelRecord, ...] = ()
    complete: bool = False
    skipped: int = 0
    duplicates: int = 0
    not_modified: bool = False
    validators: Validators | None = None
    undecodable: int = 0
    pages: int = 0
    fields: Mapping[str, int] = {}


async def read(  # noqa: PLR0913 - what is read, through what, and how much of it
    dialect: Dialect,
    settings: Settings,
    ask: Ask,
    *,
    validators: Validators | None,
    known_undecodable: int,
    first_only: bool = False,
) -> Fetched:
    """Read every page of every list, and what belongs to them, through *ask*.

    *validators* of the last whole list of one page let an unchanged one be recognised; None reads
    in full. As many undecodable rows as last time, *known_undecodable*, make the list no less
    complete. *first_only* asks for no more than one page, and for no details; its validators are
    those of that page, and it is complete where there is no other. Never raises for what a provider
    sends.
    """
    reading = _Reading(dialect, settings, ask, first_only=first_only)
    firsts = dialect.first(settings)
    # Details may change where the list does not, so an unchanged list proves nothing there.
    single = len(firsts) == 1 and (dialect.details is None or first_only)
    reading.more = first_only and len(firsts) > 1
    last = Outcome("config", GROUPS["config"], message="no list is configured")
    if not firsts:
        return Fetched(last)
    try:
        for first in firsts[:1] if first_only else firsts:
            last = await reading.whole_list(first, validators if single else None)
        if first_only:
            records = [row.record for row in reading.rows]
        else:
            records = await detailed(dialect, settings, reading.rows, ask)
    except _Stop as stop:
        return stop.fetched._replace(pages=reading.pages)
    except NotAnswered as fault:
        return Fetched(fault.outcome, pages=reading.pages)
    models = merged(records)
    complete = reading.totals_agree and reading.undecodable in {0, known_undecodable}
    complete = complete and not reading.more
    whole = first_only or (complete and single and reading.pages == 1)
    return Fetched(
        last,
        records=models,
        complete=complete,
        skipped=reading.undecodable + reading.unusable,
        duplicates=len(records) - len(models),
        validators=_validators(last) if whole else None,
        undecodable=reading.undecodable,
        pages=reading.pages,
        fields=fields(reading.rows),
    )


class _Stop(Exception):
    """The fetch ends here, with *fetched*."""

    def __init__(self, fetched: Fetched) -> None:
        super().__init__(fetched.outcome.message)
        self.fetched = fetched


class _Reading:
    """One fetch as it goes on: what has been read so far."""

    def __init__(self, dialect: Dialect, settings: Settings, ask: Ask, *, first_only: bool) -> None:
        self._first_only = first_only
        self._dialect = dialect
        self._settings = settings
        self._ask = ask
        self.rows: list[Row] = []
        self.pages = 0
        self.undecodable = 0
        self.unusable = 0
        self.totals_agree = True
        self.more = False

    async def whole_list(self, first: str, validators: Validators | None) -> Outcome:
        """Read one list to its end mark, and return the outcome of its last page."""
        urls = {first}
        bodies: set[bytes] = set()
        sent, totals = 0, set[int]()
        url = first
        while True:
            outcome = await self._ask(Request(url, headers=_conditions(validators)))
            self.pages += 1
            if validators is not None and _unchanged(outcome, validators):
                raise _Stop(_same(outcome, validators))
            page, outcome = self._page(outcome, url)
            if isinstance(page, Page):
                body = hashlib.sha256(outcome.body).digest()
                if body in bodies:
                    raise _Stop(Fetched(failed(outcome, "a page that repeats")))
                bodies.add(body)
                self._take(page)
                if len(self.rows) > MOST_ROWS:
                    raise _Stop(Fetched(failed(outcome, f"more than {MOST_ROWS:,} rows")))
                sent += page.sent
                totals |= set() if page.total is None else {page.total}
                following = page.next
            else:
                following = page
            if self._first_only and following is not None and isinstance(page, Page):
                self.more = True
                return outcome
            if following is None:
                self.totals_agree &= totals <= {sent}
                return outcome
            url, validators = _follow(url, following, urls, outcome), None
            if self.pages == MOST_PAGES:
                raise _Stop(Fetched(failed(outcome, f"more than {MOST_PAGES} pages")))

    def _page(self, outcome: Outcome, url: str) -> tuple[Page | str, Outcome]:
        """Return the page that was answered, or the URL that serves instead of *url*."""
        if outcome.status == 404 and self._dialect.instead is not None:  # noqa: PLR2004
            other = self._dialect.instead(url, self._settings)
            if other is not None:
                return other, outcome._replace(class_="ok", group="OK", message="")
        page = decoded(self._dialect, outcome, url, self._settings)
        if isinstance(page, Outcome):
            raise _Stop(Fetched(page))
        return page, outcome

    def _take(self, page: Page) -> None:
        self.rows += page.rows
        self.undecodable += page.failed
        self.unusable += page.unusable


def _follow(url: str, cursor: str, urls: set[str], outcome: Outcome) -> str:
    """Return the URL to which *cursor* leads, and add it to *urls*; stop where it may not lead."""
    try:
        target = httpx.URL(url).join(cursor)
    except (httpx.InvalidURL, ValueError) as error:
        raise _Stop(Fetched(failed(outcome, "a page cursor that is no URL"))) from error
    if not same_origin(httpx.URL(url), target):
        raise _Stop(Fetched(failed(outcome, "a page cursor that leads to another origin")))
    following = str(target)
    if following in urls:
        raise _Stop(Fetched(failed(outcome, "a page cursor that repeats")))
    urls.add(following)
    return following


def _conditions(validators: Validators | None) -> dict[str, str]:
    if validators is None:
        return {}
    named = (("if-none-match", validators.etag), ("if-modified-since", validators.last_modified))
    return {name: value for name, value in named if value and sendable(value)}


def _unchanged(outcome: Outcome, validators: Validators) -> bool:
    if outcome.class_ != "ok":
        return False
    return outcome.status == 304 or _sha256(outcome) == validators.sha256  # noqa: PLR2004


def _same(outcome: Outcome, old: Validators) -> Fetched:
    headers = outcome.headers
    validators = Validators(
        headers.get("etag", old.etag), headers.get("last-modified", old.last_modified), old.sha256
    )
    return Fetched(outcome, complete=True, not_modified=True, validators=validators)


def _validators(outcome: Outcome) -> Validators:
    headers = outcome.headers
    return Validators(headers.get("etag"), headers.get("last-modified"), _sha256(outcome))


def _sha256(outcome: Outcome) -> str:
    return hashlib.sha256(outcome.body).hexdigest()
