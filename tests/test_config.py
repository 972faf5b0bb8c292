from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import decode as decode_json
from msgspec.json import encode as encode_json

from events.codec import decode, encode
from events.decide.providers import Settings, evolve, register
from services.config import (
    Config,
    ConfigError,
    Schedule,
    format_duration,
    load,
    parse_duration,
    provider_of,
)
from services.effective import describe, table_of
from services.health_settings import HEALTH, Health
from services.leaves import quoted
from services.notice_settings import NOTIFY
from services.provider_settings import PROVIDER
from services.providers import DIALECTS
from services.providers.table import BUILTIN, Builtin
from services.sections import ENRICHMENT, NATS, REFRESH, ROOT

CONTRACT = """
data = ".modelog"
[nats]
url = "nats://127.0.0.1:4222"
monitor_url = "http://127.0.0.1:8222"
credentials = { file = "/run/secrets/nats.creds" }
replicas = 1
audit_max_age = "400d"
[refresh]
interval = "5m"
timeout = "30s"
max_concurrency = 5
attempts = 3
base_delay = "1s"
max_delay = "30s"
multiplier = 2.0
retry_on = ["connect", "timeout", "dns", "server", "overloaded", "rate_limited"]
max_response_bytes = 16777216
removal_scans = 3
removal_hold = "24h"
shrink_guard = 0.2
[health]
enabled = true
interval = "60s"
timeout = "10s"
failure_threshold = 3
recovery_threshold = 2
unhealthy_threshold = 0.5
[enrichment]
sources = ["models.dev"]
url = "https://models.dev/api.json"
interval = "24h"
[[providers]]
name = "openai"
dialect = "openai"
base_url = "https://api.openai.com/v1"
api_key = { env = "OPENAI_API_KEY" }
credentials = { access_key_id = { env = "AWS_ACCESS_KEY_ID" } }
options = { region = "us-east-1" }
enabled = true
priority = 0
headers = { }
refresh = { interval = "10m" }
health = { endpoints = ["/health"] }
"""

BASE_URL = 'base_url = "https://acme.example/v1"\n'
ACME = '[[providers]]\nname = "acme"\ndialect = "openai"\nbase_url = "https://acme.example/v1"\n'


def configured(text: str, folder: Path, **environ: str) -> Config:
    file = folder / "modelog.toml"
    file.write_text(text)
    return load(file, environ=environ, cwd=folder)


