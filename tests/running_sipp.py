"""SIPp as shopkeepers who ring and agents who answer: each call is a process that follows a scenario written for it.

What people do comes after a set time, or when the test says so (`Sipp.act`): where it matters that something else has happened
before. Media is not spoken: an exchange cares about signalling, and so do we.
"""

import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.running_asterisk import ASK, NUMBER, NUMBER_IN_A_HURRY, Asterisk, free_udp_port
from vigie.engines.process import spawn, tail, wait_until

# Nobody talks longer in a test; a scenario that still waits then has failed.
LONGEST_S = 60

_SDP = """
      v=0
      o=- 1 {version} IN IP4 [local_ip]
      s=-
      c=IN IP4 [local_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 8
      a=rtpmap:8 PCMA/8000
      a={flow}
"""


def shop_rings(number: str, *, waits_s: float, to: str = NUMBER) -> str:
    """A shop rings, and gives up or says good-bye after `waits_s`, unless the hotline hangs up first."""
    return _scenario(
        _send("INVITE", _request(number, to, 1, "INVITE", sdp="sendrecv", local=True)),
        *(f'<recv response="{code}" optional="true"/>' for code in (100, 180, 183)),
        '<recv response="200" rrs="true"/>',
        _send("ACK", _request(number, to, 1, "ACK", local=True), retransmit=False),
        _until_hung_up(waits_s),
        _send("BYE", _request(number, to, 2, "BYE", local=True)),
        '<recv response="200" next="9"/>',
    )


def agent_answers(
    extension: str,
    *,
    after_s: float,
    talks_s: float,
    holds: bool = False,
    transfers_to: str = "",
    asks: str = "",
    by_hand: bool = False,
    refuses: bool = False,
) -> str:
    """An agent's telephone rings and is answered; then the agent holds, passes the caller on at once or after asking, or talks.

    Who asks a colleague talks to them for `talks_s`; laying down then passes the caller on. With `by_hand` the test says when
    the agent picks up, holds and takes back, keys in, passes on and lays down.
    """

    def pause(seconds: float) -> str:
        return _TOLD if by_hand else f'<pause milliseconds="{round(seconds * 1000)}"/>'

    steps = [
        f'<recv request="INVITE"><action>{"".join(map(_remembered, _REMEMBERED))}</action></recv>',
        _send("", _answer("180 Ringing"), retransmit=False),
        pause(after_s),
    ]
    if refuses:
        return _scenario(*steps, _send("", _answer("486 Busy Here")), '<recv request="ACK" next="9"/>')
    steps += [
        _send("", _answer("200 OK", sdp=True)),
        '<recv request="ACK"/>',
    ]
    if holds:
        steps += [pause(0.3), *_hold(extension, 1, "sendonly"), pause(0.3), *_hold(extension, 2, "sendrecv")]
    if asks:
        steps += [pause(0.3), *_keyed(extension, 10, ASK + asks)]
    if transfers_to:
        refer = f"Refer-To: <sip:{transfers_to}@[remote_ip]:[remote_port]>"
        steps += [pause(0), _send("REFER", _request(extension, "asterisk", 3, "REFER", refer)), '<recv response="202"/>']
    steps += [
        # Who passed a call on lays down.
        _until_hung_up(0.3 if transfers_to else talks_s),
        _send("BYE", _request(extension, "asterisk", 90, "BYE")),
        '<recv response="200" next="9"/>',
    ]
    return _scenario(*steps)


