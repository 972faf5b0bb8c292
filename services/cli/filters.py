"""The filters of models: options of the command line, and what they ask of the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from events.record import CAPABILITIES, MODALITIES
from projections import ModelFilter
from projections.search import SORTS
from services import clock
from services.cli.failures import WRONG, Refusal
from services.cli.options import countable, word, words
from services.projector.filters import AVAILABILITIES, LIFECYCLES, OVERDUE, tokens

Id = Annotated[str, typer.Argument(metavar="ID", help="A model's id, as in requests.")]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Of one provider.")
]
Capabilities = Annotated[
    list[str] | None,
    typer.Option("--capability", metavar="CAP", help="Known true; repeats, for all of them."),
]
AnyCapability = Annotated[
    list[str] | None,
    typer.Option("--any-capability", metavar="CAP", help="Known true; repeats, for any of them."),
]
Modality = Annotated[
    str | None, typer.Option("--modality", metavar="KIND", help="That it takes or gives.")
]
MinContext = Annotated[
    str | None,
    typer.Option(
        "--min-context", metavar="TOKENS", help="A context window of 128000, 128k, 1M ..."
    ),
]
MaxInputPrice = Annotated[
    float | None,
    typer.Option("--max-input-price", metavar="USD", min=0, help="Per 1,000,000 tokens."),
]
LifecycleState = Annotated[
    str | None,
    typer.Option("--lifecycle", metavar="STATE", help=f"One of {', '.join(LIFECYCLES)}."),
]
Availability = Annotated[
    str | None, typer.Option("--availability", metavar="STATE", help="`listed` or `missing`.")
]
Text = Annotated[
    str | None, typer.Option("--text", metavar="WORDS", help="In id, name, description or family.")
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort", metavar="COLUMN", help="Such as price_input, or -price_input: descending."
    ),
]
Offset = Annotated[
    int,
    typer.Option(
        "--offset", min=0, metavar="N", help="Leave out the first N rows.", callback=countable
    ),
]


def wanted(
    *,
    provider: str | None,
    capability: list[str] | None,
    any_capability: list[str] | None,
    modality: str | None,
    min_context: str | None,
    max_input_price: float | None,
    lifecycle: str | None,
    availability: str | None,
    text: str | None,
    sort: str | None,
    limit: int | None,
    offset: int,
) -> ModelFilter:
    """Return the filter that the options amount to; refuse words that are none of ours."""
    state = word(lifecycle, LIFECYCLES, "state of life")
    today = clock.system().now()[:10]
    return ModelFilter(
        provider=provider,
        capability_all=tuple(words(capability or (), CAPABILITIES, "capability")),
        capability_any=tuple(words(any_capability or (), CAPABILITIES, "capability")),
        modality=word(modality, MODALITIES, "modality"),
        min_context=_tokens(min_context),
        max_input_price=max_input_price,
        lifecycle=None if state == OVERDUE else state,
        overdue_on=today if state == OVERDUE else None,
        availability=word(availability, AVAILABILITIES, "availability"),
        text=text,
        sort=_sort(sort),
        limit=limit,
        offset=offset,
    )


def _sort(text: str | None) -> str | None:
    if text is not None:
        word(text.removeprefix("-"), SORTS, "column to sort by")
    return text


def _tokens(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return tokens(text)
    except ValueError as error:
        raise Refusal(f"--min-context: {error}", WRONG) from error
