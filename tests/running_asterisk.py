"""A real Asterisk on this machine's loopback, with the hotline's two floors, and SIPp as shopkeepers and agents.

A shop that rings 3008 waits in the queue `hotline`, where the agents 4021 and 4022 answer; one that rings 3009 waits there for a
moment only, then its call flows over to `overflow`, where 4031 does. 600 is the queue of level 2, with 4023; 601 takes
a caller back to `hotline`. Extensions ring whoever has that number.

The exchange is patient wherever a test waits for people: on a machine that is busy with something else, a telephone may be picked
up, or a key pressed, seconds late.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from vigie.engines.layout import RunAs, engine_user, give, make_folder
from vigie.engines.process import EngineError, free_port, run_as, spawn, tail, wait_until
from vigie.engines.telephony import TelephonyLayout

SCENARIOS = Path(__file__).parent / "sipp"
AMI_USER, AMI_SECRET = "vigie", "a-test-secret"
HOTLINE, OVERFLOW, LEVEL2 = "hotline", "overflow", "level2"
# Who answers which queue; the extensions are those of the agents in `running_web`, and one on the overflow floor.
QUEUES: Mapping[str, tuple[str, ...]] = {HOTLINE: ("4021", "4022"), OVERFLOW: ("4031",), LEVEL2: ("4023",)}
AGENTS = tuple(agent for agents in QUEUES.values() for agent in agents)
# What a shop dials.
NUMBER, NUMBER_IN_A_HURRY = "3008", "3009"
# How long the own floor has a call of the number in a hurry: a test waits that long for the other floor.
OWN_FLOOR_S = 3
# Longer than any test waits.
PATIENCE_S = 120
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
# What an agent keys in to ask a colleague while the caller waits.
ASK = "*2"
READY = "Asterisk Ready."

_MODULES = (
    "res_sorcery_config",
    "res_sorcery_memory",
    "res_sorcery_astdb",
    "res_timing_timerfd",
    "res_pjproject",
    "res_pjsip",
    "res_pjsip_session",
    "res_pjsip_sdp_rtp",
    "res_rtp_asterisk",
    "res_pjsip_endpoint_identifier_ip",
    "res_pjsip_caller_id",
    "res_pjsip_pubsub",
    "res_pjsip_refer",
    "res_pjsip_dtmf_info",
    "chan_pjsip",
    "app_queue",
    "app_dial",
    "res_musiconhold",
    "pbx_config",
    "bridge_simple",
    "bridge_native_rtp",
    "bridge_softmix",
    "bridge_builtin_features",
    "format_pcm",
    "bridge_holding",
    "codec_alaw",
    "codec_ulaw",
)


def free_udp_port() -> int:
    """A UDP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Asterisk:
    """One exchange, in a folder of its own; `start` and `stop` it."""

    layout: TelephonyLayout
    home: Path
    sip_port: int = field(default_factory=free_udp_port)
    ami_port: int = field(default_factory=free_port)
    amis_port: int = field(default_factory=free_port)
    agent_ports: Mapping[str, int] = field(default_factory=lambda: {agent: free_udp_port() for agent in AGENTS})
    _process: subprocess.Popen[bytes] | None = None

    @property
    def ami_url(self) -> str:
        """The address of the manager interface with Vigie's account."""
        return f"ami://{AMI_USER}:{AMI_SECRET}@127.0.0.1:{self.ami_port}"

    @property
    def amis_url(self) -> str:
        """The same over TLS, with a certificate by the authority in `ca_file`."""
        return f"amis://{AMI_USER}:{AMI_SECRET}@127.0.0.1:{self.amis_port}"

    @property
    def ca_file(self) -> Path:
        """Who signed its certificate."""
        return self.home / "authority.pem"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.home / "asterisk.log"

    def start(self) -> None:
        """Write its files, start it, and wait until it takes calls."""
        user = engine_user(self.home / "var")
        make_folder(self.home, user)
        for folder in ("var/lib", "var/spool", "var/run", "var/log", "var/db", "var/keys", "etc"):
            make_folder(self.home / folder, user)
        make_folder(self.home / "var", user)
        for name, text in self.files().items():
            file = self.home / "etc" / name
            file.write_text(text)
            give(file, user, mode=0o600)
        self._certify(user)
        recording = self._silence.with_suffix(".alaw")
        recording.write_bytes(b"\xd5" * 800)
        give(recording, user, mode=0o600)
        words = self.home / "var/log/messages.log"
        words.unlink(missing_ok=True)
        process = self._process = spawn(
            [self.layout.asterisk, "-f", "-C", self.home / "etc/asterisk.conf"],
            log=self.log,
            user=user,
            death_signal=signal.SIGKILL,
            # Asterisk reads what stands in its home.
            environment={**os.environ, "HOME": str(self.home), "LC_ALL": "C.UTF-8"},
            cwd=self.home,
        )

        def ready() -> bool:
            # Its doors open before it has loaded what answers behind them.
            return words.exists() and READY in words.read_text(errors="replace")

        wait_until(lambda: ready() or process.poll() is not None, timeout_s=START_TIMEOUT_S)
        if process.poll() is not None or not ready():
            self.stop()
            raise EngineError(f"Asterisk did not start: {tail(self.log, 12)} / {tail(words, 12)}")

    def stop(self) -> None:
        """End it as a power cut does: it keeps nothing, and tells nobody of the calls it had."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)
        self._process = None

    def hang_up_all(self) -> None:
        """End every call there is, whoever is at its ends."""
        if self._process is not None:
            self._ask("channel request hangup all")
            gone = wait_until(lambda: "0 active channels" in self._ask("core show channels"), timeout_s=STOP_TIMEOUT_S)
            assert gone, "calls do not end"

    def _certify(self, user: RunAs) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(self._certificate)
        give(self._certificate, user, mode=0o600)

    def pause(self, agent: str) -> None:
        """Let the queues ring this agent no more; a call that they have goes on."""
        self._ask(f"queue pause member PJSIP/{agent}")

    def _ask(self, command: str) -> str:
        """Say something to its console."""
        asked: list[str | Path] = [self.layout.asterisk, "-C", self.home / "etc/asterisk.conf", "-rx", command]
        return run_as(asked, user=engine_user(self.home / "var"), cwd=self.home)

    def files(self) -> dict[str, str]:
        """Its configuration."""
        return {
            "asterisk.conf": f"""[directories]
