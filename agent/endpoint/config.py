"""The choice of endpoint, model and sampling: first flags, then the environment, then the built-in model."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
from pydantic import Field, SecretStr

from agent.credentials import bare_url, forms_of, secrets_in_url, without, without_credentials
from agent.endpoint.presets import Preset, preset_of
from agent.endpoint.providers import PROVIDERS, Provider, ProviderName, ReasoningField, provider_at, provider_name
from agent.errors import UsageError
from agent.local.models import DEFAULT_MODEL, MODELS
from agent.text import encodable
from sandbox.settings import Settings

MODEL_STUDIO_URL = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
MODEL_STUDIO_MODEL = "qwen3-coder-plus"
OPENAI_URL = "https://api.openai.com/v1"
RECORDED = "recorded:"
"""The prefix of a run directory that answers instead of a model."""
CACHES = ("implicit", "explicit")


class Endpoint(Settings):
    """An OpenAI-compatible endpoint and the model to ask there."""

    base_url: str
    model: str
    api_key: SecretStr = SecretStr("none")
    provider: ProviderName | None = None
    """The kind of server; None derives it from the host."""
    explicit_cache: bool = False
    """True if the messages are marked for the provider's explicit context cache."""

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """All fields, without the credentials in the URL: this is part of the repr of an agent."""
        return ((name, self.public_url if name == "base_url" else value) for name, value in super().__repr_args__())

    @property
    def public_url(self) -> str:
        """The URL without credentials."""
        return bare_url(self.base_url)

    def redacted(self, text: str) -> str:
        """The text without the secrets of this endpoint, which servers often repeat, and without similar ones."""
        return without_credentials(without(forms_of(self.secrets), text))

    @property
    def secrets(self) -> set[str]:
        """The values that must not be recorded: the key, and the credentials in the URL."""
        return {self.api_key.get_secret_value()} | secrets_in_url(self.base_url)

    @property
    def switches(self) -> Provider:
        """The switches that the server understands."""
        return PROVIDERS[self.provider] if self.provider else provider_at(self.base_url)

    @property
    def preset(self) -> Preset:
        """The preset of the model."""
        return preset_of(self.model)

    @property
    def reasoning_field(self) -> ReasoningField | None:
        """The field for the model's thinking in the history; None if it is not sent back."""
        return self.switches.reasoning or ("reasoning_content" if self.preset.reasoning_in_history else None)


class LocalModel(Settings):
    """The built-in model, or the user's model file, to be served locally."""

    name: str = DEFAULT_MODEL.name

    def endpoint(self, base_url: str, api_key: str = "none") -> Endpoint:
        """The endpoint that serves it."""
        return Endpoint(base_url=base_url, model=self.name, api_key=SecretStr(api_key), provider="llama_cpp")


class RecordedModel(Settings):
    """A recorded run that answers instead of a model."""

    run: Path


class Sampling(Settings):
    """The sampling of a model. A value that is None is set by the model's preset, or else by the endpoint."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_output_tokens: int | None = Field(None, ge=1)
    """The most output tokens of one turn."""
    seed: int | None = None
    thinking: bool | None = None
    """True if a model that can think does so; None leaves it to the endpoint."""
    thinking_budget: int | None = Field(None, ge=1)
    """The most tokens of thinking in one turn."""

    def with_seed(self, seed: int | None) -> "Sampling":
        """This sampling, with `seed` if it has no seed."""
        return self if self.seed is not None else self.model_copy(update={"seed": seed})

    def within(self, max_output_tokens: int | None) -> "Sampling":
        """This sampling, with at most so many output tokens in a turn; None is no further bound."""
        bounds = [bound for bound in (self.max_output_tokens, max_output_tokens) if bound is not None]
        return self.model_copy(update={"max_output_tokens": min(bounds, default=None)})

    def for_endpoint(self, endpoint: Endpoint) -> "Sampling":
        """This sampling with the values of the model's preset. Raises UsageError if thinking cannot be switched so."""
        _check_thinking(self, endpoint)
        preset = endpoint.preset
        unset = {
            name: getattr(preset, name)
            for name in ("temperature", "top_p", "max_output_tokens", "seed")
            if getattr(self, name) is None
        }
        return self.model_copy(update=unset)