def errors(text: str, folder: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        configured(text, folder, **environ)
    assert str(caught.value).splitlines() == caught.value.errors
    return caught.value.errors


def test_everything_that_the_contract_shows_is_accepted(tmp_path: Path) -> None:
    config = configured(CONTRACT, tmp_path)
    provider = config.providers[0]

    assert config.data == tmp_path / ".modelog"
    assert config.nats.audit_max_age == 400 * 86_400
    assert config.nats.credentials == {"file": "/run/secrets/nats.creds"}
    assert config.refresh.removal_hold == 86_400
    assert Schedule.from_settings(provider).interval == 600
    assert Schedule.from_settings(provider).timeout == 30
    assert provider.credential == {"env": "OPENAI_API_KEY"}
    assert provider.health["endpoints"] == ["/health"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dat = 1", 'dat: unknown key; did you mean "data"?'),
        ("data = 3", "data: 3 is no text"),
        ("data = ''", 'data: "" is no text'),
        ('providers = "x"', 'providers: "x" is no list'),
        ("[nats]\nurl = 'http://x'", 'nats.url: "http://x" is no address; nats://'),
        ("[nats]\nurl = 'nats://u:hush@x'", "nats.url: an address must not hold a password"),
        ("[nats]\nreplicas = 0", "nats.replicas: 0 is not a whole number from 1 to 5"),
        ("[nats]\naudit_max_age = '1m'", 'nats.audit_max_age: "1m" is too short'),
        ("[nats]\ncredentials = 'hush'", "nats.credentials: *** is a literal"),
        ("[refresh]\ninterval = 'sixty'", '"sixty" is no duration; write "30s", "5m" or "1h30m"'),
        ("[refresh]\ninterval = 300", "refresh.interval: 300 is no duration"),
        ("[refresh]\ninterval = '500ms'", 'refresh.interval: "500ms" is too short; at least "1s"'),
        ("[refresh]\ntimeout = '10m'", 'refresh.timeout: "10m" does not fit'),
        (
            "[refresh]\nbase_delay = '1m'\nmax_delay = '1s'",
            "max_delay must be at least base_delay (max_delay 1s, base_delay 1m)",
        ),
        ("[refresh]\nmax_concurrency = 0", "refresh.max_concurrency: 0 is not a whole number"),
        ("[refresh]\nattempts = true", "refresh.attempts: true is not a whole number"),
        ("[refresh]\nmultiplier = 0.5", "refresh.multiplier: 0.5 is not a number at least 1"),
        ("[refresh]\nmultiplier = nan", "refresh.multiplier: nan is not a number"),
        ("[refresh]\nretry_on = ['conect']", 'did you mean "connect"?'),
        ("[refresh]\nretry_on = 'connect'", "is no list; allowed in it: connect"),
        ("[refresh]\nmax_response_bytes = 1", "refresh.max_response_bytes: 1 is not"),
        ("[refresh]\nremoval_scans = 0", "refresh.removal_scans: 0 is not"),
        ("[refresh]\nremoval_hold = 'x'", 'refresh.removal_hold: "x" is no duration'),
        ("[refresh]\nshrink_guard = 0", "refresh.shrink_guard: 0 is not a number above 0"),
        ("[refresh]\nshrink_guard = 2", "refresh.shrink_guard: 2 is not a number above 0"),
        ("[health]\ninterval = '5s'", 'health.interval: "5s" is too short; at least "10s"'),
        ("[health]\nenabled = 'yes'", 'health.enabled: "yes" is neither true nor false'),
        ("[health]\nfailure_threshold = 0", "health.failure_threshold: 0 is not"),
        ("[health]\nunhealthy_threshold = 0", "health.unhealthy_threshold: 0 is not"),
        ("[health]\nfailure_treshold = 3", 'did you mean "failure_threshold"?'),
        ("[enrichment]\nsources = ['model.dev']", 'did you mean "models.dev"?'),
        ("[enrichment]\nurl = 'ftp://x'", "enrichment.url"),
        ("[[providers]]\ndialect = 'openai'", "providers[1]: name: missing"),
        ("[[providers]]\nname = 'All'", 'providers[1] "All": name: "All" is no name'),
        ("[[providers]]\nname = 'all'", '"all" is reserved'),
        ("[[providers]]\nname = 3", "providers[1]: name: 3 is no name"),
        ("[[providers]]\nname = 'opnai'", 'is not built in (did you mean "openai"?)'),
        ("[[providers]]\nname = 'acme'\ndialect = 'openai'", "base_url: missing"),
        (ACME.replace('t = "openai"', 't = "opnai"'), 'dialect: "opnai" is unknown; did you mean'),
        (ACME + "base_ul = 'x'", 'base_ul: unknown key; did you mean "base_url"?'),
        (ACME + "api_key = 'sk-hush'", "api_key: *** is a literal; a secret is a reference"),
        (ACME + "api_key = { nev = 'X' }", "api_key: no reference to a secret"),
        (ACME + "credentials = { a = 'hush' }", "credentials.a: *** is a literal"),
        (ACME + "headers = { Authorization = 'hush' }", "headers.Authorization: *** is a literal"),
        (ACME + "options = 3", "options: *** is no table"),
        (ACME + "enabled = 1", "enabled: 1 is neither true nor false"),
        (ACME + "priority = 'high'", 'priority: "high" is not a whole number from -9 to 9'),
        (ACME + "refresh = { interval = 'x' }", 'refresh.interval: "x" is no duration'),
        (ACME + "refresh = { intervall = '1m' }", 'did you mean "interval"?'),
        (ACME + "health = { interval = '1s' }", 'health.interval: "1s" is too short'),
        (ACME + ACME, "name: used by providers[1] already"),
        ("[[providers]]\nname = 'bedrock'", "options.region: missing"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_value_and_the_way_out(
    text: str, says: str, tmp_path: Path
) -> None:
    found = errors(text, tmp_path)

    assert len(found) == 1
    assert found[0].startswith("modelog.toml: ")
    assert says in found[0]
    assert "hush" not in found[0]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("api_key = 'hush'", "api_key"),
        ("api_key = ['hush']", "api_key"),
        ("api_key = { value = 'hush' }", "api_key"),
        ("api_key = { env = 'hush-hush' }", "api_key"),
        ("credentials = 'hush'", "credentials"),
        ("credentials = { secret_access_key = 'hush' }", "credentials.secret_access_key"),
        ("headers = 'hush'", "headers"),
        ("options = 'hush'", "options"),
        ("options = { project = { key = 'hush' } }", "options.project"),
        ("refresh = [{ key = 'hush' }]", "refresh"),
        ("headers = { X-Api-Key = 'hush' }", "headers.X-Api-Key"),
        ("headers = { cookie = 'hush' }", "headers.cookie"),
        ("headers = { other = 'Bearer hush' }", "headers.other"),
        ("base_url = 'https://me:hush@acme.example'", "base_url"),
        ("base_url = 'https://me:hush@acme.example:99999'", "base_url"),
        ("base_url = 'https://acme.example/v1?key=hush'", "base_url"),
        ("base_url = 'https://acme.example/v1#hush'", "base_url"),
    ],
)
def test_what_may_be_a_secret_is_refused_and_not_shown(line: str, key: str, tmp_path: Path) -> None:
    text = "".join(one for one in ACME.splitlines(keepends=True) if "base_url" not in one)
    found = errors(text + ("" if "base_url" in line else BASE_URL) + line, tmp_path)

    assert len(found) == 1
    assert found[0].startswith(f'modelog.toml: providers[1] "acme": {key}: ')
    assert "hush" not in found[0]


@pytest.mark.parametrize("name", ["providers", "data", "nats"])
def test_a_secret_in_a_table_of_the_wrong_kind_is_not_shown(name: str, tmp_path: Path) -> None:
    table = f"[{name}]" if name != "nats" else "[[nats]]"
    (found,) = errors(f'{table}\napi_key = "hush"\n', tmp_path)

    assert found.startswith(f"modelog.toml: {name}: ")
    assert "hush" not in found


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('options = { projekt = "x" }', 'options.projekt: unknown; did you mean "project"?'),
        (
            'credentials = { acces_token = { env = "X" } }',
            'credentials.acces_token: unknown; did you mean "access_token"?',
        ),
    ],
    ids=["an option", "a credential"],
)
def test_what_nothing_would_read_is_refused(line: str, says: str, tmp_path: Path) -> None:
    found = errors(f'[[providers]]\nname = "openai"\n{line}\n', tmp_path)

    assert found == [f'modelog.toml: providers[1] "openai": {says}']


