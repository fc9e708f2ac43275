"""AWS's region and credentials: each from one place, in the order of AWS's own tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest

from llmroute import AuthenticationError, BadRequestError
from llmroute.resolve import resolve

CREDENTIALS = """
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key = default%secret

[work]
aws_access_key_id=AKIAWORK
aws_secret_access_key=worksecret
aws_session_token=worktoken

[empty]
"""
CONFIG = """
[default]
region = eu-central-1

[profile work]
region = eu-west-1

[profile inline]
aws_access_key_id = AKIAINLINE
aws_secret_access_key = inlinesecret

[profile role]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = default

[profile process]
credential_process = /bin/x
"""
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "envsecret"}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(CREDENTIALS, "utf-8")
    (folder / "config").write_text(CONFIG, "utf-8")
    return {"HOME": str(tmp_path)}


def options(environ: dict[str, str], **given: Any) -> dict[str, Any]:
    return dict(resolve("bedrock/m", given=given, environ=environ).model_kwargs)


@pytest.mark.parametrize(
    ("environ", "key_id", "region"),
    [
        ({}, "AKIADEFAULT", "eu-central-1"),
        ({"AWS_PROFILE": "work"}, "AKIAWORK", "eu-west-1"),
        ({"AWS_DEFAULT_PROFILE": "work"}, "AKIAWORK", "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-east-2"}, "AKIADEFAULT", "us-east-2"),
        (KEYS, "AKIAENV", "eu-central-1"),
        ({**KEYS, "AWS_PROFILE": "work"}, "AKIAENV", "eu-west-1"),
        ({"AWS_PROFILE": "inline", "AWS_DEFAULT_REGION": "us-east-2"}, "AKIAINLINE", "us-east-2"),
    ],
)
def test_settings_are_those_that_botocore_finds(
    environ: dict[str, str],
    key_id: str,
    region: str,
    home: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = options({**home, **environ})
    assert (found["aws_access_key_id"], found["aws_region_name"]) == (key_id, region)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", *KEYS, "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**home, **environ}.items():
        monkeypatch.setenv(name, value)
    session = botocore.session.Session()
    theirs = session.get_credentials()
    assert (theirs.access_key, theirs.secret_key) == (key_id, found["aws_secret_access_key"])
    assert theirs.token == found.get("aws_session_token")
    assert session.get_config_variable("region") == region


def test_settings_of_a_profile_that_the_caller_names(home: dict[str, str]) -> None:
    found = options({**home, **KEYS, "AWS_SESSION_TOKEN": "envtoken"}, aws_profile_name="work")
    assert found["aws_access_key_id"] == "AKIAWORK"
    assert found["aws_session_token"] == "worktoken"
    assert found["aws_region_name"] == "eu-west-1"


def test_settings_of_the_caller_are_not_mixed_with_others(home: dict[str, str]) -> None:
    environ = {**home, **KEYS, "AWS_SESSION_TOKEN": "envtoken", "AWS_BEARER_TOKEN_BEDROCK": "key"}
    given = {"aws_access_key_id": "AKIAMINE", "aws_secret_access_key": "mine"}
    place = resolve("bedrock/m", given=given, environ=environ)
    assert place.model_kwargs == {**given, "aws_region_name": "eu-central-1"}
    assert place.api_key is None
    named = resolve("bedrock/m", given={"aws_profile_name": "work"}, environ=environ)
    assert named.api_key is None


def test_settings_with_a_bearer_key_need_no_credentials(home: dict[str, str]) -> None:
    place = resolve("bedrock/m", environ={**home, "AWS_BEARER_TOKEN_BEDROCK": "key"})
    assert place.api_key == "key"
    assert place.model_kwargs == {"aws_region_name": "eu-central-1"}


def test_settings_from_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("[default]\nregion = sa-east-1\n", "utf-8")
    (tmp_path / "s").write_text(CREDENTIALS, "utf-8")
    environ = {
        "AWS_CONFIG_FILE": str(tmp_path / "c"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "s"),
    }
    found = options(environ)
    assert (found["aws_region_name"], found["aws_access_key_id"]) == ("sa-east-1", "AKIADEFAULT")


def test_settings_go_to_own_hosts_only(home: dict[str, str]) -> None:
    away = resolve("bedrock/m", api_base="https://elsewhere.example", environ={**home, **KEYS})
    assert away.model_kwargs == {"aws_region_name": "eu-central-1"}
    for host in (
        "bedrock-runtime.us-west-2.amazonaws.com",
        "bedrock-runtime-fips.us-west-2.amazonaws.com",
        "vpce-0a1b-c.bedrock-runtime.us-west-2.vpce.amazonaws.com",
        "bedrock-runtime.cn-north-1.amazonaws.com.cn",
    ):
        ours = resolve("bedrock/m", api_base=f"https://{host}", environ={**home, **KEYS})
        assert ours.model_kwargs["aws_access_key_id"] == "AKIAENV"
    own = {"AWS_BEDROCK_RUNTIME_ENDPOINT": "https://elsewhere.example"}
    place = resolve("bedrock/m", environ={**home, **KEYS, **own})
    assert place.model_kwargs["aws_access_key_id"] == "AKIAENV"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-west-2", "https://bedrock-runtime.us-west-2.amazonaws.com"),
        ("cn-north-1", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_region_names_the_host(region: str, host: str) -> None:
    place = resolve("bedrock/m", given={"aws_region_name": region}, environ={"HOME": "/nowhere"})
    assert place.api_base == host


@pytest.mark.parametrize("profile", ["role", "process"])
def test_settings_that_would_have_to_be_fetched(profile: str, home: dict[str, str]) -> None:
    with pytest.raises(AuthenticationError, match=f"export-credentials --profile {profile}"):
        options({**home, "AWS_REGION": "us-east-1"}, aws_profile_name=profile)


def test_settings_of_a_profile_that_is_not_there(home: dict[str, str]) -> None:
    with pytest.raises(BadRequestError, match="no profile 'nowhere'"):
        options({**home, "AWS_REGION": "us-east-1"}, aws_profile_name="nowhere")
    assert options({**home, "AWS_REGION": "us-east-1"}, aws_profile_name="work")
    with pytest.raises(BadRequestError, match="aws_region_name"):
        options({"HOME": "/nowhere"})


def test_settings_in_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("no section", "utf-8")
    with pytest.raises(BadRequestError, match="cannot be read"):
        options({"AWS_CONFIG_FILE": str(tmp_path / "c"), "HOME": str(tmp_path)})
