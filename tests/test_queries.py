"""The query service: the answers of the command line, page by page, and a refusal for the rest."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError

from events.queries import LARGEST_REPLY, QUERIES
from events.requests import LARGEST
from events.subjects import FACTS
from projections import database
from projections.catalogue import Catalogue
from projections.reader import TooSlow
from services.clock import Clock
from services.jetstream.server import Server
from services.projector import queries
from services.projector.queries import answering
from services.projector.questions import QUESTIONS
from tests.support.builders import EPOCHS, added, folder, record, stored, told
from tests.support.cli import modelog
from tests.support.logs import ACME, catalogue, tell
from tests.support.nats import connected
from tests.support.processes import spawned
from tests.support.refreshing import configuration
from tests.support.shelf import FACTS as SHELF
from tests.support.shelf import OPERATIONS

pytestmark = pytest.mark.nats

Answer = dict[str, Any]


async def ask(nc: Client, name: str, /, **said: object) -> Answer:
    """Ask a question; a key that is a word of Python has an underscore behind it."""
    request = {key.rstrip("_"): value for key, value in said.items()}
    return await sent(nc, name, msgspec.json.encode(request))


async def sent(nc: Client, name: str, payload: bytes) -> Answer:
    answer = await nc.request(f"rpc.modelog.query.{name}", payload, timeout=20)
    reply: Answer = msgspec.json.decode(answer.data)
    if "error" in reply:
        assert answer.headers is not None
        assert answer.headers["Nats-Service-Error-Code"] == reply["error"]["code"]
    return reply


async def refused(nc: Client, name: str, /, **said: object) -> tuple[str, str]:
    """Ask what is refused; return the code and the message."""
    error = (await ask(nc, name, **said))["error"]
    return error["code"], error["message"]


async def pages(nc: Client, name: str, /, **said: object) -> list[Answer]:
    """Return every page of an answer."""
    found = [await ask(nc, name, **said)]
    while (after := found[-1]["next"]) is not None:
        found.append(await ask(nc, name, **said, after=after))
    return found


def ids(answer: Answer) -> list[str]:
    return [item["id"] for item in answer["items"]]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a catalogue, and neither log nor server."""
    place = tmp_path_factory.mktemp("shelf")
    catalogue(place / ".modelog", SHELF, OPERATIONS)
    return place


@pytest.fixture
async def asked(shelf: Path, nc: Client) -> AsyncIterator[Client]:
    """A connection to a server with a query service over `shelf`."""
    async with answering(nc, shelf / ".modelog" / "catalogue.db", Clock()):
        yield nc


@asynccontextmanager
async def over(nc: Client, path: Path) -> AsyncIterator[Client]:
    async with answering(nc, path, Clock()):
        yield nc


# the same answers as the command line's


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "said", "command"),
    [
        ("models", {}, "models list"),
        ("models", {"provider": "router"}, "models list --provider router"),
        (
            "models",
            {"capability": ["chat", "embeddings"]},
            "models list --capability chat --capability embeddings",
        ),
        (
            "models",
            {"any_capability": ["vision", "embeddings"]},
            "models list --any-capability vision --any-capability embeddings",
        ),
        ("models", {"modality": "image"}, "models list --modality image"),
        ("models", {"min_context": "1M"}, "models list --min-context 1M"),
        ("models", {"max_input_price": 2.2}, "models list --max-input-price 2.2"),
        ("models", {"lifecycle": "deprecated"}, "models list --lifecycle deprecated"),
        ("models", {"availability": "missing"}, "models list --availability missing"),
        ("models", {"text": "gpt"}, "models search gpt"),
        ("models", {"sort": "-price_input"}, "models list --sort -price_input"),
        ("models", {"as_of": "2026-01-15"}, "models list --as-of 2026-01-15"),
        ("models", {"as_of": 3}, "models list --as-of 3"),
        ("history", {"id": "gpt-4.1"}, "models history gpt-4.1"),
        ("diff", {"from": 3}, "models diff --from 3"),
        ("diff", {"from": 0, "to": 9, "provider": "openai"},
         "models diff --from 0 --to 9 --provider openai"),
        ("providers", {}, "providers list"),
        ("providers", {"status": "inactive"}, "providers list --status inactive"),
        ("schedules", {}, "schedules list"),
    ],
)  # fmt: skip
async def test_items_are_what_the_command_line_prints(
    name: str, said: dict[str, Any], command: str, shelf: Path, asked: Client
) -> None:
    answer = await ask(asked, name, **said)
    printed = await asyncio.to_thread(modelog, *command.split(), "--json", cwd=shelf)
    items = answer["items"]
    if "text" in said:  # best first here, there by provider and id, as every list
        items = sorted(items, key=itemgetter("provider", "id"))

    assert items == printed.json
    assert items != []


