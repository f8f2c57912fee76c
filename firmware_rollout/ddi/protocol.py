"""What devices and Vigie say to each other, after eclipse hawkBit's Direct Device Integration API, version 1.

    GET  …/{terminal}                              what is asked of it: at most one of deploymentBase, cancelAction
    GET  …/deploymentBase/{action}                 the release, its hashes and where its file is
    POST …/deploymentBase/{action}/feedback        how far it is
    GET  …/cancelAction/{action}, POST …/feedback  stop, and what it says to that
    PUT  …/configData                              what it says of itself

Pure: bytes in, decisions and documents out. What real clients taught, and their documentation doesn't say:

- swupdate and rauc-hawkbit build the addresses of feedback from `id`, and keep it in 32 bits; it is a text all the same.
- They send `id` and `time` beside `status`; swupdate's error texts come unescaped, so its JSON can be broken (`_salvaged`).
- rauc-hawkbit needs `hashes.md5` and `?c=` in the address of a deployment; swupdate needs `hashes.sha1`.
- swupdate answers `update: "skip"` by `closed/success`, with the words `SKIPPED`: nothing was installed.
- swupdate says nothing final before it is started anew with `--confirm`, and asks for the same deployment meanwhile.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from firmware_rollout.releases import Release
from firmware_rollout.states import ActionState, Outcome
from fleet.errors import VigieError

# hawkBit's own bounds are of this order; what is longer is cut, for a device's words must not be lost for their length.
MOST_DETAILS: Final = 50
LONGEST_DETAIL: Final = 512
MOST_ATTRIBUTES: Final = 100
LONGEST_KEY: Final = 128
LONGEST_VALUE: Final = 512
MEDIA_TYPE: Final = "application/hal+json"
# What swupdate says when it was told to skip.
SKIPPED: Final = "Skipped Update."
_CODES: Final = range(-(2**31), 2**31)
Kind = TypeVar("Kind", bound=StrEnum)
_WORD: Final = '"{}"\\s*:\\s*"([a-z]+)"'


class ProtocolError(VigieError):
    """A device said what nobody can read; it is answered 400."""


class Execution(StrEnum):
    """How an action goes on, in the device's words."""

    CLOSED = "closed"
    PROCEEDING = "proceeding"
    CANCELED = "canceled"
    SCHEDULED = "scheduled"
    REJECTED = "rejected"
    RESUMED = "resumed"
    DOWNLOAD = "download"
    DOWNLOADED = "downloaded"


class Finished(StrEnum):
    """How it ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A device's word about an action; `progress` in percent of the stage, None where it doesn't say."""

    execution: Execution
    finished: Finished
    progress: int | None = None
    code: int | None = None
    details: tuple[str, ...] = ()


