"""The demonstration's releases are signed and kept like anybody's."""

from pathlib import Path

from firmware_rollout.artifacts import FolderStore
from firmware_rollout.releases import list_releases
from firmware_rollout.trust.metadata_store import newest
from tests.integration.signed_releases import NOW, holds
from tests.integration.small_fleet import Conn, add_shops
from vigie.demo import RELEASES
from vigie.demo_releases import FILE_BYTES, add_releases


def test_the_demonstrations_releases_have_files_and_fit_its_fleet(conn: Conn, tmp_path: Path) -> None:
    for number, model in enumerate("ABC"):
        add_shops(conn, 1, first=1 + number, model=model)
    store = FolderStore(tmp_path / "store")
    root = add_releases(conn, store, RELEASES, home=tmp_path / "maker", online=tmp_path / "online", now=NOW)
    assert root.exists()
    found = list_releases(conn)
    assert [release.version for release in found] == [version for version, _, _ in reversed(RELEASES)]
    assert all(release.file is not None and holds(store, release.file.sha256, FILE_BYTES) for release in found)
    assert sorted(path.name for path in (tmp_path / "online").iterdir()) == ["root.json", "snapshot.pem", "timestamp.pem"]
    assert set(newest(conn)) == {"root", "targets", "snapshot", "timestamp"}
    kept = (tmp_path / "maker/targets.json").read_bytes()
    assert kept == newest(conn)["targets"].body, "one can sign on top of it, with the keys beside it"
    assert len(list((tmp_path / "maker/keys/offline").glob("targets-*.pem"))) == 3