class Sipp:
    """Starts the calls of one test beside an exchange; at its end, `stop` leaves none."""

    def __init__(self, asterisk: Asterisk, folder: Path) -> None:
        self._asterisk = asterisk
        self._folder = folder
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        # Whose telephone is where, and where it writes.
        self._telephones: dict[str, tuple[int, Path]] = {}
        # How often each was told to do something.
        self._told: dict[str, int] = {}

    def shop(self, number: str, *, waits_s: float = LONGEST_S, in_a_hurry: bool = False) -> None:
        """Let a shop ring the hotline; `in_a_hurry` flows over to the other floor."""
        to = NUMBER_IN_A_HURRY if in_a_hurry else NUMBER
        self._start(number, shop_rings(number, waits_s=waits_s, to=to), port=free_udp_port())

    def agent(
        self,
        extension: str,
        *,
        after_s: float = 0.3,
        talks_s: float = LONGEST_S,
        holds: bool = False,
        transfers_to: str = "",
        asks: str = "",
        by_hand: bool = False,
        refuses: bool = False,
        calls: int = 1,
    ) -> None:
        """Put an agent beside a telephone, for so many calls."""
        scenario = agent_answers(
            extension,
            after_s=after_s,
            talks_s=talks_s,
            holds=holds,
            transfers_to=transfers_to,
            asks=asks,
            by_hand=by_hand,
            refuses=refuses,
        )
        self._start(extension, scenario, port=self._asterisk.agent_ports[extension], calls=calls)

    def act(self, who: str) -> None:
        """Let an agent or a shop do what comes next: pick up once it rings, hold, key in, pass the caller on, lay down."""
        port, folder = self._telephones[who]
        log, told = folder / "waits.log", self._told.get(who, 0)

        def waits() -> list[str]:
            return log.read_text().splitlines() if log.exists() else []

        assert wait_until(lambda: len(waits()) > told, timeout_s=LONGEST_S), f"{who} has nothing to do"
        self._told[who] = told + 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hand:
            hand.sendto(_TELL.format(who=who, number=told, call_id=waits()[told]).encode(), ("127.0.0.1", port))

    def finish(self) -> None:
        """Wait until every call went as its scenario says; fails where one did not."""
        for process, log in self._running:
            status = process.wait(LONGEST_S)
            assert status == 0, f"SIPp ended with {status}: {_errors(log)}"
        self._running.clear()

    def wait_until_answered(self) -> None:
        """Wait until an agent's telephone has been picked up and the exchange knows it."""
        answered = wait_until(
            lambda: any("ACK" in log.read_text() for log in self._folder.glob("*/messages.log")), timeout_s=LONGEST_S
        )
        assert answered, "nobody answered"

    def stop(self) -> None:
        """End every call that still goes on, at the exchange too."""
        for process, _ in self._running:
            process.kill()
            process.wait()
        self._asterisk.hang_up_all()

    def _start(self, who: str, scenario: str, *, port: int, calls: int = 1) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        file = folder / "call.xml"
        file.write_text(scenario)
        command: list[str | Path] = [self._asterisk.layout.sipp, f"127.0.0.1:{self._asterisk.sip_port}", "-sf", file]
        command += ["-i", "127.0.0.1", "-p", str(port), "-mp", str(free_udp_port()), "-m", str(calls), "-nostdin", "-aa"]
        command += ["-timeout", str(LONGEST_S), "-timeout_error", "-trace_err", "-error_file", folder / "errors.log"]
        command += ["-trace_msg", "-message_file", folder / "messages.log", "-trace_logs", "-log_file", folder / "waits.log"]
        environment = {**os.environ, "TERM": "xterm"}
        process = spawn(command, log=folder / "sipp.log", death_signal=signal.SIGKILL, environment=environment, cwd=folder)
        self._running.append((process, folder))
        self._telephones[who] = port, folder
        # A telephone that is rung before it is there would not hear it.
        wait_until(lambda: _taken(port) or process.poll() is not None, timeout_s=LONGEST_S)
        assert process.poll() is None, f"SIPp does not listen: {_errors(folder)}"


