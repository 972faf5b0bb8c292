"""The filters of models: options of the command line, and what they ask of the catalogue."""

from __future__ import annotations

from typing import Annotated

import typer

from events.record import CAPABILITIES, MODALITIES
from projections import ModelFilter
from services.cli.failures import WRONG, Refusal
from services.cli.options import words

LIFECYCLES = ("preview", "active", "deprecated", "retired")
AVAILABILITIES = ("listed", "missing")

Id = Annotated[str, typer.Argument(metavar="ID", help="A model's id, as in requests.")]
Provider = Annotated[
    str | None, typer.Option("--provider", metavar="NAME", help="Of one provider.")
]
Providers = Annotated[
    list[str] | None, typer.Option("--provider", metavar="NAME", help="Of this provider; repeats.")
]
Capabilities = Annotated[
    list[str] | None,
    typer.Option("--capability", metavar="CAP", help="Known to have it; repeats, and all must be."),
]
Modalities = Annotated[
    list[str] | None,
    typer.Option("--modality", metavar="KIND", help="Takes or gives it; repeats, and all must be."),
]
MinContext = Annotated[
    str | None,
    typer.Option("--min-context", metavar="TOKENS", help="A window of so many: 128000, 128k, 1M."),
]
MaxInputPrice = Annotated[
    float | None,
    typer.Option("--max-input-price", metavar="USD", min=0, help="Per 1,000,000 tokens."),
]
LifecycleState = Annotated[
    list[str] | None,
    typer.Option("--lifecycle", metavar="STATE", help=f"One of {', '.join(LIFECYCLES)}; repeats."),
]
Availability = Annotated[
    str | None, typer.Option("--availability", metavar="STATE", help="`listed` or `missing`.")
]
Text = Annotated[str | None, typer.Option("--text", metavar="WORDS", help="Full text.")]
Sort = Annotated[
    str | None,
    typer.Option("--sort", metavar="COLUMN", help="By a column; with a `-` before it, descending."),
]


def wanted(
    *,
    provider: list[str] | None,
    capability: list[str] | None,
    modality: list[str] | None,
    min_context: str | None,
    max_input_price: float | None,
    lifecycle: list[str] | None,
    availability: str | None,
    text: str | None,
    sort: str | None,
    limit: int | None,
) -> ModelFilter:
    """Return the filter that the options amount to; refuse words that are none of ours."""
    return ModelFilter(
        provider=tuple(provider or ()),
        capability=tuple(words(capability or (), CAPABILITIES, "capability")),
        modality=tuple(words(modality or (), MODALITIES, "modality")),
        min_context=_tokens(min_context),
        max_input_price=max_input_price,
        lifecycle=tuple(words(lifecycle or (), LIFECYCLES, "state of life")),
        availability=_availability(availability),
        text=text,
        sort=sort,
        limit=limit,
    )


def _tokens(text: str | None) -> int | None:
    if text is None:
        return None
    number, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "")
    try:
        return int(float(number) * {"": 1, "k": 1_000, "m": 1_000_000}[unit])
    except (ValueError, KeyError, OverflowError) as error:
        told = f'--min-context: "{text}" is no number of tokens; write 128000, 128k or 1M'
        raise Refusal(told, WRONG) from error


def _availability(text: str | None) -> str | None:
    return words([text], AVAILABILITIES, "availability")[0] if text is not None else None