def _check_thinking(sampling: Sampling, endpoint: Endpoint) -> None:
    model, known, switches = endpoint.model, endpoint.preset.thinking, endpoint.switches
    thinking, budget_tokens = sampling.thinking, sampling.thinking_budget
    plain = f"cellblock run --model {shlex.quote(model)} ..."
    if thinking is False and known == "only":
        raise UsageError(
            f"Model {model!r} always thinks: it takes no --no-thinking.",
            hint=plain,
            in_python="Sampling(thinking=None)",
        )
    if thinking and known == "none":
        raise UsageError(
            f"Model {model!r} does not think: it takes no --thinking.", hint=plain, in_python="Sampling(thinking=None)"
        )
    if budget_tokens is not None and not thinking and (thinking is False or known != "only"):
        raise UsageError(
            f"--thinking-budget {budget_tokens} bounds thinking that was not asked for.",
            hint=f"cellblock run --thinking --thinking-budget {budget_tokens} ...",
            in_python=f"Sampling(thinking=True, thinking_budget={budget_tokens})",
        )
    if thinking is not None and known in (None, "hybrid") and switches.thinking is None:
        raise _no_switch(endpoint, "--thinking" if thinking else "--no-thinking", "thinking")
    if budget_tokens is not None and switches.thinking_budget is None:
        raise _no_switch(endpoint, f"--thinking-budget {budget_tokens}", "thinking_budget")


def _no_switch(endpoint: Endpoint, flag: str, switch: str) -> UsageError:
    able = "|".join(name for name, provider in PROVIDERS.items() if getattr(provider, switch))
    return UsageError(
        f"{flag} has no known meaning for the endpoint {endpoint.public_url!r} (provider {endpoint.switches.name!r}).",
        hint=f"cellblock run --provider {able} ...",
        in_python=f"Agent(provider=NAME, ...), NAME being one of {able}",
    )


def choose_model(
    *,
    model: str | None,
    base_url: str | None,
    api_key: str | None,
    environ: Mapping[str, str],
    provider: str | None = None,
) -> Endpoint | LocalModel | RecordedModel:
    """The endpoint named by the arguments and the environment, or else the built-in model; or a recorded run.

    Raises UsageError if they name an endpoint without a model, an invalid URL, or an unknown provider.
    """
    model = model or environ.get("CELLBLOCK_MODEL")
    if model and model.startswith(RECORDED):
        return RecordedModel(run=Path(model.removeprefix(RECORDED)))
    if model in MODELS and not base_url:
        return _local(model, provider, environ)
    for url, key, default_model in ((base_url, api_key, None), *_named_in(environ)):
        if url:
            endpoint = _endpoint(url, api_key or key, model or default_model)
            return _with_switches(endpoint, provider or environ.get("CELLBLOCK_PROVIDER"), environ)
    if model is None:
        return _local(DEFAULT_MODEL.name, provider, environ)
    known = ", ".join(sorted(MODELS))
    raise UsageError(
        f"Model {model!r} is not built in ({known}), and no endpoint is named for it.",
        hint=f"cellblock run --model {shlex.quote(model)} --base-url URL ...",
        in_python=f"Agent(model={model!r}, base_url=URL)",
    )


def with_key(endpoint: Endpoint, environ: Mapping[str, str]) -> Endpoint:
    """The endpoint with the key, and the credentials in its URL, from the environment."""
    for url, key, _ in _named_in(environ):
        if url and Endpoint(base_url=url, model=endpoint.model).public_url == endpoint.public_url:
            return endpoint.model_copy(update={"base_url": url, "api_key": SecretStr(key or "none")})
    return endpoint


def endpoint_of_record(endpoint: Endpoint, base_url: str | None, environ: Mapping[str, str]) -> Endpoint:
    """The endpoint that a record names, or the same model at `base_url`, with its key from the environment.

    The record may come from a stranger, and the whole history is sent to its endpoint. Raises UsageError if neither
    `base_url` nor the environment names the URL.
    """
    if base_url:
        named = _endpoint(base_url, None, endpoint.model)
        return with_key(endpoint.model_copy(update={"base_url": named.base_url}), environ)
    own = [_endpoint(url, None, endpoint.model).public_url for url, _, _ in _named_in(environ) if url]
    if endpoint.public_url not in own:
        raise UsageError(
            f"The run asked the endpoint {endpoint.public_url!r}, which none of your settings names; its whole history "
            "would be sent there.",
            hint=f"the same command with --base-url {shlex.quote(endpoint.public_url)}, if you trust it",
            in_python=f"base_url={endpoint.public_url!r}, if you trust it",
        )
    return with_key(endpoint, environ)


