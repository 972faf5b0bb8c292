"""How each dialect is asked: headers, signatures, tokens, and what serves where no list is."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from events.decide.providers import Settings
from services.keys import Secret
from services.providers import DIALECTS, Page, Refused, Request
from services.providers.dashscope import in_dollars
from services.providers.rs256 import BadKey, sign
from services.providers.sigv4 import Keys, signed
from services.providers.table import BUILTIN
from tests.support.answers import case

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = {"api_key": Secret("planted")}


def settings(name: str, **options: object) -> Settings:
    row = BUILTIN[name]
    return Settings(name=name, dialect=row.dialect, base_url=row.base_url, options=options)


HEADERS = {
    "anthropic": {"anthropic-version": "2023-06-01", "x-api-key": "planted"},
    "gemini": {"x-goog-api-key": "planted"},
    "azure": {"api-key": "planted"},
    "elevenlabs": {"xi-api-key": "planted"},
    "github_models": {"X-GitHub-Api-Version": "2022-11-28", "Authorization": "Bearer planted"},
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_key_goes_into_the_header_of_its_dialect(name: str) -> None:
    asked = Settings(name=name, dialect=name, base_url="https://a.example")
    expected = HEADERS.get(name, {"Authorization": "Bearer planted"})

    assert DIALECTS[name].headers(asked, KEY) == expected


@pytest.mark.parametrize("name", DIALECTS)
def test_without_a_key_nothing_pretends_to_be_one(name: str) -> None:
    asked = Settings(name=name, dialect=name, base_url="https://a.example")
    headers = DIALECTS[name].headers(asked, {})

    assert headers.keys() <= {"anthropic-version", "X-GitHub-Api-Version"}


def test_openai_is_told_the_organization_and_the_project() -> None:
    headers = DIALECTS["openai"].headers(settings("openai", organization="o", project="p"), KEY)

    assert headers["OpenAI-Organization"] == "o"
    assert headers["OpenAI-Project"] == "p"


def test_vertex_is_told_who_pays() -> None:
    token = {"access_token": Secret("t")}
    headers = DIALECTS["vertex"].headers(settings("vertex", project="p"), token)

    assert headers == {"Authorization": "Bearer t", "x-goog-user-project": "p"}


VECTOR = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        (
            "https://example.amazonaws.com/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case"],
)
def test_a_signature_is_that_of_the_published_vector(url: str, signature: str) -> None:
    moment = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    headers = signed(Request(url), VECTOR, region="us-east-1", service="service", moment=moment)

    assert headers == {
        "x-amz-date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 "
        "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}",
    }


ACCESS = {"access_key_id": Secret("AKID"), "secret_access_key": Secret("planted")}


def test_bedrock_signs_each_attempt_anew_with_the_session() -> None:
    sign_ = DIALECTS["bedrock"].sign
    assert sign_ is not None
    asked = settings("bedrock", region="eu-west-1")
    request = Request(DIALECTS["bedrock"].first(asked)[1])
    secrets = {**ACCESS, "session_token": Secret("session")}
    headers = sign_(request, asked, secrets, NOW)

    assert headers["x-amz-security-token"] == "session"
    assert headers["x-amz-date"] == "20261124T120000Z"
    assert "/20261124/eu-west-1/bedrock/aws4_request" in headers["Authorization"]
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in headers["Authorization"]
    assert "planted" not in str(headers)
    assert headers != sign_(request, asked, secrets, NOW.replace(second=1))


def test_a_key_of_bedrock_goes_before_the_access_key() -> None:
    sign_ = DIALECTS["bedrock"].sign
    assert sign_ is not None

    assert sign_(Request("https://a.example/"), settings("bedrock"), ACCESS | KEY, NOW) == {}
    assert sign_(Request("https://a.example/"), settings("bedrock"), {}, NOW) == {}


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("azure", "https://cognitiveservices.azure.com/.default"),
        ("azure-management", "https://management.azure.com/.default"),
    ],
)
def test_client_credentials_are_exchanged_at_entra_alone(name: str, scope: str) -> None:
    exchange = DIALECTS[BUILTIN[name].dialect].exchange
    assert exchange is not None
    secrets = {name: Secret(name) for name in ("tenant_id", "client_id", "client_secret")}
    asked = exchange(settings(name), secrets, NOW)

    assert asked is not None
    assert asked.request.url == "https://login.microsoftonline.com/tenant_id/oauth2/v2.0/token"
    assert asked.request.method == "POST"
    assert parse_qs((asked.request.body or b"").decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["client_id"],
        "client_secret": ["client_secret"],
        "scope": [scope],
    }
    assert asked.read(b'{"token_type": "Bearer", "expires_in": 3599, "access_token": "t"}') == (
        "t",
        3599.0,
    )
    with pytest.raises(msgspec.DecodeError):
        asked.read(b'{"error": "invalid_client"}')
    with pytest.raises(msgspec.DecodeError):
        asked.read(b'{"access_token": "t", "expires_in": "soon"}')
    assert exchange(settings(name), secrets | KEY, NOW) is None
    assert exchange(settings(name), {"client_id": Secret("c")}, NOW) is None


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(private: rsa.RSAPrivateKey, form: serialization.PrivateFormat) -> str:
    encoding = serialization.Encoding.PEM
    return private.private_bytes(encoding, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    "form",
    [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL],
    ids=["PKCS #8", "PKCS #1"],
)
def test_another_library_verifies_our_signature(
    private: rsa.RSAPrivateKey, form: serialization.PrivateFormat
) -> None:
    signature = sign(b"message", pem(private, form))

    private.public_key().verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


def test_a_service_account_is_exchanged_for_a_token(private: rsa.RSAPrivateKey) -> None:
    exchange = DIALECTS["vertex"].exchange
    assert exchange is not None
    account = {
        "type": "service_account",
        "client_email": "robot@p.iam.example",
        "private_key": pem(private, serialization.PrivateFormat.PKCS8),
        "token_uri": "https://oauth2.example/token",
    }
    secrets = {"service_account": Secret(json.dumps(account))}
    asked = exchange(settings("vertex", project="p"), secrets, NOW)

    assert asked is not None
    assert asked.request.url == "https://oauth2.example/token"
    form = parse_qs((asked.request.body or b"").decode())
    head, claims, signature = form["assertion"][0].split(".")
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert json.loads(unpadded(head)) == {"alg": "RS256", "typ": "JWT"}
    assert json.loads(unpadded(claims)) == {
        "iss": "robot@p.iam.example",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.example/token",
        "iat": 1795521600,
        "exp": 1795525200,
    }
    message = f"{head}.{claims}".encode()
    private.public_key().verify(unpadded(signature), message, padding.PKCS1v15(), hashes.SHA256())
    assert exchange(settings("vertex"), {"access_token": Secret("t")}, NOW) is None


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(
    "account",
    ["", "{}", '{"client_email": "a", "private_key": "planted"}', "planted", '{"private_key": 5}'],
)
def test_what_is_no_service_account_is_a_bad_credential_that_is_not_quoted(account: str) -> None:
    exchange = DIALECTS["vertex"].exchange
    assert exchange is not None

    with pytest.raises(Refused) as refused:
        exchange(settings("vertex"), {"service_account": Secret(account)}, NOW)
    assert refused.value.class_ == "credential"
    assert "planted" not in refused.value.message


@pytest.mark.parametrize(
    "body", ["", "AAAA", "MAA=", "MIIBAA==", "MAMCAQA=", "!!!", "MIICdgIBADANBg=="]
)
def test_a_broken_private_key_is_said_to_be_one(body: str) -> None:
    with pytest.raises(BadKey):
        sign(b"message", f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----")


def test_lm_studio_is_asked_for_older_lists_in_turn() -> None:
    instead = DIALECTS["lmstudio"].instead
    assert instead is not None
    asked = settings("lmstudio")
    older = instead("http://127.0.0.1:1234/api/v1/models", asked)

    assert isinstance(older, str)
    assert older == "http://127.0.0.1:1234/api/v0/models"
    assert instead(older, asked) == "http://127.0.0.1:1234/v1/models"
    assert instead("http://127.0.0.1:1234/v1/models", asked) is None


def test_lm_studio_may_say_with_200_that_there_is_no_such_list() -> None:
    dialect, asked = DIALECTS["lmstudio"], settings("lmstudio")
    body = b'{"error": "Unexpected endpoint or method. (GET /api/v1/models). Returning 200 anyway"}'
    page = dialect.parse(body, dialect.first(asked)[0], asked)

    assert page == Page([], "http://127.0.0.1:1234/api/v0/models")
    with pytest.raises(Refused):
        dialect.parse(body, "http://127.0.0.1:1234/v1/models", asked)


def test_perplexity_without_a_list_has_its_known_ids_and_says_nothing_of_them() -> None:
    instead = DIALECTS["openai"].instead
    assert instead is not None
    page = instead("https://api.perplexity.ai/v1/models", settings("perplexity"))

    assert isinstance(page, Page)
    assert [row.record.id for row in page.rows] == list(BUILTIN["perplexity"].static)
    assert {len(row.record.sources) for row in page.rows} == {0}
    assert instead("https://api.openai.com/v1/models", settings("openai")) is None


def test_every_publisher_and_every_collection_is_a_list() -> None:
    vertex = settings("vertex", project="p", location="europe-west4")
    replicate = settings("replicate", collections=["a b", "c"])

    assert DIALECTS["vertex"].first(vertex) == [
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/publishers/"
        f"{publisher}/models?view=PUBLISHER_MODEL_VIEW_FULL"
        for publisher in ("google", "anthropic", "meta")
    ]
    assert DIALECTS["replicate"].first(replicate) == [
        "https://api.replicate.com/v1/collections/a%20b",
        "https://api.replicate.com/v1/collections/c",
    ]


@pytest.mark.parametrize(
    ("name", "tail"),
    [
        ("cerebras", "/models?format=huggingface"),
        ("ovhcloud", "/openrouter"),
        ("redpill", "/models"),
        ("nebius", "/models?verbose=true"),
        ("fireworks-account", "/accounts/fireworks/models?pageSize=200"),
    ],
)
def test_a_row_may_have_a_tail_of_its_own(name: str, tail: str) -> None:
    row = BUILTIN[name]

    assert DIALECTS[row.dialect].first(settings(name)) == [row.base_url + tail]


def test_a_region_that_charges_another_currency_has_no_prices() -> None:
    one = case("dashscope")
    beijing = msgspec.structs.replace(
        one.settings, base_url="https://dashscope.aliyuncs.com/api/v1"
    )
    dialect = DIALECTS["dashscope"]
    page = dialect.parse(bytes(one.answer), dialect.first(beijing)[0], beijing)

    assert [row.record.prices for row in page.rows] == [{}, {}]
    assert in_dollars("https://w.ap-southeast-1.maas.aliyuncs.com")
    assert not in_dollars("https://w.cn-beijing.maas.aliyuncs.com")


@pytest.mark.parametrize("name", ["gemini", "vertex", "fireworks"])
def test_an_empty_list_that_is_left_out_is_empty(name: str) -> None:
    row = next(row for row in BUILTIN.values() if row.dialect == name)
    asked = settings(row.name, project="p", location="l")
    url = DIALECTS[name].first(asked)[0]

    assert DIALECTS[name].parse(b"{}", url, asked).rows == []


@pytest.mark.parametrize(
    ("info", "onward"),
    [
        ('{"page": 1, "per_page": 100, "total_count": 2, "total_pages": 1}', False),
        ('{"page": 1, "per_page": 1, "total_count": 2}', True),
        ('{"page": 1, "per_page": 1}', True),
        ("null", False),
    ],
)
def test_cloudflare_ends_by_pages_by_rows_or_by_a_page_that_is_not_full(
    info: str, *, onward: bool
) -> None:
    asked = settings("cloudflare", account="a")
    dialect = DIALECTS["cloudflare"]
    body = f'{{"success": true, "result": [{{"name": "@cf/a/b"}}], "result_info": {info}}}'
    page = dialect.parse(body.encode(), dialect.first(asked)[0], asked)

    assert (page.next is not None) == onward