@pytest.mark.process
async def test_a_model_is_one_item_for_each_that_serves_it(shelf: Path, asked: Client) -> None:
    both = await ask(asked, "model", id="gpt-4.1")
    one = await ask(asked, "model", id="gpt-4.1", provider="router")
    shown = await asyncio.to_thread(
        modelog, "models", "show", "gpt-4.1", "--provider", "router", "--json", cwd=shelf
    )

    assert [item["provider"] for item in both["items"]] == ["openai", "router"]
    assert one["items"] == [shown.json]


async def test_the_totals_stand_beside_the_schedules(asked: Client) -> None:
    answer = await ask(asked, "schedules", limit=1)
    whole = await ask(asked, "schedules")

    assert len(answer["items"]) == 1
    assert answer["totals"] == whole["totals"]
    assert answer["totals"]["schedules"] == len(whole["items"])


async def test_status_tells_what_the_projector_knows(shelf: Path, asked: Client) -> None:
    (item,) = (await ask(asked, "status"))["items"]

    assert item["catalogue"]["file"] == "catalogue.1.db"
    assert item["data"] == str(shelf / ".modelog")
    assert item["streams"][0]["folded"] == len(SHELF)
    assert item["streams"][0]["lag"] is None, "this server has no log"


# what is refused


@pytest.mark.parametrize(
    ("name", "said", "code", "words"),
    [
        ("models", {"colour": "red"}, "invalid", "`colour`"),
        ("models", {"limit": 0}, "invalid", "$.limit"),
        ("models", {"limit": 501}, "invalid", "<= 500"),
        ("models", {"limit": "9"}, "invalid", "$.limit"),
        ("models", {"capability": ["chat", "telepathy"]}, "invalid", "telepathy"),
        ("models", {"any_capability": "telepathy"}, "invalid", "any_capability"),
        ("models", {"modality": "smell"}, "invalid", "modality"),
        ("models", {"lifecycle": "young"}, "invalid", "overdue"),
        ("models", {"availability": "no"}, "invalid", "missing"),
        ("models", {"sort": "colour"}, "invalid", "price_input"),
        ("models", {"min_context": "many"}, "invalid", "128k"),
        ("models", {"min_context": -1}, "invalid", "$.min_context"),
        ("models", {"as_of": "yesterday"}, "invalid", "7d"),
        ("models", {"as_of": -1}, "invalid", "$.as_of"),
        ("models", {"as_of": 2**70}, "invalid", "$.as_of"),
        ("models", {"after": "=== no"}, "invalid", "after"),
        ("models", {"after": "WzEsMl0"}, "invalid", "after"),
        ("providers", {"status": "asleep"}, "invalid", "degraded"),
        ("model", {}, "invalid", "`id`"),
        ("diff", {}, "invalid", "`from`"),
        ("model", {"id": "gpt-5"}, "not_found", "gpt-5"),
        ("model", {"id": "gpt-4.1", "provider": "nobody"}, "not_found", "nobody"),
        ("model", {"id": "gpt-4.1", "as_of": 0}, "not_found", "gpt-4.1"),
        ("history", {"id": "gpt-5"}, "not_found", "gpt-5"),
    ],
)
async def test_what_is_no_question_is_refused(
    name: str, said: dict[str, Any], code: str, words: str, asked: Client
) -> None:
    found, message = await refused(asked, name, **said)

    assert found == code
    assert words in message


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"[]", "invalid"),
        (b"\xff\xfe", "invalid"),
        (b'{"text": "' + b"a" * LARGEST + b'"}', "too_large"),
    ],
)
async def test_what_is_no_request_is_refused(payload: bytes, code: str, asked: Client) -> None:
    assert (await sent(asked, "models", payload))["error"]["code"] == code


async def test_an_empty_request_asks_for_all(asked: Client) -> None:
    assert await sent(asked, "models", b"") == await ask(asked, "models")


async def test_any_text_is_looked_for(asked: Client) -> None:
    for text in ('"', "* OR NEAR(", "\0", "' --", "é" * 300):
        assert "items" in await ask(asked, "models", text=text)


# pages


