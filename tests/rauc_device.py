"""A device with rauc-hawkbit, as a process of its own: the client is as published; RAUC and its D-Bus are stood in for.

    python rauc_device.py PACKAGES HOST TERMINAL TOKEN DOWNLOAD SLOT RESULT

It polls until it is ended. What it downloads is "installed" by a copy to SLOT, and RESULT is what RAUC then says: 0 is success.
"""

import asyncio
import logging
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

RETRY_S = 0.3


class _Bus:
    """The system bus with RAUC on it."""

    def __init__(self) -> None:
        self.heard: Callable[..., None] = print

    def signal_subscribe(self, *arguments: Any) -> int:
        self.heard = arguments[-1]
        return 1

    def signal_unsubscribe(self, subscription: int) -> None:
        pass

    def says(self, interface: str, signal: str, parameters: Any) -> None:
        self.heard(self, "rauc", "/", interface, signal, parameters)


class _Rauc:
    """RAUC's installer."""

    def __init__(self, bus: _Bus, slot: Path, result: int) -> None:
        self._bus, self._slot, self._result = bus, slot, result

    def get_cached_property_names(self) -> list[str]:
        return ["Operation"]

    def Install(self, _signature: str, bundle: str) -> None:  # noqa: N802  (its name on the bus)
        installer = "de.pengutronix.rauc.Installer"
        self._bus.says(
            "org.freedesktop.DBus.Properties", "PropertiesChanged", [installer, {"Progress": (40, "Copying image to rootfs.1", 2)}]
        )
        if self._result == 0:
            shutil.copy(bundle, self._slot)
        else:
            failed = {"LastError": "signature verification failed"}
            self._bus.says("org.freedesktop.DBus.Properties", "PropertiesChanged", [installer, failed])
        self._bus.says(installer, "Completed", (self._result,))


def _stand_in(slot: Path, result: int) -> None:
    """GLib's modules as far as the client uses them."""
    bus = _Bus()
    repository = types.ModuleType("gi.repository")
    proxies = types.SimpleNamespace(new_sync=lambda *_: _Rauc(bus, slot, result))
    bus_types = types.SimpleNamespace(SYSTEM=1)
    gio = types.SimpleNamespace(BusType=bus_types, bus_get_sync=lambda *_: bus, DBusProxy=proxies)
    repository.__dict__.update(Gio=gio, GLib=types.SimpleNamespace(Error=OSError))
    sys.modules["gi"], sys.modules["gi.repository"] = types.ModuleType("gi"), repository


async def _poll(host: str, terminal: str, token: str, download: str) -> None:
    import aiohttp  # type: ignore[import-not-found]  # of the folder given on the command line
    from rauc_hawkbit.rauc_dbus_ddi_client import RaucDBUSDDIClient  # type: ignore[import-not-found]  # likewise

    async with aiohttp.ClientSession() as session:
        client = RaucDBUSDDIClient(session, host, False, "vigie", terminal, token, {"mac": "02:00"}, download, logging.info)
        await client.start_polling(wait_on_error=RETRY_S)


def main() -> None:
    packages, host, terminal, token, download, slot, result = sys.argv[1:]
    sys.path.insert(0, packages)
    logging.basicConfig(level=logging.DEBUG)
    _stand_in(Path(slot), int(result))
    asyncio.run(_poll(host, terminal, token, download))


if __name__ == "__main__":
    main()
