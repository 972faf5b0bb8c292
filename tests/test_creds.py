"""Credentials for NATS: `.creds` files at a server that trusts JWTs, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.config import load
from services.jetstream.identity import BadCredentials, identity, new_seed, public_key
from services.login import login
from services.settings import Nats
from tests.support.cli import Answer, modelog
from tests.support.nats import Configured, configured
from tests.support.processes import spawned
from tests.support.tokens import Operator

TEXT = "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n"
SEED = "-----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n"


@pytest.fixture(scope="module")
def operator() -> Operator:
    return Operator()


@pytest.fixture(scope="module")
def server(operator: Operator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    with configured(tmp_path_factory.mktemp("trusting"), operator.configuration()) as server:
        yield server


def settled(folder: Path, server: Configured, credentials: str, reference: str = "file") -> str:
    """Write a configuration, and return the secret in it."""
    (folder / "role.creds").write_text(credentials)
    told = {"file": '{ file = "role.creds" }', "env": '{ env = "CREDS" }'}[reference]
    (folder / "modelog.toml").write_text(
        f'providers = []\n[nats]\nurl = "{server.url}"\ncredentials = {told}\n'
        "[enrichment]\nsources = []\n"
    )
    return credentials.rsplit("NKEY SEED-----\n", maxsplit=1)[-1].split(maxsplit=1)[0]


@pytest.mark.nats
@pytest.mark.process
async def test_a_process_and_its_commands_work_with_a_creds_file(
    tmp_path: Path, server: Configured, operator: Operator
) -> None:
    seed = settled(tmp_path, server, operator.credentials())
    made = modelog("init", cwd=tmp_path)
    async with spawned(tmp_path, "run", "refresher") as refresher:
        await refresher.line(" ready ")
        answer = modelog("providers", "refresh", "nobody", cwd=tmp_path)
        assert await refresher.stop() == 0

    assert made.code == 0, made.err
    assert (answer.code, "nobody" in answer.err) == (3, True)  # the refresher has answered
    token = (tmp_path / "role.creds").read_text().splitlines()[1]
    for told in (made.out, made.err, refresher.text, answer.out, answer.err):
        assert seed not in told
        assert token not in told


@pytest.mark.nats
@pytest.mark.process
@pytest.mark.parametrize("value", ["role.creds", "{text}"], ids=["its path", "its text"])
def test_a_variable_holds_the_text_or_the_path(
    tmp_path: Path, server: Configured, operator: Operator, value: str
) -> None:
    text = operator.credentials()
    settled(tmp_path, server, text, "env")
    answer = modelog("init", cwd=tmp_path, env={"CREDS": value.replace("{text}", text)})

    assert answer.code == 0, answer.err


@pytest.mark.nats
@pytest.mark.process
@pytest.mark.chaos
async def test_credentials_of_another_operator_are_refused_in_one_line(
    tmp_path: Path, server: Configured
) -> None:
    seed = settled(tmp_path, server, Operator().credentials())
    answers = [modelog("init", cwd=tmp_path)]
    async with spawned(tmp_path, "run", "refresher") as refresher:
        answers.append(Answer(await refresher.ended(20), "", refresher.text))

    for answer, role in zip(answers, ("admin", "refresher"), strict=True):
        assert answer.code == 4
        assert f"refuses the role {role} ('Authorization Violation')" in answer.err
        assert "correct `credentials` in [nats]" in answer.err
        assert seed not in answer.err
        assert "Traceback" not in answer.err


@pytest.mark.nats
@pytest.mark.process
async def test_a_user_who_may_too_little_ends_its_process_with_what_was_denied(
    tmp_path: Path, server: Configured, operator: Operator
) -> None:
    settled(tmp_path, server, operator.credentials())
    assert modelog("init", cwd=tmp_path).code == 0
    little = {"pub": ["$JS.API.>", "audit.>"], "sub": ["_INBOX_refresher.>", "rpc.>"]}
    settled(tmp_path, server, operator.credentials(**little))
    async with spawned(tmp_path, "run", "refresher") as refresher:
        code = await refresher.ended(20)

    assert code != 0
    assert 'permissions violation for subscription to "modelog.' in refresher.text.lower()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no-such-file.creds", "nor the path of one that can be read"),
        ("hush hush", "nor the path of one that can be read"),
        (TEXT.format("a.b.c"), "here one is missing"),
        (SEED.format("SUAHUSH"), "here one is missing"),
        (TEXT.format("a.b.c") + SEED.format("SUAHUSH"), "the NKey seed is damaged"),
        (TEXT.format("a.b.c") + SEED.format("häh"), "the NKey seed is damaged"),
    ],
    ids=["no file", "a password", "no seed", "no token", "short", "no text"],
)
def test_what_are_no_credentials_is_told_without_showing_them(text: str, told: str) -> None:
    with pytest.raises(BadCredentials, match=told) as raised:
        identity(text)

    assert "HUSH" not in str(raised.value).upper()


def test_a_file_without_a_token_is_refused_and_not_read_for_ever(tmp_path: Path) -> None:
    (tmp_path / "any.txt").write_text("nothing of the kind\n")

    with pytest.raises(BadCredentials, match="here one is missing"):
        identity(str(tmp_path / "any.txt"))


def test_a_seed_is_taken_as_a_text_and_from_a_file(tmp_path: Path) -> None:
    seed = new_seed()
    (tmp_path / "role.nk").write_text(f"{seed}\n")

    assert identity(seed) == identity(str(tmp_path / "role.nk")) == {"nkeys_seed_str": seed}
    assert public_key(seed).startswith("U")
    assert identity(None) == {}


def test_bad_credentials_end_a_command_with_2(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_text(
        '[nats]\nurl = "nats://127.0.0.1:1"\ncredentials = { env = "CREDS" }\n'
    )
    answer = modelog("init", cwd=tmp_path, env={"CREDS": "hush"})

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("credentials for NATS: neither the text")
    assert "hush" not in answer.err


async def test_the_name_of_the_role_stands_where_the_reference_says(tmp_path: Path) -> None:
    for role in ("reader", "health-monitor"):
        (tmp_path / f"{role}.nk").write_text(f"key of {role}\n")
    by_file = Nats(credentials={"file": f"{tmp_path}/{{role}}.nk"})
    by_command = Nats(credentials={"command": ["echo", "key of {role}"]})

    for settings in (by_file, by_command):
        assert await login(settings, "health-monitor") == "key of health-monitor"
        assert await login(settings, "reader") == "key of reader"
    assert await login(Nats(), "reader") is None


def test_the_configuration_takes_a_path_with_the_role_in_it(tmp_path: Path) -> None:
    file = tmp_path / "modelog.toml"
    file.write_text('[nats]\ncredentials = { file = "/keys/{role}.nk" }\n')

    assert load(file, environ={}, cwd=tmp_path).nats.credentials == {"file": "/keys/{role}.nk"}