def test_an_option_of_one_s_own_address_is_known(tmp_path: Path) -> None:
    text = ACME.replace("https://acme.example/v1", "https://acme.example/{team}")
    settings = configured(f'{text}options = {{ team = "red" }}\n', tmp_path).providers[0]

    assert settings.base_url == "https://acme.example/red"


@pytest.mark.parametrize(
    "url",
    [
        "acme.example",
        "https://",
        "ftp://acme.example",
        "https://acme example",
        "https://acme.example:99999",
        "https://acme.example:0",
        "https://a.example,https://b.example",
        "https://[::1",
        "https://acme.example/{Zone}",
    ],
)
def test_an_address_without_a_plain_host_is_refused(url: str, tmp_path: Path) -> None:
    found = errors(ACME.replace("https://acme.example/v1", url), tmp_path)

    assert len(found) == 1
    assert found[0].startswith(f'modelog.toml: providers[1] "acme": base_url: "{url}"')


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.example/v1/",
        "http://127.0.0.1:1",
        "http://[::1]:1/v1",
        "https://bücher.example",
    ],
)
def test_an_address_loses_its_last_slash_and_no_more(url: str, tmp_path: Path) -> None:
    config = configured(ACME.replace("https://acme.example/v1", url), tmp_path)

    assert config.providers[0].base_url == url.rstrip("/")


def test_several_servers_of_one_cluster_can_be_named(tmp_path: Path) -> None:
    url = "nats://one:4222,nats://two:4222"

    assert configured(f'[nats]\nurl = "{url}"', tmp_path).nats.url == url
    assert errors('[nats]\nurl = "nats://one,nats://u:hush@two"', tmp_path) == [
        "modelog.toml: nats.url: an address must not hold a password; use a reference to a secret"
    ]


