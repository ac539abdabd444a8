"""The table of faults, whole: a request chooses a row by header or by its model's name."""

from __future__ import annotations

import msgspec

from trunkline.sandbox.fault import Fault
from trunkline.sandbox.fault_answers import ANSWERS
from trunkline.sandbox.fault_drift import DRIFTS
from trunkline.sandbox.fault_forms import FORMS
from trunkline.sandbox.fault_http import HTTP
from trunkline.sandbox.fault_later import LATER
from trunkline.sandbox.fault_statuses import STATUSES
from trunkline.sandbox.fault_streams import STREAMS
from trunkline.sandbox.fault_tools import TOOLS

_ALWAYS = {
    row.name: row for row in (*STREAMS, *FORMS, *TOOLS, *HTTP, *ANSWERS, *STATUSES, *LATER, *DRIFTS)
}


def _flaky(name: str, of: str, row: str, says: str, times: int) -> Fault:
    return msgspec.structs.replace(_ALWAYS[of], name=name, row=row, says=says, times=times)


_PASSING = (
    _flaky("flaky-429", "429-int", "F26", "429 once, then an answer", 1),
    _flaky("429-storm", "429-int", "F26", "429 ten times, then an answer", 10),
    _flaky("flaky-500", "500", "status", "500 once, then an answer", 1),
    _flaky("flaky-503", "503", "status", "503 once, then an answer", 1),
    _flaky("flaky-loading", "503-loading", "status", "the model loads once, then an answer", 1),
    _flaky("flaky-reset", "reset-at-once", "F4", "the connection is reset once, then an answer", 1),
    _flaky("flaky-first", "error-first", "F5", "200 with an error first once, then an answer", 1),
)

FAULTS: dict[str, Fault] = {**_ALWAYS, **{row.name: row for row in _PASSING}}
"""Every fault by its name."""