astetcdir => {self.home}/etc
astmoddir => {self.layout.modules}
astvarlibdir => {self.home}/var/lib
astdbdir => {self.home}/var/db
astkeydir => {self.home}/var/keys
astdatadir => {self.layout.data}
astagidir => {self.home}/var/lib
astspooldir => {self.home}/var/spool
astrundir => {self.home}/var/run
astlogdir => {self.home}/var/log
""",
            "modules.conf": "[modules]\nautoload = no\n" + "".join(f"load = {name}.so\n" for name in _MODULES),
            "logger.conf": "[general]\n[logfiles]\nmessages.log => notice,warning,error,verbose(3)\n",
            "manager.conf": self._manager(),
            "features.conf": f"""[general]
transferdigittimeout = {PATIENCE_S}
featuredigittimeout = {PATIENCE_S * 1000}
xfersound = {self._silence}
xferfailsound = {self._silence}
transferannouncesound = {self._silence}
[featuremap]
atxfer = {ASK}
""",
            "rtp.conf": "[general]\nrtpstart = 20000\nrtpend = 29999\n",
            "pjsip.conf": self._endpoints(),
            "queues.conf": "[general]\npersistentmembers = no\n" + "".join(map(_queue, QUEUES)),
            "extensions.conf": f"""[shops]
exten => {NUMBER},1,Answer()
 same => n,Queue({HOTLINE},t,,,{PATIENCE_S})
 same => n,Hangup()
exten => {NUMBER_IN_A_HURRY},1,Answer()
 same => n,Queue({HOTLINE},t,,,{OWN_FLOOR_S})
 same => n,Queue({OVERFLOW},,,,{PATIENCE_S})
 same => n,Hangup()
[house]
exten => 600,1,Answer()
 same => n,Queue({LEVEL2},,,,{PATIENCE_S})
 same => n,Hangup()
exten => 601,1,Answer()
 same => n,Queue({HOTLINE},,,,{PATIENCE_S})
 same => n,Hangup()
exten => _40XX,1,Dial(PJSIP/${{EXTEN}},{PATIENCE_S})
 same => n,Hangup()
""",
        }

    def _manager(self) -> str:
        """Who may listen to it, in the clear and by TLS."""
        return f"""[general]
enabled = yes
bindaddr = 127.0.0.1
port = {self.ami_port}
tlsenable = yes
tlsbindaddr = 127.0.0.1:{self.amis_port}
tlscertfile = {self._certificate}
tlsprivatekey = {self._certificate}
[{AMI_USER}]
secret = {AMI_SECRET}
read = call,agent
write = reporting
"""

    @property
    def _certificate(self) -> Path:
        """Its certificate, with the key."""
        return self.home / "etc/certificate.pem"

    @property
    def _silence(self) -> Path:
        """What is played where people would hear a prompt; Asterisk adds the codec's name."""
        return self.home / "etc/silence"

    def _endpoints(self) -> str:
        sections = [
            f"""[transport]
type = transport
protocol = udp
bind = 127.0.0.1:{self.sip_port}
[trunk]
type = endpoint
context = shops
disallow = all
allow = alaw
direct_media = no
[trunk]
type = identify
endpoint = trunk
match = 127.0.0.1
"""
        ]
        for agent, port in self.agent_ports.items():
            sections.append(f"""[{agent}]
type = endpoint
context = house
dtmf_mode = info
disallow = all
allow = alaw
direct_media = no
aors = {agent}
[{agent}]
type = aor
contact = sip:{agent}@127.0.0.1:{port}
""")
        return "".join(sections)


def _queue(name: str) -> str:
    members = "".join(f"member => PJSIP/{agent}\n" for agent in QUEUES[name])
    return f"[{name}]\nstrategy = linear\ntimeout = {PATIENCE_S}\nretry = 1\nringinuse = no\n{members}"