def _taken(port: int) -> bool:
    """Whether somebody has this UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _errors(folder: Path) -> str:
    return tail(folder / "errors.log", 12) or tail(folder / "sipp.log", 12)


def _scenario(*steps: str) -> str:
    body = "\n".join(steps)
    # An agent's scenario names the caller in requests of its own; where it has none, SIPp wants to hear that this is meant.
    reference = '<Reference variables="caller"/>' if 'assign_to="caller"' in body else ""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="call">\n{body}\n{_HUNG_UP}\n{reference}\n</scenario>\n'


def _until_hung_up(seconds: float) -> str:
    """Wait for the other side to hang up; after so long, or when the test says so, go on with what follows."""
    waits = f'timeout="{round(seconds * 1000)}" ontimeout="1"'
    return f'{_WAITS}<recv request="BYE" optional="true" {waits} next="8"/>\n<recv request="MESSAGE"/>\n<label id="1"/>'


def _send(method: str, text: str, *, retransmit: bool = True) -> str:
    again = ' retrans="500"' if retransmit else ""
    return f"<send{again}><![CDATA[\n{_tidy(text)}\n]]></send>"


def _tidy(text: str) -> str:
    return "\n" + re.sub(r"^[ \t]+", "", text, flags=re.MULTILINE).strip() + "\n\n"


def _request(
    who: str,
    to: str,
    number: int,
    method: str,
    more: str = "",
    *,
    sdp: str = "",
    local: bool = False,
    body: str = "",
    kind: str = "application/sdp",
) -> str:
    """A request: of the side that rang (`local`: it made the Call-ID and its own tag), or of the one that was rung."""
    mine = f"<sip:{who}@[local_ip]:[local_port]>;tag=vigie[pid]x[call_number]"
    peer = f"<sip:{to}@[remote_ip]:[remote_port]>" + ("" if method == "INVITE" and local else "[peer_tag_param]")
    target = f"sip:{to}@[remote_ip]:[remote_port]"
    body = _SDP.format(flow=sdp, version=number) if sdp else body
    return f"""
      {method} {target} SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: {mine}
      To: {peer if local else "[$caller]"}
      Call-ID: [call_id]
      CSeq: {number} {method}
      Contact: <sip:{who}@[local_ip]:[local_port]>
      Max-Forwards: 70
      {more or "X-Nothing: -"}
      {f"Content-Type: {kind}" if body else "X-Nothing: -"}
      Content-Length: [len]
{chr(10) + body.strip() if body else ""}
"""


def _answer(status: str, *, sdp: bool = False) -> str:
    body = _SDP.format(flow="sendrecv", version=1).strip() if sdp else ""
    return f"""
      SIP/2.0 {status}
      Via: [$via]
      From: [$caller]
      To: [$called];tag=vigie[pid]x[call_number]
      Call-ID: [call_id]
      CSeq: [$order]
      Contact: <sip:agent@[local_ip]:[local_port]>
      {"Content-Type: application/sdp" if sdp else "X-Nothing: -"}
      Content-Length: [len]
{chr(10) + body if body else ""}
"""


def _remembered(name: str) -> str:
    return f'<ereg regexp=".*" search_in="hdr" header="{_REMEMBERED[name]}" assign_to="{name}"/>'


def _hold(extension: str, number: int, flow: str) -> list[str]:
    return [
        _send("INVITE", _request(extension, "asterisk", number, "INVITE", sdp=flow)),
        '<recv response="100" optional="true"/>',
        '<recv response="200"/>',
        _send("ACK", _request(extension, "asterisk", number, "ACK"), retransmit=False),
    ]


def _keyed(extension: str, first: int, digits: str) -> list[str]:
    """Digits of the telephone's keys."""
    steps = []
    for number, digit in enumerate(digits, first):
        info = _request(extension, "asterisk", number, "INFO", body=f"Signal={digit}\nDuration=100", kind="application/dtmf-relay")
        steps += [_send("INFO", info), '<recv response="200"/>', '<pause milliseconds="120"/>']
    return steps


# What an agent's telephone remembers of the call it was offered: when it answers, other messages have come since.
_REMEMBERED: Mapping[str, str] = {"via": "Via:", "caller": "From:", "called": "To:", "order": "CSeq:"}
# Who acts by hand waits for a message that the test sends past the exchange, and says so: one that comes earlier is
# unexpected.
_WAITS = '<nop><action><log message="[call_id]"/></action></nop>\n'
_TOLD = f'{_WAITS}<recv request="MESSAGE"/>'
_TELL = """MESSAGE sip:{who}@127.0.0.1 SIP/2.0\r
Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKtold{number}\r
From: <sip:test@127.0.0.1>\r
To: <sip:{who}@127.0.0.1>\r
Call-ID: {call_id}\r
CSeq: {number} MESSAGE\r
Content-Length: 0\r
\r
"""
# The last steps of every scenario: 8 answers the other side's good-bye, 9 is the end.
_HUNG_UP = f"""<label id="8"/>
{
    _send(
        "",
        '''
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:vigie@[local_ip]:[local_port]>
      Content-Length: 0
''',
        retransmit=False,
    )
}
<label id="9"/>"""
