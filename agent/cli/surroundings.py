"""The doctor's checks of the proxies and certificates that the environment names."""

import shlex
import ssl
from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from agent.certificates import OF_OPENSSL, OF_OTHERS, load_certificates, named_certificates
from agent.errors import UsageError
from agent.proxies import KINDS, entries_of, is_exempt, named_for, named_for_url, no_proxy, parsed
from sandbox import Check

HERE = ("localhost", "127.0.0.1", "::1")


def check_surroundings(base_url: str | None, environ: Mapping[str, str]) -> list[Check]:
    """The checks of variables that have an effect or are wrong. `base_url` is the endpoint; None if there is none.

    A wrong variable is a failure if the endpoint needs it, else a warning: other programs may need it.
    """
    return [*_proxies(base_url, environ), *_no_proxy(environ), *_certificates(base_url, environ)]


def _proxies(base_url: str | None, environ: Mapping[str, str]) -> Iterator[Check]:
    used = base_url and named_for_url(base_url, environ)
    for named in filter(None, (named_for(kind, environ) for kind in KINDS)):
        try:
            proxy = parsed(*named)
        except UsageError as error:
            yield Check("proxy", "FAIL" if named == used else "warn", error.message, error.hint)
        else:
            effect = "leads to the endpoint" if named == used else "is not used for the model"
            yield Check("proxy", "ok", f"{proxy.url} of {proxy.variable} {effect}")


def _no_proxy(environ: Mapping[str, str]) -> Iterator[Check]:
    if not any(named_for(kind, environ) for kind in KINDS):
        return
    name, listed = no_proxy(environ)
    for entry in entries_of(listed):
        if "/" in entry and not _is_network(entry):
            yield Check("proxy", "warn", f"{name} has the entry {entry!r}, which is no network", f"unset {name}")
    if missing := [host for host in HERE if not is_exempt(host, None, listed)]:
        whole = ",".join([*filter(None, [listed.strip(", ")]), *missing])
        detail = f"{name} does not list {', '.join(missing)}; Cellblock reaches this machine directly all the same"
        yield Check("proxy", "warn", detail, f"export {name}={shlex.quote(whole)}")


def _certificates(base_url: str | None, environ: Mapping[str, str]) -> Iterator[Check]:
    needs_tls = base_url is not None and base_url.startswith("https://")
    counting = named_certificates(environ) if needs_tls else []
    for named in ((name, environ[name]) for name in (*OF_OPENSSL, *OF_OTHERS) if environ.get(name)):
        try:
            load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), *named)
        except UsageError as error:
            yield Check("certificates", "FAIL" if named in counting else "warn", error.message, error.hint)
        else:
            if named in counting:
                yield Check("certificates", "ok", f"trusted are those of {named[0]}={named[1]!r}")


def _is_network(entry: str) -> bool:
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True
