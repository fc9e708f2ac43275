"""Region and credentials of AWS: from the caller, the environment and the files in `~/.aws`.

The order and the names are those of AWS's own tools
(https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html, 2026-11-28). Only
`resolve` calls this. Credentials that have to be fetched (a role, SSO, the machine's own) are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser, Error as ConfigError
from pathlib import Path
from typing import Any

from .errors import AuthenticationError, BadRequestError

_KEY_ID, _SECRET, _TOKEN = "aws_access_key_id", "aws_secret_access_key", "aws_session_token"
_FETCHED = (
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "sso_session",
    "sso_start_url",
)
"""Settings of a profile whose credentials another program or service gives."""


def region(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The region, where the caller gave none: of the environment, else of the profile."""
    if "aws_region_name" in options:
        return {}
    names = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
    found = next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
    found = found or _profile(_profile_name(options, environ), environ).get("region")
    return {"aws_region_name": found} if found else {}


def credentials(options: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The credentials, where the caller gave none; they belong together, from one place.

    A profile that the caller names goes before the environment, which goes before the default
    profile. Nothing where there are none. Raises `BadRequestError` if the caller names no profile
    that there is, and `AuthenticationError` for one whose credentials would have to be fetched.
    """
    if _KEY_ID in options or _SECRET in options:
        return {}
    if "aws_profile_name" not in options:
        found = {name: environ.get(name.upper(), "").strip() for name in (_KEY_ID, _SECRET, _TOKEN)}
        if found[_KEY_ID] and found[_SECRET]:
            return {name: value for name, value in found.items() if value}
    name = _profile_name(options, environ)
    profile = _profile(name, environ)
    if not profile and name != "default":
        raise BadRequestError(
            f"There is no profile {name!r} in AWS's files (~/.aws/credentials, ~/.aws/config).",
            param="aws_profile_name",
        )
    if profile.get(_KEY_ID) and profile.get(_SECRET):
        names = (_KEY_ID, _SECRET, _TOKEN)
        return {name: profile[name] for name in names if profile.get(name)}
    fetched = next((setting for setting in _FETCHED if setting in profile), None)
    if fetched is not None:
        raise AuthenticationError(
            f"The AWS profile {name!r} gets its credentials by {fetched}, which is not done here: "
            f"run `aws configure export-credentials --profile {name} --format env` and set what "
            "it prints."
        )
    return {}


def _profile_name(options: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    given = options.get("aws_profile_name") or environ.get("AWS_PROFILE", "").strip()
    return str(given or environ.get("AWS_DEFAULT_PROFILE", "").strip() or "default")


def _profile(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of a profile in both files; those of the file of credentials go first."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser() / ".aws"
    config = Path(environ.get("AWS_CONFIG_FILE") or home / "config").expanduser()
    secrets = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials").expanduser()
    section = name if name == "default" else f"profile {name}"
    return {**_section(config, section), **_section(secrets, name)}


def _section(path: Path, name: str) -> dict[str, str]:
    # Without a section of its own for defaults: `[DEFAULT]` means nothing to AWS.
    parser = ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        parser.read_string(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}
    except ConfigError:
        raise BadRequestError(f"{path} cannot be read: it does not have the form of AWS.") from None
    return dict(parser[name]) if parser.has_section(name) else {}
