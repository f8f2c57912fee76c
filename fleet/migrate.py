"""Brings a database to this release's schema: every package's plain SQL files, in the order of imports, under a lock."""

import importlib.resources
import logging

from yoyo import get_backend, read_migrations

from fleet.errors import VigieError

log = logging.getLogger(__name__)

# The order of the house's imports: a later package's tables may refer to an earlier one's.
PACKAGES = ("fleet", "diagnostics", "firmware_rollout", "hotline")


def migrate(url: str) -> list[str]:
    """Apply what is not yet applied, each file in its transaction; returns the ids applied now (empty: nothing to do)."""
    applied: list[str] = []
    with get_backend(_yoyo_url(url)) as backend, backend.lock():
        for package in PACKAGES:
            with importlib.resources.as_file(importlib.resources.files(package) / "migrations") as folder:
                migrations = read_migrations(str(folder))
            if not migrations:
                raise VigieError(f"no migration files in package {package}: the installation is incomplete")
            todo = backend.to_apply(migrations)
            backend.apply_migrations(todo)
            applied += [migration.id for migration in todo]
    for name in applied:
        log.info("migration %s applied", name, extra={"action": "migrate", "migration": name})
    return applied


def _yoyo_url(url: str) -> str:
    """The URL in the form by which yoyo chooses psycopg 3."""
    _, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}"