def test_every_mistake_of_a_provider_is_told_at_once(tmp_path: Path) -> None:
    text = """
[[providers]]
name = "azure-management"
priority = "high"
credentials = { tenant_id = "a", client_id = "b" }
refresh = { retry_on = ["conect", "dnss"], timeout = "1h" }
[[providers]]
name = "azure-management"
enabled = 1
options = { subscription = "s", location = 1979-05-27 }
"""
    places = [line.split(": ")[1:3] for line in errors(text, tmp_path)]

    assert places == [
        ['providers[1] "azure-management"', place]
        for place in (
            "priority",
            "credentials.tenant_id",
            "credentials.client_id",
            "refresh.retry_on[1]",
            "refresh.retry_on[2]",
            "refresh.timeout",
            "options.subscription",
            "options.location",
        )
    ] + [
        ['providers[2] "azure-management"', place]
        for place in ("enabled", "options.location", "name")
    ]


@pytest.mark.parametrize("text", ["a", '"\\\n', "\x1b[31m", "\U000d8000", "é"])
def test_a_text_is_quoted_as_toml_reads_it(text: str) -> None:
    assert tomllib.loads(f"a = {quoted(text)}") == {"a": text}
    assert quoted(text).isprintable()


def test_what_was_refused_is_not_missing(tmp_path: Path) -> None:
    text = "[[providers]]\nname = 'acme'\ndialect = 'openai'\nbase_url = 'acme'\n"

    assert len(errors(text, tmp_path)) == 1


def test_every_mistake_is_told_at_once_a_line_each(tmp_path: Path) -> None:
    found = errors(
        "dat = 1\n[refresh]\ninterval = 'sixty'\nattempts = 0\n" + ACME + "enabled = 1", tmp_path
    )

    assert [line.split(": ")[1] for line in found] == [
        "dat",
        "refresh.interval",
        "refresh.attempts",
        'providers[1] "acme"',
    ]


@pytest.mark.parametrize(
    "text",
    ["not toml", "a = \n", "[nats\n", "a = " + "9" * 5000, "a = " + "[" * 5000],
    ids=["words", "no value", "no end", "too many digits", "too deep"],
)
def test_a_file_that_is_no_toml_is_named(text: str, tmp_path: Path) -> None:
    assert errors(text, tmp_path)[0].startswith("modelog.toml: no TOML: ")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "modelog.toml").write_bytes(b"data = '\xff'")
    with pytest.raises(ConfigError, match="no TOML: not UTF-8"):
        load(None, environ={}, cwd=tmp_path)


def test_the_file_is_the_named_one_else_the_variable_s_else_the_usual_one(tmp_path: Path) -> None:
    for name in ("named", "variable", "modelog"):
        (tmp_path / f"{name}.toml").write_text(f'data = "{name}"\n')
    environ = {"MODELOG_CONFIG": "variable.toml"}
    found = [
        load(Path("named.toml"), environ=environ, cwd=tmp_path),
        load(None, environ=environ, cwd=tmp_path),
        load(None, environ={}, cwd=tmp_path),
    ]

    assert [one.data.name for one in found] == ["named", "variable", "modelog"]
    assert [one.source for one in found] == [tmp_path / f"{one.data.name}.toml" for one in found]


def test_a_home_that_nobody_has_is_a_name_like_others(tmp_path: Path) -> None:
    config = load(Path("/dev/null"), data=Path("~nobody-of-that-name"), environ={}, cwd=tmp_path)

    assert config.data == tmp_path / "~nobody-of-that-name"


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: No such file"):
        load(None, environ={"MODELOG_CONFIG": "gone.toml"}, cwd=tmp_path)


def test_without_a_file_those_serve_whose_keys_are_there(tmp_path: Path) -> None:
    environ = {
        "ANTHROPIC_API_KEY": "k",
        "GEMINI_API_KEY": "",
        "GOOGLE_API_KEY": "k",
        "CLOUDFLARE_API_TOKEN": "k",
        "GITHUB_TOKEN": "k",
    }
    providers = {one.name: one for one in load(None, environ=environ, cwd=tmp_path).providers}

    assert sorted(providers) == ["anthropic", "gemini", "ollama", "openrouter"]
    assert providers["gemini"].credential == {"env": "GOOGLE_API_KEY"}
    assert providers["openrouter"].credential == {"env": "OPENROUTER_API_KEY"}
    assert providers["ollama"].credential is None


def test_an_option_comes_from_the_environment_where_the_file_is_silent(tmp_path: Path) -> None:
    text = "[[providers]]\nname = 'bedrock'\n"
    told = configured(text, tmp_path, AWS_REGION="eu-west-1").providers[0]
    written = configured(
        text + "options = { region = 'us-east-1' }", tmp_path, AWS_REGION="eu-west-1"
    ).providers[0]

    assert told.base_url == "https://bedrock.eu-west-1.amazonaws.com"
    assert written.base_url == "https://bedrock.us-east-1.amazonaws.com"