async def test_pages_join_to_the_whole(asked: Client) -> None:
    for said in ({}, {"sort": "-price_input"}, {"text": "g"}, {"as_of": 9}):
        whole = await ask(asked, "models", **said)
        parts = await pages(asked, "models", **said, limit=2)

        assert [item for part in parts for item in part["items"]] == whole["items"]
        assert whole["next"] is None
        assert {len(part["items"]) for part in parts[:-1]} <= {2}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("history", {"id": "gpt-4.1"}),
        ("diff", {"from": 0}),
        ("providers", {}),
        ("schedules", {}),
        ("model", {"id": "gpt-4.1"}),
    ],
)
async def test_every_list_has_pages(name: str, said: dict[str, Any], asked: Client) -> None:
    whole = await ask(asked, name, **said)
    parts = await pages(asked, name, **said, limit=1)

    assert [item for part in parts for item in part["items"]] == whole["items"]
    assert len(parts) == len(whole["items"]) > 1


async def test_a_cursor_goes_with_its_own_question(asked: Client) -> None:
    after = (await ask(asked, "models", limit=1))["next"]

    assert (await refused(asked, "models", after=after, provider="openai"))[0] == "invalid"
    assert (await refused(asked, "providers", after=after))[0] == "invalid"
    assert "items" in await ask(asked, "models", after=after, limit=3, min_seq=1)


async def test_pages_stand_still_while_the_catalogue_goes_on(nc: Client, tmp_path: Path) -> None:
    """A new row before the cursor repeats nothing; a moment means what it meant at first."""
    path = tmp_path / "catalogue.db"
    first = [fact for id_ in ("b", "c", "d", "e") for fact in added(record(id_))]
    late = [fact for id_ in ("a", "dd") for fact in added(record(id_))]
    with closing(told(path, first)) as generation:
        async with over(nc, path):
            live = await ask(nc, "models", limit=2)
            then = await ask(nc, "models", limit=2, as_of="0s")
            folder(generation.db).fold(FACTS, stored(late, after=len(first)))
            more = await ask(nc, "models", after=live["next"])
            same = await ask(nc, "models", after=then["next"], as_of="0s")

    assert (ids(live), ids(more)) == (["b", "c"], ["d", "dd", "e"])
    assert (ids(then), ids(same)) == (["b", "c"], ["d", "e"])
    assert (live["seq"], more["seq"], same["seq"]) == (4, 6, 4)