def _named_in(environ: Mapping[str, str]) -> list[tuple[str | None, str | None, str | None]]:
    """URL, key and default model of each endpoint in the environment."""
    return [
        (environ.get("CELLBLOCK_BASE_URL"), environ.get("CELLBLOCK_API_KEY"), None),
        (_openai_url(environ), environ.get("OPENAI_API_KEY"), None),
        (_model_studio_url(environ), environ.get("DASHSCOPE_API_KEY"), MODEL_STUDIO_MODEL),
    ]


def _local(name: str, provider: str | None, environ: Mapping[str, str]) -> LocalModel:
    """The built-in model, or the user's model file under the name of the file."""
    if provider and provider_name(provider) != "llama_cpp":
        raise UsageError(
            f"The built-in model {name!r} has no provider {provider!r}.",
            hint=f"cellblock run --provider {shlex.quote(provider)} --model NAME --base-url URL ...",
            in_python=f"Agent(provider={provider!r}, model=NAME, base_url=URL)",
        )
    own = environ.get("CELLBLOCK_MODEL_FILE")
    return LocalModel(name=Path(own).stem if own else name)


def _with_switches(endpoint: Endpoint, provider: str | None, environ: Mapping[str, str]) -> Endpoint:
    name = provider_name(provider) if provider else provider_at(endpoint.base_url).name
    cache = environ.get("CELLBLOCK_CACHE") or "implicit"
    if cache not in CACHES or (cache == "explicit" and not PROVIDERS[name].cache_markers):
        able = ", ".join(provider.name for provider in PROVIDERS.values() if provider.cache_markers)
        raise UsageError(
            f"CELLBLOCK_CACHE cannot be {cache!r} for the provider {name!r}: it is implicit, or explicit for {able}.",
            hint="unset CELLBLOCK_CACHE",
        )
    return endpoint.model_copy(update={"provider": name, "explicit_cache": cache == "explicit"})


def _openai_url(environ: Mapping[str, str]) -> str | None:
    return environ.get("OPENAI_BASE_URL") or (OPENAI_URL if environ.get("OPENAI_API_KEY") else None)


def _model_studio_url(environ: Mapping[str, str]) -> str | None:
    return MODEL_STUDIO_URL if environ.get("DASHSCOPE_API_KEY") else None


def _endpoint(url: str, api_key: str | None, model: str | None) -> Endpoint:
    url, api_key = url.strip(), (api_key or "").strip()
    host = _host_of(url)
    if not host:
        shown = url.rpartition("@")[2].partition("?")[0]  # the rest may be a password or a key
        raise UsageError(
            f"{shown!r} is not an http(s) URL.",
            hint="cellblock run --base-url http://HOST:PORT/v1 ...",
            in_python='Agent(base_url="http://HOST:PORT/v1", ...)',
        )
    if not model:
        raise UsageError(
            f"The endpoint {host!r} needs the name of a model.",
            hint="cellblock run --model NAME ... (or set CELLBLOCK_MODEL)",
            in_python="Agent(model=NAME, ...), or set CELLBLOCK_MODEL",
        )
    if encodable(model) != model:
        raise UsageError(f"The name of the model is not valid UTF-8: {model!r}.", hint="export LANG=C.UTF-8")
    if odd := next((place for place, char in enumerate(api_key, 1) if not "!" <= char <= "~"), None):
        raise UsageError(
            f"The API key cannot be sent: its character {odd} is not printable ASCII.",
            hint="export CELLBLOCK_API_KEY=KEY",
            in_python="Agent(api_key=KEY)",
        )
    return Endpoint(base_url=url, model=model, api_key=SecretStr(api_key or "none"))


def _host_of(url: str) -> str | None:
    """The host of an http(s) URL; None for other text."""
    try:
        parts = httpx2.URL(url)
    except httpx2.InvalidURL:
        return None
    is_sendable = parts.scheme in ("http", "https") and (parts.port is None or 0 < parts.port < 65536)
    return parts.host if is_sendable else None
