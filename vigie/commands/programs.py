"""The programs of a running house; their bodies live in their packages."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for program in (ingest, watch, rollout, web, devices, telephony):
        app.command()(program)


def ingest() -> None:
    """Store what terminals send: MQTT to the database, nothing lost, nothing twice."""
    from fleet.ingest.settings import IngestSettings
    from fleet.ingest.worker import run
    from fleet.settings import read

    run(read(IngestSettings))


def watch() -> None:
    """Judge every terminal, find incidents and tell of them, tick by tick."""
    from diagnostics.settings import WatchSettings
    from diagnostics.watching import run
    from fleet.settings import read

    run(read(WatchSettings))


def rollout() -> None:
    """Keep every terminal's target firmware and its status."""
    from firmware_rollout.reconcile import run
    from firmware_rollout.settings import RolloutSettings
    from fleet.settings import read

    run(read(RolloutSettings))


def web() -> None:
    """Serve the console, the REST API and the call hook."""
    from fleet.settings import read
    from hotline.settings import WebSettings
    from hotline.web.server import run

    run(read(WebSettings))


def devices() -> None:
    """Serve the device API alone, for a fleet that outgrows one web program."""
    from firmware_rollout.ddi.server import run
    from firmware_rollout.settings import DevicesSettings
    from fleet.settings import read

    run(read(DevicesSettings))


def telephony() -> None:
    """Listen to the telephone exchange (Asterisk's manager interface) and keep the calls."""
    from fleet.settings import read
    from hotline.telephony.listening import run
    from hotline.telephony.settings import TelephonySettings

    run(read(TelephonySettings))
