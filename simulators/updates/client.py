"""One terminal's update client: it asks what to do, and does it, as hawkBit's clients do; each visit is short.

A visit ends with what comes next: another visit after some time, or a restart, after which whoever leads the terminal says
how it came up. What is downloaded is kept between visits; before anything is installed the maker's signature is checked.
"""

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError

from simulators.scenario import Effect
from simulators.updates.http import BrokenOffError, Line, LineError, Reply
from simulators.verifying import Refusal, RefusedError, Update, Verifier

# Until the server has said how often to ask.
FIRST_POLL_S: Final = 300.0
# A poll comes a little before its time, never after it: whoever waits for all of them waits for one period.
EARLIEST: Final = 0.8
# After a failure, drawn anew each time.
AGAIN_S: Final = (5.0, 30.0)
# A slow terminal fetches so many pieces of a release, at strength 1, with so long a pause between two.
SLOW_PIECES, SLOW_PAUSE_S = 8, 20.0
# Part of the downloads whose line is cut once.
CUT_SHARE: Final = 0.05


class Stage(StrEnum):
    """How far an update is."""

    DOWNLOADING = "downloading"
    RESTARTING = "restarting"
    UP = "up"


@dataclass(slots=True)
class Job:
    """An update on its way."""

    action: str
    update: Update
    path: str
    stage: Stage = Stage.DOWNLOADING
    content: bytearray = field(default_factory=bytearray)
    etag: str = ""
    interrupted: bool = False
    # Once it is up again: whether it runs what it was to run, and what it says of it.
    failed: bool = False
    words: str = ""


class Again(NamedTuple):
    """Visit again after so many seconds."""

    after_s: float


class Restart(NamedTuple):
    """The terminal restarts, into `version` (None: what it runs); `effect` is what goes wrong meanwhile."""

    version: str | None
    effect: Effect | None = None


Next = Again | Restart


@dataclass(frozen=True, slots=True)
class Means:
    """What a visit is made with: the thread's connection and folder, the maker's root, the terminals' time, chance."""

    line: Line
    home: Path
    root: bytes
    clock: Callable[[], datetime]
    chance: random.Random


class _GoneError(Exception):
    """The server knows no such action, or no longer."""


