"""The certificates that the environment trusts, by the variables of OpenSSL, requests and curl."""

import os
import re
import shlex
import ssl
from collections.abc import Mapping
from pathlib import Path

from agent.errors import UsageError

OF_OPENSSL = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Both count together."""
OF_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""A file or a directory; the first counts, if OpenSSL's are not set."""

_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")


def named_certificates(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """The variables that count, and their paths; empty if the system's certificates do."""
    of_openssl, of_others = (
        [(name, environ[name]) for name in names if environ.get(name)] for names in (OF_OPENSSL, OF_OTHERS)
    )
    return of_openssl or of_others[:1]


def own_context(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """A context that trusts the certificates that the environment names; None if it names none. Raises UsageError."""
    named = named_certificates(environ)
    if not named:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as in curl: what the user trusts need not be a root
    for variable, path in named:
        load_certificates(context, variable, path)
    return context


def load_certificates(context: ssl.SSLContext, variable: str, path: str) -> None:
    """Let the context trust the certificates of a variable. Raises UsageError, which names it."""
    hint = f"unset {variable}, or set it to your certificates in PEM form"
    try:
        if variable == "SSL_CERT_DIR" or (variable in OF_OTHERS and Path(path).is_dir()):
            _check_hashed(variable, path)
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        why = "Is a directory" if Path(path).is_dir() else "it holds no certificate in PEM form"
        raise UsageError(f"{variable} names {path!r}, which cannot be used: {why}.", hint=hint) from error
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error)
        raise UsageError(f"{variable} names {path!r}, which cannot be read: {why}.", hint=hint) from error


def _check_hashed(variable: str, path: str) -> None:
    """OpenSSL ignores what is missing, and finds a certificate only under its hash. Raises OSError, UsageError."""
    there = [Path(part) for part in path.split(os.pathsep) if Path(part).is_dir()]
    names = [entry.name for folder in there or [Path(path)] for entry in folder.iterdir()]
    if not any(map(_HASHED_NAME.fullmatch, names)):
        raise UsageError(
            f"{variable} names {path!r}, which has no certificate under its hash.",
            hint=f"openssl rehash {shlex.quote(path)}",
        )
