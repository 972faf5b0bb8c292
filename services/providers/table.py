"""The built-in providers: one row each. Pure data; what a row leaves out is the dialect's.

Source: design/providers.md §1.1, and §5 for the dates that mean nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from events.decide.providers import Settings


class Option(NamedTuple):
    """A value that an address or a header needs; *variables* give it where no file does."""

    name: str
    variables: tuple[str, ...] = ()
    required: bool = True
    default: Any = None


class Credential(NamedTuple):
    """A key of `credentials` and the variable that gives it; *file*: which holds a path."""

    name: str
    variable: str
    file: bool = False


class Builtin(NamedTuple):
    """A provider that needs no more than its name.

    *base_url* is the list URL up to the dialect's tail, its ``{…}`` filled from options; *keys* are
    variables in order of precedence, *key_optional* says that the list answers without one;
    *models_dev* is its name there (or names, in order, by blanks); *auto*: used without a file when
    its key is set, even without one (`open`), or never; *local*: its owner changes the list by
    hand; *address* names variables that replace *base_url*. The rest is what its rows have of their
    own: a *tail*, an id *prefix* to cut, the *unit* of token prices, a `created` that is no date
    (not *dated*), the ids that serve where it has no list.
    """

    name: str
    dialect: str
    base_url: str
    keys: tuple[str, ...] = ()
    key_optional: bool = False
    options: tuple[Option, ...] = ()
    models_dev: str | None = None
    auto: Literal["yes", "open", "no"] = "yes"
    local: bool = False
    credentials: tuple[Credential, ...] = ()
    address: tuple[str, ...] = ()
    tail: str | None = None
    prefix: str = ""
    unit: Literal["token", "million"] | None = None
    dated: bool = True
    static: tuple[str, ...] = ()


_GEMINI = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY")
_TOGETHER = ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY")
_FIREWORKS = ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")
_DASHSCOPE = "https://dashscope-intl.aliyuncs.com"
_ENTRA = (
    Credential("tenant_id", "AZURE_TENANT_ID"),
    Credential("client_id", "AZURE_CLIENT_ID"),
    Credential("client_secret", "AZURE_CLIENT_SECRET"),
)


def _plain(  # noqa: PLR0913 - a row has many cells
    name: str,
    base_url: str,
    keys: str,
    models_dev: str | None = None,
    *,
    dialect: str = "openai",
    key_optional: bool = False,
    auto: Literal["yes", "open", "no"] = "yes",
    local: bool = False,
    tail: str | None = None,
    prefix: str = "",
    unit: Literal["token", "million"] | None = None,
    dated: bool = True,
    static: tuple[str, ...] = (),
) -> Builtin:
    """Make a row without options; *keys* by blanks."""
    return Builtin(
        name=name,
        dialect=dialect,
        base_url=base_url,
        keys=tuple(keys.split()),
        key_optional=key_optional,
        models_dev=models_dev,
        auto=auto,
        local=local,
        tail=tail,
        prefix=prefix,
        unit=unit,
        dated=dated,
        static=static,
    )


_ROWS = (
    Builtin(
        "openai",
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        options=(
            Option("organization", ("OPENAI_ORG_ID",), required=False),
            Option("project", ("OPENAI_PROJECT_ID",), required=False),
        ),
        models_dev="openai",
    ),
    Builtin(
        "azure",
        "azure",
        "https://{resource}.openai.azure.com",
        ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        options=(Option("resource", ("AZURE_RESOURCE_NAME",)),),
        models_dev="azure",
        credentials=(Credential("access_token", "AZURE_OPENAI_AD_TOKEN"), *_ENTRA),
        address=("AZURE_OPENAI_ENDPOINT",),
    ),
    Builtin(
        "azure-management",
        "azure_management",
        "https://management.azure.com",
        options=(Option("subscription", ("AZURE_SUBSCRIPTION_ID",)), Option("location")),
        models_dev="azure",
        auto="no",
        credentials=_ENTRA,
    ),
    _plain(
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "anthropic",
        dialect="anthropic",
    ),
    Builtin(
        "gemini",
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        _GEMINI,
        models_dev="google",
    ),
    Builtin(
        "gemini-openai",
        "openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        _GEMINI,
        models_dev="google",
        auto="no",
        prefix="models/",
    ),
    Builtin(
        "vertex",
        "vertex",
        "https://{location}-aiplatform.googleapis.com/v1beta1",
        options=(
            Option("project", ("GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT")),
            Option("location", ("GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_LOCATION")),
            Option("publishers", required=False, default=["google", "anthropic", "meta"]),
        ),
        models_dev="google-vertex",
        auto="no",
        credentials=(Credential("service_account", "GOOGLE_APPLICATION_CREDENTIALS", file=True),),
    ),
    Builtin(
        "bedrock",
        "bedrock",
        "https://bedrock.{region}.amazonaws.com",
        ("AWS_BEARER_TOKEN_BEDROCK",),
        options=(Option("region", ("AWS_REGION", "AWS_DEFAULT_REGION")),),
        models_dev="amazon-bedrock",
        credentials=(
            Credential("access_key_id", "AWS_ACCESS_KEY_ID"),
            Credential("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            Credential("session_token", "AWS_SESSION_TOKEN"),
        ),
    ),
    _plain("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral", dialect="mistral"),
    _plain(
        "cohere", "https://api.cohere.com", "CO_API_KEY COHERE_API_KEY", "cohere", dialect="cohere"
    ),
    _plain(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "groq",
        dialect="openrouter_provider",
    ),
    Builtin(
        "together",
        "together",
        "https://api.together.xyz/v1",
        _TOGETHER,
        models_dev="togetherai",
    ),
    Builtin(
        "together-catalog",
        "together_catalog",
        "https://api.together.ai/v2",
        _TOGETHER,
        models_dev="togetherai",
        auto="no",
    ),
    Builtin(
        "fireworks",
        "openai",
        "https://api.fireworks.ai/inference/v1",
        _FIREWORKS,
        models_dev="fireworks-ai",
    ),
    Builtin(
        "fireworks-account",
        "fireworks",
        "https://api.fireworks.ai/v1",
        _FIREWORKS,
        options=(
            Option("account", ("FIREWORKS_ACCOUNT_ID",), required=False, default="fireworks"),
        ),
        models_dev="fireworks-ai",
        auto="no",
    ),
    _plain("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "deepseek"),
    _plain("xai", "https://api.x.ai/v1", "XAI_API_KEY", "xai", dialect="xai"),
    _plain(
        "perplexity",
        "https://api.perplexity.ai/v1",
        "PERPLEXITY_API_KEY PERPLEXITYAI_API_KEY",
        "perplexity perplexity-agent",
        static=("sonar", "sonar-deep-research", "sonar-pro", "sonar-reasoning-pro"),
    ),
    _plain(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "openrouter",
        dialect="openrouter",
        key_optional=True,
        auto="open",
    ),
    _plain(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        "cerebras",
        tail="/models?format=huggingface",
        unit="million",
    ),
    _plain(
        "sambanova",
        "https://api.sambanova.ai/v1",
        "SAMBANOVA_API_KEY",
        key_optional=True,
        unit="token",
    ),
    _plain(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        "NVIDIA_API_KEY NVIDIA_NIM_API_KEY",
        "nvidia",
        key_optional=True,
    ),
    _plain(
        "github-models",
        "https://models.github.ai/catalog",
        "GITHUB_TOKEN",
        "github-models",
        dialect="github_models",
        auto="no",  # retired
    ),
    Builtin(
        "cloudflare",
        "cloudflare",
        "https://api.cloudflare.com/client/v4",
        ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        options=(Option("account", ("CLOUDFLARE_ACCOUNT_ID",)),),
        models_dev="cloudflare-workers-ai",
    ),
    Builtin(
        "replicate",
        "replicate",
        "https://api.replicate.com/v1",
        ("REPLICATE_API_TOKEN", "REPLICATE_API_KEY"),
        options=(Option("collections", required=False, default=["official"]),),
    ),
    _plain(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY DEEPINFRA_TOKEN",
        "deepinfra",
        dialect="deepinfra",
        key_optional=True,
    ),
    _plain(
        "novita",
        "https://api.novita.ai/v3/openai",
        "NOVITA_API_KEY",
        "novita-ai",
        dialect="novita",
    ),
    _plain(
        "huggingface",
        "https://router.huggingface.co/v1",
        "HF_TOKEN HUGGINGFACE_API_KEY",
        "huggingface",
        dialect="huggingface",
        key_optional=True,
    ),
    _plain(
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        "AI_GATEWAY_API_KEY VERCEL_AI_GATEWAY_API_KEY",
        "vercel",
        dialect="vercel",
        key_optional=True,
    ),
    _plain("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "moonshotai", dated=False),
    _plain(
        "moonshot-cn",
        "https://api.moonshot.cn/v1",
        "MOONSHOT_API_KEY",
        "moonshotai-cn",
        auto="no",
        dated=False,
    ),
    _plain("zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "zai"),
    _plain(
        "zhipu",
        "https://open.bigmodel.cn/api/paas/v4",
        "ZHIPUAI_API_KEY ZHIPU_API_KEY",
        "zhipuai",
    ),
    _plain(
        "dashscope",
        f"{_DASHSCOPE}/api/v1",
        "DASHSCOPE_API_KEY",
        "alibaba",
        dialect="dashscope",
    ),
    _plain(
        "dashscope-openai",
        f"{_DASHSCOPE}/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "alibaba",
        auto="no",
    ),
    _plain("minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY", "minimax"),
    _plain(
        "minimax-anthropic",
        "https://api.minimax.io/anthropic",
        "MINIMAX_API_KEY",
        "minimax",
        dialect="anthropic",
        auto="no",
    ),
    _plain("elevenlabs", "https://api.elevenlabs.io", "ELEVENLABS_API_KEY", dialect="elevenlabs"),
    _plain(
        "venice",
        "https://api.venice.ai/api/v1",
        "VENICE_API_KEY VENICE_AI_API_KEY",
        "venice",
        dialect="venice",
        key_optional=True,
    ),
    _plain(
        "baseten",
        "https://inference.baseten.co/v1",
        "BASETEN_API_KEY",
        "baseten",
        dialect="openrouter_provider",
    ),
    _plain(
        "targon",
        "https://api.targon.com/v1",
        "TARGON_API_KEY",
        dialect="openrouter_provider",
        key_optional=True,
    ),
    _plain(
        "atlascloud",
        "https://api.atlascloud.ai/v1",
        "ATLASCLOUD_API_KEY",
        dialect="openrouter_provider",
    ),
    _plain(
        "chutes",
        "https://llm.chutes.ai/v1",
        "CHUTES_API_KEY",
        "chutes",
        dialect="openrouter_provider",
        key_optional=True,
        unit="million",
        dated=False,
    ),
    _plain(
        "ovhcloud",
        "https://catalog.endpoints.ai.ovh.net/rest/v2",
        "OVHCLOUD_API_KEY",
        "ovhcloud",
        dialect="openrouter_provider",
        key_optional=True,
        tail="/openrouter",
    ),
    _plain(
        "redpill",
        "https://api.redpill.ai/v1",
        "REDPILL_API_KEY",
        dialect="openrouter",
        tail="/models",
    ),
    _plain(
        "friendli",
        "https://api.friendli.ai/serverless/v1",
        "FRIENDLI_TOKEN",
        "friendli",
        unit="million",
    ),
    _plain(
        "featherless",
        "https://api.featherless.ai/v1",
        "FEATHERLESS_API_KEY FEATHERLESS_AI_API_KEY",
    ),
    _plain("poe", "https://api.poe.com/v1", "POE_API_KEY", "poe", key_optional=True),
    _plain(
        "pollinations",
        "https://text.pollinations.ai/openai",
        "POLLINATIONS_API_KEY",
        key_optional=True,
        dated=False,
    ),
    _plain("infermatic", "https://api.totalgpt.ai/v1", "INFERMATIC_API_KEY"),
    _plain("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", dated=False),
    _plain(
        "nebius",
        "https://api.tokenfactory.nebius.com/v1",
        "NEBIUS_API_KEY",
        "nebius",
        tail="/models?verbose=true",
        dated=False,
    ),
    _plain("mancer", "https://neuro.mancer.tech/oai/v1", "MANCER_API_KEY", unit="million"),
    _plain("llm7", "https://api.llm7.io/v1", "LLM7_API_KEY", key_optional=True, dated=False),
    _plain("aihorde", "https://oai.aihorde.net/v1", "AIHORDE_KEY"),
    _plain("aihubmix", "https://aihubmix.com/api/v1", "AIHUBMIX_API_KEY", "aihubmix"),
    _plain("aimlapi", "https://api.aimlapi.com/v1", "AIML_API_KEY"),
    _plain("avian", "https://api.avian.io/v1", "AVIAN_API_KEY"),
    _plain("cortecs", "https://api.cortecs.ai/v1", "CORTECS_API_KEY", "cortecs"),
    _plain("enfer", "https://api.enfer.ai/v1", "ENFER_API_KEY"),
    _plain(
        "inference-net",
        "https://api.inference.net/v1",
        "INFERENCE_API_KEY INFERENCENET_API_KEY",
        "inference",
    ),
    _plain(
        "ionet",
        "https://api.intelligence.io.solutions/api/v1",
        "IOINTELLIGENCE_API_KEY",
        "io-net",
    ),
    _plain("morph", "https://api.morphllm.com/v1", "MORPH_API_KEY MORPHLLM_API_KEY", "morph"),
    _plain("neuralwatt", "https://api.neuralwatt.com/v1", "NEURALWATT_API_KEY", "neuralwatt"),
    _plain("opencode", "https://opencode.ai/zen/v1", "OPENCODE_API_KEY", "opencode"),
    _plain("parasail", "https://api.parasail.io/v1", "PARASAIL_API_KEY"),
    _plain("synthetic", "https://api.synthetic.new/openai/v1", "SYNTHETIC_API_KEY", "synthetic"),
    Builtin(
        "ollama",
        "ollama",
        "http://127.0.0.1:11434",
        key_optional=True,
        auto="open",
        local=True,
        address=("OLLAMA_HOST",),
    ),
    _plain(
        "ollama-cloud", "https://ollama.com", "OLLAMA_API_KEY", "ollama-cloud", dialect="ollama"
    ),
    _plain(
        "lmstudio",
        "http://127.0.0.1:1234",
        "LM_API_TOKEN LMSTUDIO_API_KEY",
        "lmstudio",
        dialect="lmstudio",
        key_optional=True,
        auto="no",
        local=True,
    ),
    _plain(
        "vllm",
        "http://127.0.0.1:8000/v1",
        "VLLM_API_KEY",
        key_optional=True,
        auto="no",
        local=True,
    ),
    _plain("sglang", "http://127.0.0.1:30000/v1", "", key_optional=True, auto="no", local=True),
    _plain(
        "llamacpp",
        "http://127.0.0.1:8080",
        "",
        dialect="llamacpp",
        key_optional=True,
        auto="no",
        local=True,
    ),
    _plain(
        "tgi",
        "http://127.0.0.1:8080",
        "",
        dialect="tgi",
        key_optional=True,
        auto="no",
        local=True,
    ),
    _plain(
        "litellm",
        "http://127.0.0.1:4000",
        "LITELLM_PROXY_API_KEY LITELLM_API_KEY",
        dialect="litellm",
        key_optional=True,
        auto="no",
        local=True,
    ),
)

BUILTIN: dict[str, Builtin] = {row.name: row for row in _ROWS}
"""Every built-in provider by its name."""

_BY_ADDRESS: Mapping[tuple[str, str], Builtin] = {
    (row.dialect, row.base_url): row for row in reversed(_ROWS)
}


def row_of(settings: Settings) -> Builtin | None:
    """Return the row whose traits hold for *settings*: that of its name, else of its address.

    A provider that is read in another dialect than its row's has none of its traits.
    """
    row = BUILTIN.get(settings.name)
    if row is not None and row.dialect == settings.dialect:
        return row
    return _BY_ADDRESS.get((settings.dialect, settings.base_url.rstrip("/")))