class Mode(StrEnum):
    """What becomes of attributes known before: added to, replaced by, or freed of what is sent."""

    MERGE = "merge"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a word does to an action: its HTTP status, and the state it brings (None: the one it has)."""

    status: int
    state: ActionState | None = None
    outcome: Outcome | None = None


def read_feedback(body: bytes) -> Feedback:
    """Read a device's feedback; more fields than are known are accepted, whatever they hold.

    Raises:
        ProtocolError: names the field that is missing or wrong.
    """
    status = _object(_salvaged(body), "status")
    result = status.get("result")
    finished = result.get("finished", "none") if isinstance(result, dict) else "none"
    code = status.get("code")
    details = status.get("details") or []
    return Feedback(
        _one_of(Execution, status.get("execution"), "status.execution"),
        _one_of(Finished, finished, "status.result.finished"),
        _progress(result.get("progress") if isinstance(result, dict) else None),
        code if type(code) is int and code in _CODES else None,
        tuple(_text(detail)[:LONGEST_DETAIL] for detail in (details if isinstance(details, list) else [details])[:MOST_DETAILS]),
    )


def effect_of(feedback: Feedback, state: ActionState, *, may_update: bool) -> Effect:
    """What feedback on a deployment does; `may_update` is what the device was last told.

    hawkBit's rules: 410 once nothing more is expected, 404 while it is asked to stop; what is not `closed` changes no state.
    """
    if state is not ActionState.OPEN:
        return Effect(404 if state is ActionState.CANCELLING else 410)
    given_up = feedback.execution is Execution.CANCELED
    closed = feedback.execution is Execution.CLOSED
    # `canceled` was asked by nobody: the device gave up by itself.
    if given_up or (closed and feedback.finished is Finished.FAILURE):
        return Effect(200, ActionState.CLOSED, Outcome.FAILURE)
    if not closed or (not may_update and SKIPPED in feedback.details):
        return Effect(200)
    return Effect(200, ActionState.TOLD)


def effect_on_cancel(feedback: Feedback, state: ActionState) -> Effect:
    """What feedback on a cancellation does: 410 once it is over, 404 where nobody asked to stop."""
    if state in (ActionState.TOLD, ActionState.CLOSED):
        return Effect(410)
    if state is ActionState.OPEN:
        return Effect(404)
    if feedback.execution is Execution.CANCELED:
        return Effect(200, ActionState.CLOSED, Outcome.CANCELLED)
    if feedback.execution is not Execution.CLOSED:
        # Refused, or on its way: it is asked again, until the planner's deadline.
        return Effect(200)
    # A device that could not stop has failed: how its update ends is seen in what it runs.
    return Effect(200, ActionState.CLOSED, Outcome.FAILURE if feedback.finished is Finished.FAILURE else Outcome.CANCELLED)


def read_attributes(body: bytes) -> tuple[Mode, dict[str, str]]:
    """Read what a device says of itself; raises `ProtocolError`, which names the field."""
    document = _salvaged(body)
    data = _object(document, "data")
    if len(data) > MOST_ATTRIBUTES:
        raise ProtocolError(f"data: more than {MOST_ATTRIBUTES} attributes")
    for key, value in data.items():
        if not 0 < len(key) <= LONGEST_KEY or len(_text(value)) > LONGEST_VALUE:
            raise ProtocolError(f"data: a name has 1 to {LONGEST_KEY} characters, a value at most {LONGEST_VALUE}")
    mode = document.get("mode")
    kind = Mode.MERGE if mode is None else _one_of(Mode, mode, "mode")
    return kind, {_clean(key): _text(value) for key, value in data.items()}


def merged(before: Mapping[str, str], mode: Mode, data: Mapping[str, str]) -> dict[str, str]:
    """The attributes after a device's word; raises `ProtocolError` where they become too many."""
    if mode is Mode.REMOVE:
        return {key: value for key, value in before.items() if key not in data}
    after = dict(data) if mode is Mode.REPLACE else {**before, **data}
    if len(after) > MOST_ATTRIBUTES:
        raise ProtocolError(f"data: more than {MOST_ATTRIBUTES} attributes together with those known before")
    return after


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of one device; `root` is the API's, up to and without the tenant."""

    root: str
    tenant: str
    terminal_id: str

    @property
    def base(self) -> str:
        """Where the device asks what to do."""
        return f"{self.root}/{self.tenant}/controller/v1/{self.terminal_id}"

    def artifact(self, action_id: int, filename: str) -> str:
        """Where a release's file is: an action stands for the software module it brings."""
        return f"{self.base}/softwaremodules/{action_id}/artifacts/{filename}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a device now: one of a deployment (with a number that changes with it) and a cancellation, or nothing."""

    deployment: tuple[int, int] | None = None
    cancel: int | None = None
    attributes: bool = False


def base_document(asked: Asked, at: Addresses, *, poll_s: int) -> dict[str, Any]:
    """What a device is told at its poll."""
    links: dict[str, dict[str, str]] = {}
    if asked.cancel is not None:
        links["cancelAction"] = {"href": f"{at.base}/cancelAction/{asked.cancel}"}
    elif asked.deployment is not None:
        action_id, version = asked.deployment
        links["deploymentBase"] = {"href": f"{at.base}/deploymentBase/{action_id}?c={version}"}
    if asked.attributes:
        links["configData"] = {"href": f"{at.base}/configData"}
    return {"config": {"polling": {"sleep": sleep_of(poll_s)}}, **({"_links": links} if links else {})}


