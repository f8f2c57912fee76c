"""Certificates for tests and demonstrations of TLS: a throw-away authority and one server certificate.

A real installation brings certificates of its own authority.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files (PEM) of a server's TLS: it shows `certificate` and keeps `key`."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class OwnCertificates(Certificates):
    """The same with the authority that clients must trust, because nobody else knows it."""

    ca: Path


def make_certificates(folder: Path, hosts: Sequence[str] = ("localhost", "127.0.0.1")) -> OwnCertificates:
    """Write a new authority's certificate and one server's certificate and key into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = OwnCertificates(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    authority = trustme.CA()
    server = authority.issue_cert(*hosts)
    authority.cert_pem.write_to_path(str(files.ca))
    files.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(str(files.key))
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    return files
