"""The values of JSON Schema's `format` that a model is held to, each as a pattern.

All are narrower than their standards, so that every checker takes what is written: dates lie in the
years 1000 to 2999, times have an offset, hosts are ASCII. Other formats are annotations.
"""

from __future__ import annotations

_LEAP = r"([12][0-9](0[48]|[2468][048]|[13579][26])|(12|16|20|24|28)00)-02-29"  # every leap year
_DATE = (
    r"([12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|" + _LEAP + ")"
)
_TIME = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[+\-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"({_OCTET}\.){{3}}{_OCTET}"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,30}[A-Za-z0-9])?"
_DOMAIN = rf"({_LABEL}\.){{1,4}}[A-Za-z]{{2,18}}"
_PATH = r"([A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})"
_SECONDS = r"[0-9]{1,4}S"
_MINUTES = rf"[0-9]{{1,4}}M({_SECONDS})?"
_HOURS = rf"[0-9]{{1,4}}H({_MINUTES})?"
_HEX = "[0-9a-fA-F]"


def _uuid(version: str) -> str:
    return rf"^{_HEX}{{8}}-{_HEX}{{4}}-{version}{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}$"


PATTERNS: dict[str, str] = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "duration": rf"^P([0-9]{{1,4}}D(T({_HOURS}|{_MINUTES}|{_SECONDS}))?"
    rf"|T({_HOURS}|{_MINUTES}|{_SECONDS}))$",
    "uuid": rf"^{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$",
    # pydantic's names for one version.
    **{f"uuid{version}": _uuid(str(version)) for version in range(1, 9)},
    "email": rf"^[A-Za-z0-9_+\-]{{1,40}}(\.[A-Za-z0-9_+\-]{{1,20}}){{0,3}}@{_DOMAIN}$",
    "hostname": f"^{_DOMAIN}$",
    "ipv4": f"^{_IPV4}$",
    "ipv6": rf"^({_HEX}{{1,4}}:){{7}}{_HEX}{{1,4}}$",
    "uri": rf"^[a-z][a-z0-9+.\-]{{1,20}}://({_LABEL}|{_DOMAIN}|{_IPV4})(:[1-9][0-9]{{0,3}})?"
    rf"(/{_PATH}*)?(\?({_PATH}|\?)*)?(#({_PATH}|\?)*)?$",
}