def sleep_of(seconds: int) -> str:
    """A pause as `HH:MM:SS`, less than a day."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def deployment_document(
    action_id: int, release: Release, at: Addresses, *, md5: str, may_update: bool, windowed: bool
) -> dict[str, Any]:
    """A release for a device; outside of its window it is told to skip, both the download and the update."""
    handling = "forced" if may_update else "skip"
    window = {"maintenanceWindow": "available" if may_update else "unavailable"} if windowed else {}
    chunk = {
        "part": "os",
        "version": release.version,
        "name": "firmware",
        "artifacts": [artifact_document(action_id, release, at, md5=md5)],
    }
    return {"id": str(action_id), "deployment": {"download": handling, "update": handling, **window, "chunks": [chunk]}}


def artifact_document(action_id: int, release: Release, at: Addresses, *, md5: str) -> dict[str, Any]:
    """The file of a release: `download` where it comes by HTTPS, else `download-http`, as hawkBit names them."""
    assert release.file is not None
    href = at.artifact(action_id, release.file.filename)
    suffix = "" if href.startswith("https:") else "-http"
    return {
        "filename": release.file.filename,
        "hashes": {"sha1": release.file.sha1, "md5": md5, "sha256": release.file.sha256},
        "size": release.file.length,
        "_links": {f"download{suffix}": {"href": href}, f"md5sum{suffix}": {"href": f"{href}.MD5SUM"}},
    }


def cancel_document(action_id: int) -> dict[str, Any]:
    """Asks a device to stop."""
    return {"id": str(action_id), "cancelAction": {"stopId": str(action_id)}}


def detail_of(feedback: Feedback) -> str:
    """The last thing it said, for people; of a failure all it said, for the reason may stand in any line."""
    said = [detail for detail in feedback.details if detail.strip()]
    if not said:
        return ""
    return (" · ".join(said) if feedback.finished is Finished.FAILURE else said[-1])[:LONGEST_DETAIL]


def _salvaged(body: bytes) -> dict[str, Any]:
    """A document as a mapping; of feedback that is no JSON for a quotation mark in its details, what it says of the end."""
    try:
        # Control characters come as they were logged.
        document = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace")
        execution, finished = (re.search(_WORD.format(name), text) for name in ("execution", "finished"))
        if execution is None or finished is None:
            raise ProtocolError("the body is no JSON") from None
        details = re.search(r'"details"\s*:\s*\[(.*)\]', text, re.DOTALL)
        said = [details[1].strip().strip('"')] if details else []
        return {"status": {"execution": execution[1], "result": {"finished": finished[1]}, "details": said}}
    if not isinstance(document, dict):
        raise ProtocolError("the body is no JSON object")
    return document


def _object(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"{name}: is missing, or is no object")
    return value


def _one_of(kind: type[Kind], value: object, name: str) -> Kind:
    try:
        return kind(str(value))
    except ValueError:
        raise ProtocolError(f"{name}: {str(value)[:40]!r} is none of {', '.join(kind)}") from None


def _progress(value: object) -> int | None:
    """Percent from `{"cnt": 2, "of": 5}`, or from rauc-hawkbit's `{"percentage": 40}`."""
    if not isinstance(value, dict):
        return None
    done, of = value.get("percentage", value.get("cnt")), 100 if "percentage" in value else value.get("of")
    if type(done) is not int or type(of) is not int or of <= 0:
        return None
    return min(max(100 * done // of, 0), 100)


def _text(value: object) -> str:
    return _clean(value if isinstance(value, str) else json.dumps(value))


def _clean(text: str) -> str:
    """Without what no column can hold: null characters and halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
