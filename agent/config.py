"""Which endpoint, which model, how sampled: flags first, then the environment, then the built-in model."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from agent.errors import UsageError
from agent.local.models import DEFAULT_MODEL, MODELS

MODEL_STUDIO_URL = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
MODEL_STUDIO_MODEL = "qwen3-coder-plus"
OPENAI_URL = "https://api.openai.com/v1"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoint(_Value):
    """An OpenAI-compatible endpoint and the model to ask there."""

    base_url: str
    model: str
    api_key: SecretStr = SecretStr("none")

    @property
    def public_url(self) -> str:
        """The URL without the credentials that it may carry."""
        parts = urlsplit(self.base_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class LocalModel(_Value):
    """The built-in model, to be served by ourselves."""

    name: str = DEFAULT_MODEL.name


class Sampling(_Value):
    """How the model is sampled."""

    temperature: float = Field(0.2, ge=0, le=2)
    """Low, as Qwen advises for code."""
    top_p: float | None = Field(None, gt=0, le=1)
    """None leaves it to the endpoint."""
    max_output_tokens: int | None = Field(None, ge=1)
    """Of one turn; None leaves it to the endpoint."""
    seed: int | None = None
    """None leaves it to the endpoint."""


def choose_model(
    *, model: str | None, base_url: str | None, api_key: str | None, environ: Mapping[str, str]
) -> Endpoint | LocalModel:
    """The endpoint that the arguments and the environment name, or else the built-in model.

    Raises UsageError where they name an endpoint but no model, or a URL that is none.
    """
    model = model or environ.get("CELLBLOCK_MODEL")
    if model in MODELS and not base_url:
        return LocalModel(name=model)
    candidates = (
        (base_url, api_key, None),
        (environ.get("CELLBLOCK_BASE_URL"), environ.get("CELLBLOCK_API_KEY"), None),
        (_openai_url(environ), environ.get("OPENAI_API_KEY"), None),
        (_model_studio_url(environ), environ.get("DASHSCOPE_API_KEY"), MODEL_STUDIO_MODEL),
    )
    for url, key, default_model in candidates:
        if url:
            return _endpoint(url, api_key or key, model or default_model)
    if model is None:
        return LocalModel()
    known = ", ".join(sorted(MODELS))
    raise UsageError(
        f"Model {model!r} is not built in ({known}), and no endpoint is named for it.",
        mend=f"cellblock run --model {model} --base-url URL ...",
    )


def _openai_url(environ: Mapping[str, str]) -> str | None:
    return environ.get("OPENAI_BASE_URL") or (OPENAI_URL if environ.get("OPENAI_API_KEY") else None)


def _model_studio_url(environ: Mapping[str, str]) -> str | None:
    return MODEL_STUDIO_URL if environ.get("DASHSCOPE_API_KEY") else None


def _endpoint(url: str, api_key: str | None, model: str | None) -> Endpoint:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url!r} is not an http(s) URL.", mend="cellblock run --base-url http://HOST:PORT/v1 ...")
    if not model:
        raise UsageError(
            f"The endpoint {parts.hostname!r} needs the name of a model.",
            mend="cellblock run --model NAME ... (or set CELLBLOCK_MODEL)",
        )
    return Endpoint(base_url=url, model=model, api_key=SecretStr(api_key or "none"))
