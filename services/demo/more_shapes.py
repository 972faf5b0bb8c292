"""What surrounds the rows in the dialects that the demo does not play: for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from services.demo.exchange import Answer, Asked, in_json
from services.demo.rows import Row
from services.demo.shapes import Listing, Shape, bearer, number, refusal

Listed = Callable[[Asked, Listing], Answer]


def keyed(name: str, **others: object) -> Listed:
    """Answer with an object that holds the rows under *name*, and *others* beside them."""
    return lambda _, listing: in_json({**others, name: list(listing.rows)})


def bare(_: Asked, listing: Listing) -> Answer:
    """Answer with the rows alone."""
    return in_json(list(listing.rows))


def one(_: Asked, listing: Listing) -> Answer:
    """Answer with the first row itself: a server of one model."""
    return in_json(listing.rows[0]) if listing.rows else refusal(503, "unavailable", "no model")


def nothing(_: Asked, __: Listing) -> Answer:
    """Answer a request beside the list with an empty object."""
    return in_json({})


def tokens(  # noqa: PLR0913, PLR0917 - a parameter each of the paging
    rows: str,
    token: str,
    following: str,
    size: str | None = None,
    default: int = 100,
    most: int = 1000,
    total: str | None = None,
) -> Listed:
    """Answer with pages by an opaque token.

    *token* is the parameter that asks for the next page, *size* the one that says how many rows it
    has: *default* unasked, *most* at most. *following* is the key of the next page's token, *total*
    that of the count.
    """

    def listed(asked: Asked, listing: Listing) -> Answer:
        wanted = number(asked.one(size), default) if size else default
        start = number(asked.one(token), 0)
        if not wanted or start is None or start > len(listing.rows):
            return refusal(400, "invalid_argument", f"bad {size} or {token}")
        end = start + min(wanted, most, listing.page_size or wanted)
        document: dict[str, Any] = {rows: list(listing.rows[start:end])}
        if end < len(listing.rows):
            document[following] = str(end)
        if total is not None:
            document[total] = len(listing.rows)
        return in_json(document)

    return listed


def linked(rows: str, link: str) -> Listed:
    """Answer with pages that hold the whole URL of the next one under *link*."""

    def listed(asked: Asked, listing: Listing) -> Answer:
        start = number(asked.one("skip"), 0) or 0
        end = start + (listing.page_size or max(1, len(listing.rows)))
        onward = None
        if end < len(listing.rows):
            kept = {name: value for name, value in asked.query.items() if name != "skip"}
            query = urlencode({**kept, "skip": end}, doseq=True)
            onward = f"http://{asked.headers.get('host', '')}{asked.path}?{query}"
        return in_json({rows: list(listing.rows[start:end]), link: onward})

    return listed


def _page(asked: Asked, rows: Sequence[Row], page: str, size: str, most: int) -> tuple[int, int]:
    """Return which page is asked for, and how many rows it has."""
    wanted = number(asked.one(size), most) or most
    return number(asked.one(page), 1) or 1, max(1, min(wanted, most, len(rows) or 1))


def _cloudflare(asked: Asked, listing: Listing) -> Answer:
    page, size = _page(asked, listing.rows, "page", "per_page", listing.page_size or 100)
    rows = listing.rows[(page - 1) * size : page * size]
    total = len(listing.rows)
    info = {"page": page, "per_page": size, "count": len(rows), "total_count": total}
    pages = -(-total // size)
    return in_json(
        {
            "success": True,
            "errors": [],
            "messages": [],
            "result": rows,
            "result_info": {**info, "total_pages": pages},
        }
    )


def _dashscope(asked: Asked, listing: Listing) -> Answer:
    page, size = _page(asked, listing.rows, "page_no", "page_size", listing.page_size or 100)
    rows = listing.rows[(page - 1) * size : page * size]
    output = {"total": len(listing.rows), "page_no": page, "page_size": size, "models": rows}
    return in_json({"success": True, "request_id": "r", "output": output})


def _header(name: str) -> Callable[[Asked], str | None]:
    return lambda asked: asked.headers.get(name)


XAI_KINDS = ("language", "image-generation", "video-generation")
_VERTEX = tokens("publisherModels", "pageToken", "nextPageToken", "pageSize")


def _none(rows: str) -> Listed:
    return lambda _, __: in_json({rows: []})


MORE: dict[str, Shape] = {
    "openrouter_provider": Shape("/v1", "/models", "id", keyed("data"), bearer),
    "together": Shape("/v1", "/models", "id", bare, bearer),
    "together_catalog": Shape(
        "/v2", "/supported-models", "id", tokens("data", "after", "next_cursor"), bearer
    ),
    "fireworks": Shape(
        "/v1",
        "/accounts/fireworks/models",
        "name",
        tokens("models", "pageToken", "nextPageToken", "pageSize", 50, 200, "totalSize"),
        bearer,
    ),
    "cohere": Shape(
        "",
        "/v1/models",
        "name",
        tokens("models", "page_token", "next_page_token", "page_size", 20),
        bearer,
    ),
    "xai": Shape(
        "/v1",
        "/models",
        "id",
        keyed("data", object="list"),
        bearer,
        {f"/{kind}-models": _none("models") for kind in XAI_KINDS},
        "GET",
    ),
    "deepinfra": Shape("/v1/openai", "/models", "id", keyed("data", object="list"), bearer),
    "novita": Shape("/v3/openai", "/models", "id", keyed("data"), bearer),
    "huggingface": Shape("/v1", "/models", "id", keyed("data", object="list"), bearer),
    "vercel": Shape("/v1", "/models", "id", keyed("data", object="list"), bearer),
    "venice": Shape("/api/v1", "/models", "id", keyed("data", object="list"), bearer),
    "bedrock": Shape(
        "",
        "/foundation-models",
        "modelId",
        keyed("modelSummaries"),
        bearer,
        {"/inference-profiles": _none("inferenceProfileSummaries")},
        "GET",
    ),
    "azure": Shape("", "/openai/models", "id", keyed("data", object="list"), _header("api-key")),
    "azure_management": Shape(
        "",
        "/subscriptions/s/providers/Microsoft.CognitiveServices/locations/l/models",
        "model",
        linked("value", "nextLink"),
        bearer,
    ),
    "cloudflare": Shape("/client/v4", "/accounts/a/ai/models/search", "name", _cloudflare, bearer),
    "replicate": Shape(
        "/v1", "/collections/official", "name", keyed("models", slug="official"), bearer
    ),
    "dashscope": Shape("/api/v1", "/models", "model", _dashscope, bearer),
    "github_models": Shape("/catalog", "/models", "id", bare, bearer),
    "elevenlabs": Shape("", "/v1/models", "model_id", bare, _header("xi-api-key")),
    "lmstudio": Shape("", "/api/v1/models", "key", keyed("models"), bearer),
    "llamacpp": Shape(
        "", "/v1/models", "id", keyed("data", object="list"), bearer, {"/props": nothing}, "GET"
    ),
    "tgi": Shape("", "/info", "model_id", one, bearer),
    "litellm": Shape("", "/v1/model/info", "model_name", keyed("data"), bearer),
    "vertex": Shape("/v1beta1", "/publishers/google/models", "name", _VERTEX, bearer),
}
"""Every other dialect by its name, as its provider's own server speaks it."""
