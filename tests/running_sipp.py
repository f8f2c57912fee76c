"""SIPp as shopkeepers who ring and agents who answer: each call is a process that follows a scenario written for it.

Media is not spoken: an exchange cares about signalling, and so do we.
"""

import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.running_asterisk import ASK, Asterisk, free_udp_port
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


def shop_rings(number: str, *, waits_s: float, to: str = "3008") -> str:
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
    extension: str, *, after_s: float, talks_s: float, holds_s: float = 0, transfers_to: str = "", asks: str = ""
) -> str:
    """An agent's telephone rings and is answered; then the agent holds, passes the caller on at once or after asking, or talks.

    Who asks a colleague talks to them for `talks_s`; laying down then passes the caller on.
    """
    steps = [
        '<recv request="INVITE"><action><ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/></action></recv>',
        _send("", _answer("180 Ringing"), retransmit=False),
        f'<pause milliseconds="{round(after_s * 1000)}"/>',
        _send("", _answer("200 OK", sdp=True)),
        '<recv request="ACK"/>',
    ]
    if holds_s:
        steps += _hold(extension, 1, "sendonly", holds_s) + _hold(extension, 2, "sendrecv", 0)
    for first, digits in ((10, ASK), (20, asks)) if asks else ():
        steps += ['<pause milliseconds="800"/>', *_keyed(extension, first, digits)]
    if transfers_to:
        refer = f"Refer-To: <sip:{transfers_to}@[remote_ip]:[remote_port]>"
        steps += [_send("REFER", _request(extension, "asterisk", 3, "REFER", refer)), '<recv response="202"/>']
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

    def shop(self, number: str, *, waits_s: float = LONGEST_S) -> None:
        """Let a shop ring the hotline."""
        self._start(shop_rings(number, waits_s=waits_s), port=free_udp_port())

    def agent(
        self,
        extension: str,
        *,
        after_s: float = 0.3,
        talks_s: float = LONGEST_S,
        holds_s: float = 0,
        transfers_to: str = "",
        asks: str = "",
        calls: int = 1,
    ) -> None:
        """Put an agent beside a telephone, for so many calls."""
        scenario = agent_answers(extension, after_s=after_s, talks_s=talks_s, holds_s=holds_s, transfers_to=transfers_to, asks=asks)
        self._start(scenario, port=self._asterisk.agent_ports[extension], calls=calls)

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
        """End every call that still goes on."""
        for process, _ in self._running:
            process.kill()
            process.wait()

    def _start(self, scenario: str, *, port: int, calls: int = 1) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        file = folder / "call.xml"
        file.write_text(scenario)
        command: list[str | Path] = [self._asterisk.layout.sipp, f"127.0.0.1:{self._asterisk.sip_port}", "-sf", file]
        command += ["-i", "127.0.0.1", "-p", str(port), "-mp", str(free_udp_port()), "-m", str(calls), "-nostdin", "-aa"]
        command += ["-timeout", str(LONGEST_S), "-timeout_error", "-trace_err", "-error_file", folder / "errors.log"]
        command += ["-trace_msg", "-message_file", folder / "messages.log"]
        environment = {**os.environ, "TERM": "xterm"}
        process = spawn(command, log=folder / "sipp.log", death_signal=signal.SIGKILL, environment=environment, cwd=folder)
        self._running.append((process, folder))
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
    """Wait for the other side to hang up; after so long, go on with what follows."""
    return f'<recv request="BYE" timeout="{round(seconds * 1000)}" ontimeout="1" next="8"/>\n<label id="1"/>'


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
      [last_Via:]
      [last_From:]
      [last_To:];tag=vigie[pid]x[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:agent@[local_ip]:[local_port]>
      {"Content-Type: application/sdp" if sdp else "X-Nothing: -"}
      Content-Length: [len]
{chr(10) + body if body else ""}
"""


def _hold(extension: str, number: int, flow: str, seconds: float) -> list[str]:
    return [
        _send("INVITE", _request(extension, "asterisk", number, "INVITE", sdp=flow)),
        '<recv response="100" optional="true"/>',
        '<recv response="200"/>',
        _send("ACK", _request(extension, "asterisk", number, "ACK"), retransmit=False),
        *([f'<pause milliseconds="{round(seconds * 1000)}"/>'] if seconds else []),
    ]


def _keyed(extension: str, first: int, digits: str) -> list[str]:
    """Digits of the telephone's keys."""
    steps = []
    for number, digit in enumerate(digits, first):
        info = _request(extension, "asterisk", number, "INFO", body=f"Signal={digit}\nDuration=100", kind="application/dtmf-relay")
        steps += [_send("INFO", info), '<recv response="200"/>', '<pause milliseconds="120"/>']
    return steps


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