class UpdateClient:
    """One terminal; who owns it visits from one thread at a time."""

    __slots__ = ("_base", "_headers", "_hw", "_model", "_origin", "_wrong", "installed", "job", "poll_s", "terminal")

    def __init__(
        self,
        url: str,
        terminal: str,
        *,
        token: str,
        model: str,
        hw: str,
        wrong: Callable[[str], tuple[Effect, float] | None] = lambda _: None,
    ) -> None:
        """`url`: the device API up to the terminals' names; `wrong`: what goes wrong when a version is installed, how strongly."""
        parts = urlsplit(url)
        self.terminal = terminal
        self.poll_s = FIRST_POLL_S
        self.job: Job | None = None
        self.installed = 0
        self._origin, self._base = f"{parts.scheme}://{parts.netloc}", f"{parts.path.rstrip('/')}/{terminal}"
        self._headers = {"Authorization": f"TargetToken {token}"}
        self._model, self._hw, self._wrong = model, hw, wrong

    def visit(self, means: Means, *, firmware: str, slot: str) -> Next:
        """Ask what to do and do it, as far as it goes now; what it runs, and from which slot, is told where it is asked for."""
        try:
            if self.job is not None and self.job.stage is Stage.UP:
                return self._tell_end(means)
            return self._poll(means, firmware=firmware, slot=slot)
        except _GoneError:
            self.job = None
            return self._next_poll(means)
        except (LineError, ValueError, KeyError, TypeError, IndexError):
            # The server is away, or says what nobody understands: later, perhaps.
            return Again(means.chance.uniform(*AGAIN_S))

    def up(self, *, failed: bool, words: str) -> None:
        """The terminal is up again after a restart that an update asked for."""
        if self.job is not None and self.job.stage is Stage.RESTARTING:
            self.job.stage, self.job.failed, self.job.words = Stage.UP, failed, words

    def _next_poll(self, means: Means) -> Again:
        return Again(self.poll_s * means.chance.uniform(EARLIEST, 1.0))

    def _poll(self, means: Means, *, firmware: str, slot: str) -> Next:
        document = self._document(self._ask(means, "GET", self._base))
        self.poll_s = _seconds(document["config"]["polling"]["sleep"])
        links = document.get("_links", {})
        if "configData" in links:
            said = {"model": self._model, "hw": self._hw, "firmware": firmware, "slot": slot}
            self._ask(means, "PUT", _path(links["configData"]), {"mode": "merge", "data": said})
        if "cancelAction" in links:
            return self._stop(means, _path(links["cancelAction"]))
        if "deploymentBase" not in links:
            self.job = None
            return self._next_poll(means)
        return self._deploy(means, _path(links["deploymentBase"]))

    def _stop(self, means: Means, path: str) -> Again:
        """Asked to stop: before it is installed, that is easy."""
        document = self._document(self._ask(means, "GET", path))
        self.job = None
        self._say(means, document["cancelAction"]["stopId"], "canceled", "success", "stopped", to="cancelAction")
        return self._next_poll(means)

    def _deploy(self, means: Means, path: str) -> Next:
        document = self._document(self._ask(means, "GET", path))
        deployment = document["deployment"]
        if deployment["update"] == "skip":
            return self._next_poll(means)
        chunk = deployment["chunks"][0]
        action, version = str(document["id"]), str(chunk["version"])
        effect, strength = self._wrong(version) or (None, 1.0)
        if effect is Effect.LIES:
            self._say(means, action, "closed", "success", f"installed {version}")
            self.job = None
            return Restart(None, effect)
        if self.job is None or self.job.action != action:
            try:
                update = self._found(means, version)
            except RefusedError as error:
                if error.reason is Refusal.UNREACHABLE:
                    return Again(means.chance.uniform(*AGAIN_S))
                self._say(means, action, "closed", "failure", str(error))
                return self._next_poll(means)
            self.job = Job(action, update, _file_path(chunk["artifacts"][0]))
            self._say(means, action, "download", "none", f"fetching {update.length:,} bytes")
        return self._go_on(means, self.job, effect, strength)

    def _go_on(self, means: Means, job: Job, effect: Effect | None, strength: float) -> Next:
        """Download what is missing, check the whole, and restart into it."""
        if effect is Effect.OFF and not job.interrupted:
            self._fetch(means, job, upto=job.update.length // 2)
            job.interrupted = True
            return Restart(None, effect)
        piece = -(-job.update.length // max(1, round(SLOW_PIECES * strength))) if effect is Effect.SLOW else job.update.length
        self._fetch(means, job, upto=min(len(job.content) + piece, job.update.length))
        if len(job.content) < job.update.length:
            return Again(SLOW_PAUSE_S)
        try:
            Verifier.check(job.update, io.BytesIO(job.content))
        except RefusedError as error:
            self._say(means, job.action, "closed", "failure", str(error))
            self.job = None
            return self._next_poll(means)
        self._say(means, job.action, "downloaded", "none", "checked; restarts into it")
        job.content, job.stage = bytearray(), Stage.RESTARTING
        self.installed += 1
        return Restart(job.update.version, effect)

    def _tell_end(self, means: Means) -> Again:
        job, self.job = self.job, None
        assert job is not None  # only asked of one that has
        try:
            self._say(means, job.action, "closed", "failure" if job.failed else "success", job.words)
        except LineError:
            self.job = job
            raise
        return self._next_poll(means)

    def _found(self, means: Means, version: str) -> Update:
        """What the maker signed of this version."""

        def fetch(url: str) -> Iterator[bytes]:
            try:
                reply = means.line.ask("GET", urlsplit(url).path, headers=self._headers)
            except LineError as error:
                raise DownloadError(str(error)) from None
            if reply.status != 200:
                raise DownloadHTTPError(f"{url}: status {reply.status}", reply.status)
            yield reply.body

        metadata = f"{self._origin}{self._base}/firmware/metadata"
        verifier = Verifier(means.root, home=means.home, metadata_url=metadata, fetch=fetch)
        return verifier.find(version, model=self._model, hw=self._hw, now=means.clock())

    def _fetch(self, means: Means, job: Job, *, upto: int) -> None:
        """Fetch the file up to a byte, from where it broke off; one that changed meanwhile begins anew."""
        have = len(job.content)
        if have >= upto:
            return
        headers = dict(self._headers)
        if have or upto < job.update.length:
            headers["Range"] = f"bytes={have}-{upto - 1}"
            if job.etag:
                headers["If-Range"] = job.etag
        cut = (upto - have) // 2 if not have and means.chance.random() < CUT_SHARE else None
        try:
            reply = means.line.ask("GET", job.path, headers=headers, cut_after=cut)
        except BrokenOffError as error:
            _keep(job, error.reply, have)
            raise
        if reply.status in {404, 410}:
            raise _GoneError
        if not _keep(job, reply, have):
            raise LineError(f"status {reply.status}")

    def _say(self, means: Means, action: str, execution: str, finished: str, words: str, *, to: str = "deploymentBase") -> None:
        status = {"execution": execution, "result": {"finished": finished}, "details": [words]}
        self._ask(means, "POST", f"{self._base}/{to}/{action}/feedback", {"id": action, "status": status})

    def _ask(self, means: Means, method: str, path: str, document: object | None = None) -> Reply:
        body = b"" if document is None else json.dumps(document).encode()
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        reply = means.line.ask(method, path, headers=headers, body=body)
        if reply.status in {404, 410} and path != self._base:
            raise _GoneError
        if reply.status != 200:
            raise LineError(f"status {reply.status}")
        return reply

    @staticmethod
    def _document(reply: Reply) -> dict[str, Any]:
        document = json.loads(reply.body)
        if not isinstance(document, dict):
            raise TypeError("no JSON object")
        return document


def _keep(job: Job, reply: Reply, have: int) -> bool:
    """Keep what came of a file; False where it is none. No more than the maker signed is kept."""
    if reply.status == 200 and have:
        job.content.clear()
    elif reply.status not in {200, 206}:
        return False
    job.etag = reply.headers.get("etag", "")
    # One byte too many is kept, so that a file that is too long is seen to be.
    job.content += reply.body[: job.update.length + 1 - len(job.content)]
    return True


def _path(link: Any) -> str:
    """The path of a link, with its query; the server is always the one that was asked."""
    parts = urlsplit(str(link["href"]))
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _file_path(artifact: Any) -> str:
    links = artifact["_links"]
    return _path(links.get("download") or links["download-http"])


def _seconds(sleep: str) -> float:
    """Read `HH:MM:SS`; at least a second."""
    hours, minutes, seconds = (int(part) for part in sleep.split(":"))
    return max(1.0, 3600.0 * hours + 60 * minutes + seconds)