def test_an_address_of_its_own_needs_no_resource(tmp_path: Path) -> None:
    """Issue 2: `azure` is the only row whose address may come from the environment whole."""
    environ = {
        "AZURE_OPENAI_API_KEY": "k",
        "AZURE_OPENAI_ENDPOINT": "https://mine.example/",
    }
    told = {one.name: one for one in load(None, environ=environ, cwd=tmp_path).providers}["azure"]
    written = configured("[[providers]]\nname='azure'\nbase_url='https://x.example'", tmp_path)

    assert told.base_url == "https://mine.example"
    assert written.providers[0].base_url == "https://x.example"
    assert "options.resource: missing" in errors("[[providers]]\nname = 'azure'", tmp_path)[0]


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("azure_management", ["subscription", "location"]),
        ("bedrock", ["region"]),
        ("cloudflare", ["account"]),
        ("vertex", ["project", "location"]),
    ],
)
def test_a_dialect_needs_its_options_under_any_name(
    dialect: str, options: list[str], tmp_path: Path
) -> None:
    text = ACME.replace('dialect = "openai"', f'dialect = "{dialect}"')
    found = errors(text, tmp_path)
    given_ = ", ".join(f'{name} = "x"' for name in options)

    assert [line.split(": ")[2] for line in found] == [f"options.{name}" for name in options]
    assert configured(f"{text}options = {{ {given_} }}\n", tmp_path).providers


def test_an_option_fills_an_address_percent_encoded(tmp_path: Path) -> None:
    text = ACME.replace("/v1", "/{zone}/v1")
    filled = configured(text + 'options = { zone = "a/b c" }', tmp_path)

    assert filled.providers[0].base_url == "https://acme.example/a%2Fb%20c/v1"
    assert 'options.zone: missing; write options = { zone = "…" }' in errors(text, tmp_path)[0]


@pytest.mark.parametrize("row", BUILTIN.values(), ids=BUILTIN)
def test_a_built_in_provider_needs_its_name_and_its_options(row: Builtin, tmp_path: Path) -> None:
    needed = [one.name for one in row.options if one.needed]
    options = ", ".join(f'{name} = "x"' for name in needed)
    text = f'[[providers]]\nname = "{row.name}"\noptions = {{ {options} }}\n'
    settings = configured(text, tmp_path).providers[0]

    assert settings.dialect == row.dialect
    assert settings.credential == ({"env": row.keys[0]} if row.keys else None)
    assert "{" not in settings.base_url
    assert DIALECTS[row.dialect].first(settings)


@pytest.mark.parametrize("row", BUILTIN.values(), ids=BUILTIN)
def test_a_key_in_the_environment_chooses_those_that_are_automatic(
    row: Builtin, tmp_path: Path
) -> None:
    environ = dict.fromkeys(row.keys[:1], "k")
    environ |= {one.variables[0]: "x" for one in row.options if one.variables}
    chosen = [one.name for one in load(None, environ=environ, cwd=tmp_path).providers]

    assert chosen.count(row.name) == (row.auto != "no")
    assert {"openrouter", "ollama"} <= set(chosen)
    assert len(set(chosen) - {row.name, "openrouter", "ollama"}) <= (row.auto == "no")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("box:8080", "http://box:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - what Ollama's users write
        ("https://ollama.example", "https://ollama.example:443"),
    ],
)
def test_ollama_is_where_its_own_variable_says(host: str, url: str, tmp_path: Path) -> None:
    config = load(None, environ={"OLLAMA_HOST": host}, cwd=tmp_path)

    assert {one.name: one.base_url for one in config.providers}["ollama"] == url


def test_a_local_server_s_absences_are_believed_at_once(tmp_path: Path) -> None:
    text = "[[providers]]\nname = 'ollama'\n[[providers]]\nname = 'vllm'\n"
    usual = configured(text, tmp_path).providers
    written = configured(text + "refresh = { removal_hold = '1h' }", tmp_path).providers

    for one in usual:
        assert Schedule.from_settings(one).removal_hold == 0
        assert Schedule.from_settings(one).removal_scans == 1
    assert Schedule.from_settings(written[1]).removal_hold == 3600


