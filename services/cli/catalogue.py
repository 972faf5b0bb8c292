"""The catalogue that a command reads, and the refusals of what it does not hold."""

from __future__ import annotations

from pathlib import Path

from events.base import Instant
from projections import Catalogue, ModelFilter
from services.cli.failures import ABSENT, Refusal
from services.cli.options import close, nearest, settings
from services.directory import DataDirectory


def catalogue(file: Path | None, data: Path | None) -> Catalogue:
    """Open the catalogue to read; raises ConfigError, NoCatalogue and NotACatalogue."""
    return Catalogue.open(DataDirectory(settings(file, data).data).catalogue)


def check_provider(opened: Catalogue, name: str) -> None:
    """Refuse a *name* under which no provider is registered."""
    if opened.provider(name) is None:
        names = [one.name for one in opened.providers()]
        raise Refusal(f'there is no provider "{name}"; {nearest(name, names)}', ABSENT)


def check_reached(opened: Catalogue, moment: int | Instant | None, option: str) -> None:
    """Refuse a sequence, the *moment* of *option*, that the catalogue has not come to yet."""
    last = opened.seq()
    if isinstance(moment, int) and moment > last:
        raise Refusal(f"{option}: the catalogue ends at sequence {last}, before {moment}", ABSENT)


def no_model(opened: Catalogue, id: str, provider: str | None) -> Refusal:
    """Return the refusal of an unknown model, with the nearest id where one is near."""
    if provider:
        check_provider(opened, provider)
    of = f" of {provider}" if provider else ""
    wanted = ModelFilter(provider=provider)
    near = close(id, {model.id for model in opened.search(wanted)})
    hint = f'did you mean "{near}"?' if near else "look for it with `modelog models search`"
    return Refusal(f'there is no model "{id}"{of}; {hint}', ABSENT)
