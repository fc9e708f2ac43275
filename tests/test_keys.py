"""Keys from the environment: each one from its own variable, to its own host, and nowhere else."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from llmroute.errors import AuthenticationError, BadRequestError
from llmroute.providers import get_provider, provider_names
from llmroute.providers.base import Provider
from llmroute.resolve import resolve

ALL: dict[str, Provider] = {name: get_provider(name) for name in provider_names()}
REMOTE = {name: row for name, row in ALL.items() if row.base_url or row.base_env}
HOSTED = {name: row for name, row in REMOTE.items() if not row.key_to_any_host}
OWN = {name: row for name, row in REMOTE.items() if row.key_to_any_host}
ELSEWHERE = "https://elsewhere.example/v1"
MANY_HOSTS = {name: row for name, row in HOSTED.items() if row.own_hosts}
ONE_OF_THEM = {
    "azure": "https://mine.openai.azure.com",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
}

EVERY_KEY = {
    variable: f"key-of-{name}-in-{variable}"
    for name, row in ALL.items()
    for variable in row.key_env
}


def own_base(name: str) -> str:
    """A URL that the provider's own key may go to."""
    return ONE_OF_THEM.get(name) or REMOTE[name].base_url or "http://localhost:4000"


def key_sent(name: str, environ: dict[str, str], **given: Any) -> str | None:
    return resolve(f"{name}/m", environ=environ, **given).api_key


def test_the_table_is_about_something() -> None:
    assert set(MANY_HOSTS) == set(ONE_OF_THEM)
    assert len(HOSTED) >= 20
    assert set(OWN) >= {"hosted_vllm", "litellm_proxy", "llamafile", "lm_studio", "ollama"}


def test_no_two_services_read_the_same_variable() -> None:
    """Two prefixes of one host, such as two protocols of Google's, may share their key."""
    hosts: dict[str, set[str]] = {}
    for name, row in ALL.items():
        for variable in row.key_env:
            hosts.setdefault(variable, set()).add(urlsplit(row.base_url or f"//{name}").netloc)
    assert {variable: found for variable, found in hosts.items() if len(found) > 1} == {}
    bases = [variable for row in ALL.values() for variable in row.base_env]
    assert len(set(bases)) == len(bases)


@pytest.mark.parametrize("name", [name for name, row in ALL.items() if row.base_url])
def test_a_provider_sends_its_own_key_to_its_own_host(name: str) -> None:
    row = ALL[name]
    place = resolve(f"{name}/m", environ=EVERY_KEY)
    assert place.api_base == row.base_url
    assert place.api_key == EVERY_KEY[row.key_env[0]]
    assert resolve(f"{name}/m", api_base=f"{row.base_url}/", environ=EVERY_KEY) == place


@pytest.mark.parametrize(
    ("name", "variable"),
    [(name, variable) for name, row in REMOTE.items() for variable in row.key_env],
)
def test_each_of_its_variables_is_read_and_an_empty_one_is_none(name: str, variable: str) -> None:
    base = own_base(name)
    environ = {**dict.fromkeys(REMOTE[name].key_env, " "), variable: " the-key\n"}
    assert key_sent(name, environ, api_base=base) == "the-key"


@pytest.mark.parametrize("name", HOSTED)
@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://elsewhere.example",
        "http://{host}/v1",
        "https://{host}:8443/v1",
        "https://{host}.elsewhere.example/v1",
        "https://{host}@elsewhere.example/v1",
        "https://elsewhere.example/{host}",
        "https://elsewhere.example?{host}",
        "https://elsewhere.example#{host}",
    ],
)
def test_a_hosted_providers_key_goes_to_no_other_host(name: str, elsewhere: str) -> None:
    host = own_base(name).partition("://")[2].partition("/")[0]
    assert key_sent(name, EVERY_KEY, api_base=elsewhere.format(host=host)) is None


@pytest.mark.parametrize("name", OWN)
def test_software_one_runs_oneself_gets_its_own_key_wherever_it_runs(name: str) -> None:
    own = EVERY_KEY[OWN[name].key_env[0]]
    assert key_sent(name, EVERY_KEY, api_base=ELSEWHERE) == own


@pytest.mark.parametrize("name", REMOTE)
def test_the_base_urls_own_variable_takes_the_key_along(name: str) -> None:
    row = REMOTE[name]
    for variable in row.base_env:
        place = resolve(f"{name}/m", environ={**EVERY_KEY, variable: ELSEWHERE})
        assert place.api_base == ELSEWHERE
        assert place.api_key == EVERY_KEY[row.key_env[0]]


@pytest.mark.parametrize("name", REMOTE)
def test_a_key_of_the_caller_goes_where_the_caller_says(name: str) -> None:
    place = resolve(f"{name}/m", api_key="mine", api_base=ELSEWHERE, environ=EVERY_KEY)
    assert (place.api_base, place.api_key) == (ELSEWHERE, "mine")


@pytest.mark.parametrize("name", REMOTE)
def test_another_providers_key_never_helps(name: str) -> None:
    others = {k: v for k, v in EVERY_KEY.items() if k not in REMOTE[name].key_env}
    base = own_base(name)
    if not REMOTE[name].key_required:
        assert key_sent(name, others, api_base=base) is None
        return
    with pytest.raises(AuthenticationError) as caught:
        key_sent(name, others, api_base=base)
    assert REMOTE[name].key_env[0] in str(caught.value)
    assert caught.value.provider == name
    assert not any(variable in str(caught.value) for variable in others)


@pytest.mark.parametrize("name", [name for name, row in HOSTED.items() if row.key_required])
def test_a_hosted_provider_needs_a_key_and_names_its_variables(name: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        resolve(f"{name}/m", environ={})
    assert all(variable in caught.value.message for variable in HOSTED[name].key_env)
    assert "api_key=" in caught.value.message


@pytest.mark.parametrize("name", [name for name, row in REMOTE.items() if row.base_url is None])
def test_without_a_url_of_its_own_the_error_names_the_variable(name: str) -> None:
    with pytest.raises(BadRequestError, match=REMOTE[name].base_env[0]):
        resolve(f"{name}/m", environ={})


@pytest.mark.parametrize("base", ["localhost:8000", "ftp://h/v1", "https://", "//h", "h"])
def test_a_url_that_is_none(base: str) -> None:
    with pytest.raises(BadRequestError, match="http:// or https://"):
        resolve("openai/m", api_base=base, api_key="k", environ={})


def test_blanks_around_a_key_and_a_url_are_no_part_of_them() -> None:
    place = resolve("openai/m", api_key=" sk-1\n", api_base=" http://h/v1/ \n", environ={})
    assert (place.api_key, place.api_base) == ("sk-1", "http://h/v1")


def test_the_environment_is_read_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-now")
    assert resolve("openai/m").api_key == "sk-now"


def test_a_deployment_shows_no_key() -> None:
    there = {"api_base": "http://me:mine@h/v1?key=mine"}
    assert "mine" not in repr(resolve("openai/m", api_key="mine", environ={}, **there))