def test_a_provider_overrides_key_by_key(tmp_path: Path) -> None:
    text = "[refresh]\nattempts = 5\nremoval_scans = 4\n" + ACME + "refresh = { attempts = 2 }"
    schedule = Schedule.from_settings(configured(text, tmp_path).providers[0])

    assert (schedule.attempts, schedule.removal_scans) == (2, 4)


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "modelog.toml").write_text("data = 'filed'\n[nats]\nurl = 'nats://filed:1'\n")
    environ = {"MODELOG_DATA": "told", "MODELOG_NATS_URL": "nats://told:1"}
    filed = load(None, environ={}, cwd=tmp_path)
    told = load(None, environ=environ, cwd=tmp_path)
    given_ = load(
        None, data=Path("given"), nats_url="nats://given:1", environ=environ, cwd=tmp_path
    )

    assert [one.data.name for one in (filed, told, given_)] == ["filed", "told", "given"]
    assert [one.nats.url for one in (filed, told, given_)] == [
        "nats://filed:1",
        "nats://told:1",
        "nats://given:1",
    ]


def test_a_bad_url_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\$MODELOG_NATS_URL"):
        load(None, environ={"MODELOG_NATS_URL": "x"}, cwd=tmp_path)


def test_a_registered_provider_is_not_reconfigured_at_the_next_start(tmp_path: Path) -> None:
    """What the log gives back equals what the file says, to the last type."""
    for settings in configured(CONTRACT, tmp_path).providers:
        event = register({}, settings, "2026-01-01T00:00:00.000Z")
        assert event is not None
        known = evolve({}, decode(encode(event)))  # type: ignore[arg-type]  # a provider's

        assert known == {settings.name: settings}
        assert register(known, settings, "2026-01-02T00:00:00.000Z") is None


def test_settings_survive_being_written_as_a_table(tmp_path: Path) -> None:
    config = configured(CONTRACT.replace("[nats]", "[nats]\n"), tmp_path)
    settings = msgspec.structs.replace(config.providers[0], origin="command")
    again = provider_of(table_of(settings), config=config, environ={})

    assert again == settings


def test_a_provider_of_a_command_has_the_usual_settings_of_the_file(tmp_path: Path) -> None:
    config = configured("[refresh]\nattempts = 7\n", tmp_path)
    table = {"name": "acme", "dialect": "openai", "base_url": "http://x/v1"}
    settings = provider_of(table, config=config, environ={})

    assert Schedule.from_settings(settings).attempts == 7
    assert settings.origin == "command"


def test_a_span_of_a_command_s_provider_follows_the_one_it_depends_on(tmp_path: Path) -> None:
    config = configured("[refresh]\ninterval = '10s'\n", tmp_path)
    table = {"name": "acme", "dialect": "openai", "base_url": "http://x/v1"}
    settings = provider_of(table, config=config, environ={})
    shorter = {**table_of(settings), "refresh": {"interval": "5s"}}
    schedule = Schedule.from_settings(provider_of(shorter, config=config, environ={}))

    assert Schedule.from_settings(settings).timeout == 10
    assert (schedule.interval, schedule.timeout) == (5, 5)


def test_an_audit_trail_may_be_kept_for_ever(tmp_path: Path) -> None:
    config = configured("[nats]\naudit_max_age = '0'\n", tmp_path)

    assert config.nats.audit_max_age is None
    assert describe(config)["nats"]["audit_max_age"] == "0"


def test_the_effective_configuration_shows_references_and_durations(tmp_path: Path) -> None:
    told = describe(configured(CONTRACT, tmp_path))
    provider = told["providers"][0]

    assert told["refresh"]["removal_hold"] == "1d"
    assert provider["api_key"] == {"env": "OPENAI_API_KEY"}
    assert provider["refresh"]["interval"] == "10m"


@given(st.integers(1, 10_000_000))
def test_any_interval_alone_is_a_whole_configuration(
    tmp_path_factory: pytest.TempPathFactory, seconds: int
) -> None:
    text = f'[refresh]\ninterval = "{format_duration(seconds)}"\n' + ACME
    schedule = Schedule.from_settings(configured(text, tmp_path_factory.mktemp("c")).providers[0])

    assert schedule.interval == seconds
    assert schedule.timeout <= schedule.interval