async def test_a_page_ends_before_its_message_is_too_large(nc: Client, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    long = [record(f"m{number}", description="d" * 200_000) for number in range(9)]
    told(path, [fact for one in long for fact in added(one)]).close()
    async with over(nc, path):
        raw = await nc.request("rpc.modelog.query.models", b"{}", timeout=10)
        parts = await pages(nc, "models")

    assert len(raw.data) < LARGEST_REPLY
    assert [one for part in parts for one in ids(part)] == [one.id for one in long]
    assert len(parts) > 1


async def test_one_row_that_no_message_holds_is_said_to_be_too_large(
    nc: Client, tmp_path: Path
) -> None:
    path = tmp_path / "catalogue.db"
    told(path, added(record("m", description="d" * LARGEST_REPLY))).close()
    async with over(nc, path):
        assert (await refused(nc, "models"))[0] == "too_large"


# time


async def test_min_seq_waits_for_what_was_just_written(nc: Client, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with closing(told(path, added(record("a")))) as generation:
        async with over(nc, path):
            waiting = asyncio.create_task(ask(nc, "models", min_seq=2))
            other = await ask(nc, "models")  # nobody waits for who waits
            folder(generation.db).fold(FACTS, stored(added(record("b")), after=1))
            answer = await waiting

    assert ids(other) == ["a"]
    assert (answer["seq"], ids(answer)) == (2, ["a", "b"])


async def test_min_seq_is_not_waited_for_without_end(
    asked: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SECONDS", 0.1)

    assert (await refused(asked, "models", min_seq=10**6))[0] == "timeout"


async def test_what_takes_too_long_is_ended(asked: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SECONDS", -1.0)
    monkeypatch.setattr("projections.reader.STEPS", 1)
    code, message = await refused(asked, "models")

    assert code == "timeout"
    assert "ask for less" in message


def test_one_block_is_answered_from_one_state(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with closing(told(path, added(record("a")))) as generation, Catalogue.open(path) as opened:
        with opened.steady(10):
            before = opened.seq()
            folder(generation.db).fold(FACTS, stored(added(record("b")), after=1))

            assert (opened.seq(), len(opened.search())) == (before, 1)
        assert (opened.seq(), len(opened.search())) == (2, 2)


def test_an_endless_question_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    told(path).close()
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    with Catalogue.open(path) as opened:
        with pytest.raises(TooSlow), opened.steady(0.05):
            opened.query(endless)

        assert opened.seq() == 0, "the next one has its own time"
        with pytest.raises(sqlite3.OperationalError, match="disk"), opened.steady(1):
            raise sqlite3.OperationalError("disk I/O error")
        opened.interrupt()


# the service


async def test_it_is_discovered(asked: Client) -> None:
    ping = msgspec.json.decode((await asked.request("$SRV.PING", b"", timeout=5)).data)
    info = msgspec.json.decode((await asked.request("$SRV.INFO.modelog", b"", timeout=5)).data)

    assert ping["name"] == "modelog"
    assert [(one["name"], one["subject"], one["queue_group"]) for one in info["endpoints"]] == [
        (name, f"rpc.modelog.query.{name}", "projector") for name in QUESTIONS
    ]


async def test_its_statistics_count_refusals_and_tell_where_it_is(asked: Client) -> None:
    await ask(asked, "models")
    await refused(asked, "models", limit=0)
    answer = await asked.request("$SRV.STATS.modelog", b"", timeout=5)
    models = msgspec.json.decode(answer.data)["endpoints"][0]

    assert (models["num_requests"], models["num_errors"]) == (2, 1)
    assert models["last_error"].startswith("invalid: ")
    assert models["processing_time"] > 0
    assert models["data"]["checkpoint"][FACTS] == len(SHELF)
    assert models["data"]["epoch"] == EPOCHS
    assert models["data"]["generation"] == 1
    assert set(models["data"]) == {"checkpoint", "epoch", "generation", "lag"}


async def test_several_share_the_questions(nats_server: Server, asked: Client, shelf: Path) -> None:
    """One answer a question, whoever gives it; all of them answer to a ping."""
    path = shelf / ".modelog" / "catalogue.db"
    async with connected(nats_server.url) as other, answering(other, path, Clock()):
        heard = await asked.subscribe(box := asked.new_inbox())
        await asked.publish("rpc.modelog.query.models", b"{}", reply=box)
        await asked.publish("$SRV.PING", b"", reply=box)
        replies = [msgspec.json.decode((await heard.next_msg(timeout=5)).data) for _ in range(3)]
        await asked.flush()

        assert heard.pending_msgs == 0
    assert sum("items" in reply for reply in replies) == 1
    assert len({reply["id"] for reply in replies if "id" in reply}) == 2


async def test_a_service_that_ends_answers_who_waits(nc: Client, shelf: Path) -> None:
    async with answering(nc, shelf / ".modelog" / "catalogue.db", Clock()):
        waiting = asyncio.create_task(ask(nc, "models", min_seq=10**6))
        await ask(nc, "models")

    assert (await waiting)["error"]["code"] == "unavailable"
    with pytest.raises(NoRespondersError):
        await ask(nc, "models")


async def test_too_many_at_once_are_told_to_come_again(
    asked: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "AT_ONCE", 3)
    monkeypatch.setattr(queries, "SECONDS", 0.3)
    replies = await asyncio.gather(*(ask(asked, "models", min_seq=10**6) for _ in range(5)))
    codes = sorted(reply["error"]["code"] for reply in replies)

    assert codes == ["timeout", "timeout", "timeout", "unavailable", "unavailable"]


async def test_answers_come_from_the_generation_that_serves(nc: Client, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    told(path, added(record("old"))).close()
    async with over(nc, path):
        assert ids(await ask(nc, "models")) == ["old"]
        generation = database.create(path, tmp_path / path.readlink())
        folder(generation.db).fold(FACTS, stored(added(record("new"))))

        assert ids(await ask(nc, "models")) == ["old"]
        generation.finish()
        generation.close()

        assert ids(await ask(nc, "models")) == ["new"]


async def test_without_a_catalogue_nothing_hangs(nc: Client, tmp_path: Path) -> None:
    async with over(nc, tmp_path / "catalogue.db"):
        assert (await refused(nc, "models"))[0] == "unavailable"
        assert (await nc.request("$SRV.STATS.modelog", b"", timeout=5)).data


@pytest.mark.process
async def test_the_projector_answers_of_its_own_log(
    nats_server: Server, nc: Client, tmp_path: Path
) -> None:
    await tell(nc)
    (tmp_path / "modelog.toml").write_text(configuration())
    env = {"MODELOG_NATS_URL": nats_server.url}
    async with spawned(tmp_path, "run", "projector", env=env) as projector:
        await projector.line(" ready ")
        answer = await ask(nc, "models", min_seq=sum(len(facts) for _, facts in ACME))
        (row,) = (await ask(nc, "schedules"))["items"]
        (status,) = (await ask(nc, "status"))["items"]

        assert await projector.stop() == 0
    assert ids(answer) == ["gpt-4.1"]
    assert row["next_due_at"] is not None
    assert status["server"] == {"url": nats_server.url}
    assert status["streams"][0]["lag"] == 0


def test_every_question_has_its_request() -> None:
    assert {name: one.kind for name, one in QUESTIONS.items()} == QUERIES
