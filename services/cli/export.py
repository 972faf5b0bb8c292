"""Export: the catalogue in the form that other tools read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from projections import Catalogue, ModelFilter
from projections.export import Vendor, as_csv, as_json, litellm, models_dev, openai
from projections.rows import Model
from services.cli.catalogue import catalogue, check_provider, check_reached
from services.cli.failures import FAILED, Refusal
from services.cli.options import AsOf, ConfigFile, DataDir, Provider, when, word
from services.cli.output import clean, escaped, is_terminal, note, write
from services.cli.sentences import counted
from services.providers.vendors import Registered, known

Shape = Literal["openai", "litellm", "models.dev", "csv", "json"]
SHAPES: tuple[Shape, ...] = ("openai", "litellm", "models.dev", "csv", "json")


def export(
    shape: Annotated[str, typer.Argument(metavar="SHAPE", help=f"One of {', '.join(SHAPES)}.")],
    *,
    provider: Provider = None,
    as_of: AsOf = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; else stdout.")
    ] = None,
    config: ConfigFile = None,
    data: DataDir = None,
) -> None:
    """Print the catalogue in the form other tools read.

    openai: the body of /v1/models; an id that several providers serve is provider/id. litellm: as
    its model_prices_and_context_window.json. models.dev: as its api.json. csv and json: the columns
    of `models list --json`. What is unknown is left out where the form allows it.
    """
    word(shape, SHAPES, "form")
    moment = when(as_of, "--as-of")
    with catalogue(config, data) as opened:
        check_reached(opened, moment, "--as-of")
        if provider and moment is None:
            check_provider(opened, provider)
        vendors = _vendors(opened)
        count = 0

        def models() -> Iterator[Model]:
            nonlocal count
            for _, model in opened.placed(ModelFilter(provider=provider), as_of=moment):
                count += 1
                yield model

        shown = output is None and is_terminal()
        pieces = _pieces(shape, models(), vendors, shown)
        if output is None:
            for piece in pieces:
                write(escaped(piece) if shape != "csv" else piece)
            return
        _save(output, pieces)
    note(f"{counted(count, 'model')} in {output}")


def _pieces(
    shape: str, models: Iterable[Model], vendors: dict[str, Vendor], shown: bool
) -> Iterator[str]:
    match shape:
        case "openai":
            return openai(models)
        case "litellm":
            return litellm(models, vendors)
        case "models.dev":
            return models_dev(models, vendors)
        case "csv":
            return as_csv(models, clean if shown else str)
        case _:
            return as_json(models)


def _vendors(opened: Catalogue) -> dict[str, Vendor]:
    """Return what other tools call the providers that are registered now."""
    registered = [
        Registered(
            one.name,
            one.base_url,
            (opened.settings(one.name).get("credential") or {}).get("env"),
        )
        for one in opened.providers()
    ]
    return {name: Vendor(*row) for name, row in known(registered).items()}


def _save(path: Path, pieces: Iterator[str]) -> None:
    """Write all *pieces* to *path*, or nothing: who reads it never sees half of them."""
    if path.exists() and not path.is_file():  # a pipe, a device: nothing to replace
        with path.open("w", encoding="utf-8", newline="") as sink:
            sink.writelines(pieces)
        return
    if not path.parent.is_dir():
        raise Refusal(
            f"--output: {path.parent} is no directory; create it, or name another", FAILED
        )
    fresh = path.with_name(f".{path.name}.part")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as sink:
            sink.writelines(pieces)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