@given(st.integers(0, 10**12))
def test_a_duration_reads_as_it_was_written(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("400d", 34_560_000), ("0", 0)],
)
def test_durations_are_what_people_write(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "1m1h", "-1s", "1.5s", "1 s", "5M", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


def test_settings_need_no_more_than_a_name() -> None:
    assert Settings(name="x", dialect="openai", base_url="http://x").enabled


plain = st.one_of(
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=80),
)
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.\n\x1b", max_size=3), inner)
    ),
    max_leaves=4,
)


def _toml(value: object) -> str:
    match value:
        case str():
            return quoted(value)
        case list():
            return f"[{', '.join(_toml(one) for one in value)}]"
        case dict():
            pairs = (f"{quoted(key)} = {_toml(one)}" for key, one in value.items())
            return f"{{ {', '.join(pairs)} }}"
        case _:
            return str(value).lower()


@given(
    st.sampled_from(
        [
            *(("[nats]\n", "nats", key) for key in NATS),
            *(("[refresh]\n", "refresh", key) for key in REFRESH),
            *(("[health]\n", "health", key) for key in HEALTH),
            *(("[enrichment]\n", "enrichment", key) for key in ENRICHMENT),
            *(("[notify]\n", "notify", key) for key in NOTIFY),
            *(("[[providers]]\n", "providers[1]", key) for key in PROVIDER),
            *(("", "", key) for key in ROOT),
        ]
    ),
    values,
)
def test_whatever_is_refused_is_one_line_that_names_its_key(
    tmp_path_factory: pytest.TempPathFactory, key: tuple[str, str, str], value: object
) -> None:
    head, section, name = key
    rest = "" if section != "providers[1]" or name == "name" else 'name = "openai"\n'
    text = f"{head}{rest}{name} = {_toml(value)}\n"
    try:
        config = configured(text, tmp_path_factory.mktemp("c"))
    except ConfigError as error:
        found = error.errors
    else:
        assert encode_json(describe(config))
        return

    assert found
    for line in found:
        assert line.isprintable()
        assert line.startswith(f"modelog.toml: {section}")
        assert name in line


@given(st.dictionaries(st.sampled_from(sorted(HEALTH)), values, max_size=6))
def test_what_is_accepted_comes_back_from_the_log(
    tmp_path_factory: pytest.TempPathFactory, written: dict[str, object]
) -> None:
    pairs = ", ".join(f"{key} = {_toml(one)}" for key, one in written.items())
    try:
        config = configured(f"{ACME}health = {{ {pairs} }}\n", tmp_path_factory.mktemp("c"))
    except ConfigError:
        return
    settings = config.providers[0]

    assert decode_json(encode_json(settings), type=Settings) == settings
    assert Health.from_settings(settings)


def test_every_mistake_about_whom_to_tell_is_told_at_once_and_no_secret(tmp_path: Path) -> None:
    text = """
[notify]
group = "soon"
rate_limit = "many"
loud = true
[[notify.targets]]
name = "people"
url = "hunter2"
[[notify.targets]]
name = "people"
severity = "worst"
providers = ["a", "a"]
[[notify.webhooks]]
name = "hook"
url = "https://me:hunter2@example.com"
secret = "whsec_hunter2"
"""
    with pytest.raises(ConfigError) as told:
        configured(text, tmp_path)

    places = [line.removeprefix("modelog.toml: ").split(": ")[0] for line in told.value.errors]
    assert places == [
        "notify.group",
        "notify.rate_limit",
        "notify.loud",
        "notify.targets[1].url",
        "notify.targets[2].severity",
        "notify.targets[2].providers[2]",
        "notify.targets[2].url",
        "notify.targets[2].name",
        "notify.webhooks[1].url",
        "notify.webhooks[1].secret",
    ]
    assert "hunter2" not in str(told.value)


def test_of_an_address_that_may_hold_a_secret_only_the_scheme_is_shown(tmp_path: Path) -> None:
    text = """
[notify]
group = "1m"
[[notify.targets]]
name = "people"
url = "ntfy://hunter2@ntfy.example/topic"
[[notify.webhooks]]
name = "hook"
url = { env = "HOOK_URL" }
secret = { env = "HOOK_SECRET" }
"""
    told = describe(configured(text, tmp_path))["notify"]

    assert told["group"] == "1m"
    assert told["targets"][0]["url"] == "ntfy://***"
    assert told["webhooks"][0]["url"] == {"env": "HOOK_URL"}
    assert told["webhooks"][0]["secret"] == {"env": "HOOK_SECRET"}
