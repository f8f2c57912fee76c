"""The embedded engines serve, restart on their data, refuse strangers, and never outlive who runs them."""

import psycopg
from psycopg import Connection


def test_a_cloned_database_is_migrated_and_takes_commits(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        tables = conn.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname IN ('fleet', 'diagnostics', 'firmware_rollout', 'hotline')"
        ).fetchone()
        conn.execute("CREATE TABLE fleet.scratch (v int)")
        conn.commit()
    assert tables is not None
    assert tables[0] > 10


def test_a_rolled_back_connection_knows_hypertables(conn: Connection) -> None:
    found = conn.execute("SELECT count(*) FROM timescaledb_information.hypertables").fetchone()
    assert found is not None
    assert found[0] >= 3
