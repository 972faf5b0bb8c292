"""The built-in providers: a row each. A provider of a known dialect is one line of data.

Source: the vendors' SDKs and documentation, and recorded answers; the names are the SDKs' first,
then those of models.dev.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from events.decide.providers import Settings


class Option(NamedTuple):
    """An option of a provider, and the environment variables that give it, in order."""

    name: str
    variables: tuple[str, ...] = ()
    needed: bool = True
    default: Any = None


class Credential(NamedTuple):
    """A key of `credentials` and the variable that gives it; *file*: which holds a path."""

    name: str
    variable: str
    file: bool = False


class Builtin(NamedTuple):
    """A provider that needs no more than its name.

    *base_url* is the list URL up to the dialect's tail; ``{...}`` in it is filled from the options.
    *keys* are the variables that may hold its key, in order; with *key_optional* the list answers
    without one. *models_dev* is where enrichment looks. *auto*: used when there is no configuration
    file: with a key (`yes`), even without (`open`), or never (`no`). *tail* replaces the dialect's
    own, *id_prefix* is cut off every id, *price_unit* is what its prices are per, and where
    *created_known* is False its dates of creation mean nothing. *local*: its owner changes its
    models by hand, so an absence is believed at once. *credentials* are what it can do with beside
    or instead of a key; *static* ids serve where it has no list.
    """

    name: str
    dialect: str
    base_url: str
    keys: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    models_dev: tuple[str, ...] = ()
    auto: Literal["yes", "open", "no"] = "yes"
    key_optional: bool = False
    local: bool = False
    base_url_variable: str | None = None
    tail: str | None = None
    id_prefix: str = ""
    price_unit: Literal["token", "million"] | None = None
    created_known: bool = True
    credentials: tuple[Credential, ...] = ()
    static: tuple[str, ...] = ()


def _must(name: str, *variables: str) -> Option:
    return Option(name, variables)


def _may(name: str, *variables: str, default: Any = None) -> Option:  # noqa: ANN401 - JSON
    return Option(name, variables, needed=False, default=default)


_ENTRA = (
    Credential("tenant_id", "AZURE_TENANT_ID"),
    Credential("client_id", "AZURE_CLIENT_ID"),
    Credential("client_secret", "AZURE_CLIENT_SECRET"),
)

_ROWS = (
    Builtin(
        "openai",
        "openai",
        "https://api.openai.com/v1",
        keys=("OPENAI_API_KEY",),
        options=(_may("organization", "OPENAI_ORG_ID"), _may("project", "OPENAI_PROJECT_ID")),
        models_dev=("openai",),
    ),
    Builtin(
        "azure",
        "azure",
        "https://{resource}.openai.azure.com",
        keys=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        options=(_must("resource", "AZURE_RESOURCE_NAME"),),
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        models_dev=("azure",),
        credentials=(Credential("access_token", "AZURE_OPENAI_AD_TOKEN"), *_ENTRA),
    ),
    Builtin(
        "azure-management",
        "azure_management",
        "https://management.azure.com",
        options=(_must("subscription", "AZURE_SUBSCRIPTION_ID"), _must("location")),
        models_dev=("azure",),
        auto="no",
        credentials=_ENTRA,
    ),
    Builtin(
        "anthropic",
        "anthropic",
        "https://api.anthropic.com",
        keys=("ANTHROPIC_API_KEY",),
        models_dev=("anthropic",),
    ),
    Builtin(
        "gemini",
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        models_dev=("google",),
    ),
    Builtin(
        "gemini-openai",
        "openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"),
        models_dev=("google",),
        auto="no",
        id_prefix="models/",
    ),
    Builtin(
        "vertex",
        "vertex",
        "https://{location}-aiplatform.googleapis.com/v1beta1",
        options=(
            _must("project", "GOOGLE_CLOUD_PROJECT", "GOOGLE_VERTEX_PROJECT"),
            _must("location", "GOOGLE_CLOUD_LOCATION", "GOOGLE_VERTEX_LOCATION"),
            _may("publishers", default=["google", "anthropic", "meta"]),
        ),
        models_dev=("google-vertex",),
        auto="no",
        credentials=(Credential("service_account", "GOOGLE_APPLICATION_CREDENTIALS", file=True),),
    ),
    Builtin(
        "bedrock",
        "bedrock",
        "https://bedrock.{region}.amazonaws.com",
        keys=("AWS_BEARER_TOKEN_BEDROCK",),
        options=(_must("region", "AWS_REGION", "AWS_DEFAULT_REGION"),),
        models_dev=("amazon-bedrock",),
        credentials=(
            Credential("access_key_id", "AWS_ACCESS_KEY_ID"),
            Credential("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            Credential("session_token", "AWS_SESSION_TOKEN"),
        ),
    ),
    Builtin(
        "mistral",
        "mistral",
        "https://api.mistral.ai/v1",
        keys=("MISTRAL_API_KEY",),
        models_dev=("mistral",),
    ),
    Builtin(
        "cohere",
        "cohere",
        "https://api.cohere.com",
        keys=("CO_API_KEY", "COHERE_API_KEY"),
        models_dev=("cohere",),
    ),
    Builtin(
        "groq",
        "openrouter_provider",
        "https://api.groq.com/openai/v1",
        keys=("GROQ_API_KEY",),
        models_dev=("groq",),
    ),
    Builtin(
        "together",
        "together",
        "https://api.together.xyz/v1",
        keys=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        models_dev=("togetherai",),
    ),
    Builtin(
        "together-catalog",
        "together_catalog",
        "https://api.together.ai/v2",
        keys=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        models_dev=("togetherai",),
        auto="no",
    ),
    Builtin(
        "fireworks",
        "openai",
        "https://api.fireworks.ai/inference/v1",
        keys=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        models_dev=("fireworks-ai",),
    ),
    Builtin(
        "fireworks-account",
        "fireworks",
        "https://api.fireworks.ai/v1",
        keys=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        options=(_may("account", "FIREWORKS_ACCOUNT_ID", default="fireworks"),),
        models_dev=("fireworks-ai",),
        auto="no",
    ),
    Builtin(
        "deepseek",
        "openai",
        "https://api.deepseek.com",
        keys=("DEEPSEEK_API_KEY",),
        models_dev=("deepseek",),
    ),
    Builtin("xai", "xai", "https://api.x.ai/v1", keys=("XAI_API_KEY",), models_dev=("xai",)),
    Builtin(
        "perplexity",
        "openai",
        "https://api.perplexity.ai/v1",
        keys=("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"),
        models_dev=("perplexity", "perplexity-agent"),
        static=("sonar", "sonar-deep-research", "sonar-pro", "sonar-reasoning-pro"),
    ),
    Builtin(
        "openrouter",
        "openrouter",
        "https://openrouter.ai/api/v1",
        keys=("OPENROUTER_API_KEY",),
        key_optional=True,
        models_dev=("openrouter",),
        auto="open",
    ),
    Builtin(
        "cerebras",
        "openai",
        "https://api.cerebras.ai/v1",
        keys=("CEREBRAS_API_KEY",),
        models_dev=("cerebras",),
        tail="/models?format=huggingface",
        price_unit="million",
    ),
    Builtin(
        "sambanova",
        "openai",
        "https://api.sambanova.ai/v1",
        keys=("SAMBANOVA_API_KEY",),
        key_optional=True,
        price_unit="token",
    ),
    Builtin(
        "nvidia",
        "openai",
        "https://integrate.api.nvidia.com/v1",
        keys=("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
        key_optional=True,
        models_dev=("nvidia",),
    ),
    Builtin(
        "github-models",
        "github_models",
        "https://models.github.ai/catalog",
        keys=("GITHUB_TOKEN",),
        models_dev=("github-models",),
        auto="no",
    ),
    Builtin(
        "cloudflare",
        "cloudflare",
        "https://api.cloudflare.com/client/v4",
        keys=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        options=(_must("account", "CLOUDFLARE_ACCOUNT_ID"),),
        models_dev=("cloudflare-workers-ai",),
    ),
    Builtin(
        "replicate",
        "replicate",
        "https://api.replicate.com/v1",
        keys=("REPLICATE_API_TOKEN", "REPLICATE_API_KEY"),
        options=(_may("collections", default=["official"]),),
    ),
    Builtin(
        "deepinfra",
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        keys=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        key_optional=True,
        models_dev=("deepinfra",),
    ),
    Builtin(
        "novita",
        "novita",
        "https://api.novita.ai/v3/openai",
        keys=("NOVITA_API_KEY",),
        models_dev=("novita-ai",),
    ),
    Builtin(
        "huggingface",
        "huggingface",
        "https://router.huggingface.co/v1",
        keys=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        key_optional=True,
        models_dev=("huggingface",),
    ),
    Builtin(
        "vercel",
        "vercel",
        "https://ai-gateway.vercel.sh/v1",
        keys=("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY"),
        key_optional=True,
        models_dev=("vercel",),
    ),
    Builtin(
        "moonshot",
        "openai",
        "https://api.moonshot.ai/v1",
        keys=("MOONSHOT_API_KEY",),
        models_dev=("moonshotai",),
        created_known=False,
    ),
    Builtin(
        "moonshot-cn",
        "openai",
        "https://api.moonshot.cn/v1",
        keys=("MOONSHOT_API_KEY",),
        models_dev=("moonshotai-cn",),
        auto="no",
        created_known=False,
    ),
    Builtin(
        "zai", "openai", "https://api.z.ai/api/paas/v4", keys=("ZAI_API_KEY",), models_dev=("zai",)
    ),
    Builtin(
        "zhipu",
        "openai",
        "https://open.bigmodel.cn/api/paas/v4",
        keys=("ZHIPUAI_API_KEY", "ZHIPU_API_KEY"),
        models_dev=("zhipuai",),
    ),
    Builtin(
        "dashscope",
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/api/v1",
        keys=("DASHSCOPE_API_KEY",),
        models_dev=("alibaba",),
    ),
    Builtin(
        "dashscope-openai",
        "openai",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        keys=("DASHSCOPE_API_KEY",),
        models_dev=("alibaba",),
        auto="no",
    ),
    Builtin(
        "minimax",
        "openai",
        "https://api.minimax.io/v1",
        keys=("MINIMAX_API_KEY",),
        models_dev=("minimax",),
    ),
    Builtin(
        "minimax-anthropic",
        "anthropic",
        "https://api.minimax.io/anthropic",
        keys=("MINIMAX_API_KEY",),
        models_dev=("minimax",),
        auto="no",
    ),
    Builtin("elevenlabs", "elevenlabs", "https://api.elevenlabs.io", keys=("ELEVENLABS_API_KEY",)),
    Builtin(
        "venice",
        "venice",
        "https://api.venice.ai/api/v1",
        keys=("VENICE_API_KEY", "VENICE_AI_API_KEY"),
        key_optional=True,
        models_dev=("venice",),
    ),
    Builtin(
        "baseten",
        "openrouter_provider",
        "https://inference.baseten.co/v1",
        keys=("BASETEN_API_KEY",),
        models_dev=("baseten",),
    ),
    Builtin(
        "targon",
        "openrouter_provider",
        "https://api.targon.com/v1",
        keys=("TARGON_API_KEY",),
        key_optional=True,
    ),
    Builtin(
        "atlascloud",
        "openrouter_provider",
        "https://api.atlascloud.ai/v1",
        keys=("ATLASCLOUD_API_KEY",),
    ),
    Builtin(
        "chutes",
        "openrouter_provider",
        "https://llm.chutes.ai/v1",
        keys=("CHUTES_API_KEY",),
        key_optional=True,
        models_dev=("chutes",),
        price_unit="million",
        created_known=False,
    ),
    Builtin(
        "ovhcloud",
        "openrouter_provider",
        "https://catalog.endpoints.ai.ovh.net/rest/v2",
        keys=("OVHCLOUD_API_KEY",),
        key_optional=True,
        models_dev=("ovhcloud",),
        tail="/openrouter",
    ),
    Builtin(
        "redpill",
        "openrouter",
        "https://api.redpill.ai/v1",
        keys=("REDPILL_API_KEY",),
        tail="/models",
    ),
    Builtin(
        "friendli",
        "openai",
        "https://api.friendli.ai/serverless/v1",
        keys=("FRIENDLI_TOKEN",),
        models_dev=("friendli",),
        price_unit="million",
    ),
    Builtin(
        "featherless",
        "openai",
        "https://api.featherless.ai/v1",
        keys=("FEATHERLESS_API_KEY", "FEATHERLESS_AI_API_KEY"),
    ),
    Builtin(
        "poe",
        "openai",
        "https://api.poe.com/v1",
        keys=("POE_API_KEY",),
        key_optional=True,
        models_dev=("poe",),
    ),
    Builtin(
        "pollinations",
        "openai",
        "https://text.pollinations.ai/openai",
        keys=("POLLINATIONS_API_KEY",),
        key_optional=True,
        created_known=False,
    ),
    Builtin(
        "infermatic",
        "openai",
        "https://api.totalgpt.ai/v1",
        keys=("INFERMATIC_API_KEY",),
        created_known=False,
    ),
    Builtin(
        "hyperbolic",
        "openai",
        "https://api.hyperbolic.xyz/v1",
        keys=("HYPERBOLIC_API_KEY",),
        created_known=False,
    ),
    Builtin(
        "nebius",
        "openai",
        "https://api.tokenfactory.nebius.com/v1",
        keys=("NEBIUS_API_KEY",),
        models_dev=("nebius",),
        tail="/models?verbose=true",
        created_known=False,
    ),
    Builtin(
        "mancer",
        "openai",
        "https://neuro.mancer.tech/oai/v1",
        keys=("MANCER_API_KEY",),
        price_unit="million",
    ),
    Builtin(
        "llm7",
        "openai",
        "https://api.llm7.io/v1",
        keys=("LLM7_API_KEY",),
        key_optional=True,
        created_known=False,
    ),
    Builtin("aihorde", "openai", "https://oai.aihorde.net/v1", keys=("AIHORDE_KEY",)),
    Builtin(
        "aihubmix",
        "openai",
        "https://aihubmix.com/api/v1",
        keys=("AIHUBMIX_API_KEY",),
        models_dev=("aihubmix",),
    ),
    Builtin("aimlapi", "openai", "https://api.aimlapi.com/v1", keys=("AIML_API_KEY",)),
    Builtin("avian", "openai", "https://api.avian.io/v1", keys=("AVIAN_API_KEY",)),
    Builtin(
        "cortecs",
        "openai",
        "https://api.cortecs.ai/v1",
        keys=("CORTECS_API_KEY",),
        models_dev=("cortecs",),
    ),
    Builtin("enfer", "openai", "https://api.enfer.ai/v1", keys=("ENFER_API_KEY",)),
    Builtin(
        "inference-net",
        "openai",
        "https://api.inference.net/v1",
        keys=("INFERENCE_API_KEY", "INFERENCENET_API_KEY"),
        models_dev=("inference",),
    ),
    Builtin(
        "ionet",
        "openai",
        "https://api.intelligence.io.solutions/api/v1",
        keys=("IOINTELLIGENCE_API_KEY",),
        models_dev=("io-net",),
    ),
    Builtin(
        "morph",
        "openai",
        "https://api.morphllm.com/v1",
        keys=("MORPH_API_KEY", "MORPHLLM_API_KEY"),
        models_dev=("morph",),
    ),
    Builtin(
        "neuralwatt",
        "openai",
        "https://api.neuralwatt.com/v1",
        keys=("NEURALWATT_API_KEY",),
        models_dev=("neuralwatt",),
    ),
    Builtin(
        "opencode",
        "openai",
        "https://opencode.ai/zen/v1",
        keys=("OPENCODE_API_KEY",),
        models_dev=("opencode",),
    ),
    Builtin("parasail", "openai", "https://api.parasail.io/v1", keys=("PARASAIL_API_KEY",)),
    Builtin(
        "synthetic",
        "openai",
        "https://api.synthetic.new/openai/v1",
        keys=("SYNTHETIC_API_KEY",),
        models_dev=("synthetic",),
    ),
    Builtin(
        "ollama",
        "ollama",
        "http://127.0.0.1:11434",
        key_optional=True,
        base_url_variable="OLLAMA_HOST",
        auto="open",
        local=True,
    ),
    Builtin(
        "ollama-cloud",
        "ollama",
        "https://ollama.com",
        keys=("OLLAMA_API_KEY",),
        models_dev=("ollama-cloud",),
    ),
    Builtin(
        "lmstudio",
        "lmstudio",
        "http://127.0.0.1:1234",
        keys=("LM_API_TOKEN", "LMSTUDIO_API_KEY"),
        key_optional=True,
        models_dev=("lmstudio",),
        auto="no",
        local=True,
    ),
    Builtin(
        "vllm",
        "openai",
        "http://127.0.0.1:8000/v1",
        keys=("VLLM_API_KEY",),
        key_optional=True,
        auto="no",
        local=True,
    ),
    Builtin(
        "sglang", "openai", "http://127.0.0.1:30000/v1", key_optional=True, auto="no", local=True
    ),
    Builtin(
        "llamacpp", "llamacpp", "http://127.0.0.1:8080", key_optional=True, auto="no", local=True
    ),
    Builtin("tgi", "tgi", "http://127.0.0.1:8080", key_optional=True, auto="no", local=True),
    Builtin(
        "litellm",
        "litellm",
        "http://127.0.0.1:4000",
        keys=("LITELLM_PROXY_API_KEY", "LITELLM_API_KEY"),
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
