"""The values of JSON Schema's `format`, each as a pattern of what is written for it.

All are narrower than their standards, so that every checker takes what is written: dates lie in the
years 1000 to 2999, times have an offset, hosts have dots.
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
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9\-]{0,30}[A-Za-z0-9])?"
_HOST = rf"({_LABEL}\.){{1,4}}[A-Za-z]{{2,18}}"
_SECONDS = r"[0-9]{1,4}S"
_MINUTES = rf"[0-9]{{1,4}}M({_SECONDS})?"
_HOURS = rf"[0-9]{{1,4}}H({_MINUTES})?"

PATTERNS: dict[str, str] = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "duration": rf"^P([0-9]{{1,4}}D(T({_HOURS}|{_MINUTES}|{_SECONDS}))?"
    rf"|T({_HOURS}|{_MINUTES}|{_SECONDS}))$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "email": rf"^[A-Za-z0-9_+\-]{{1,40}}(\.[A-Za-z0-9_+\-]{{1,20}}){{0,3}}@{_HOST}$",
    "hostname": f"^{_HOST}$",
    "ipv4": rf"^({_OCTET}\.){{3}}{_OCTET}$",
    "ipv6": r"^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$",
    "uri": rf"^https?://{_HOST}(:[1-9][0-9]{{0,3}})?(/[A-Za-z0-9_.~\-]{{0,60}}){{0,12}}$",
}
