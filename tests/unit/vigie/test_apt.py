"""What the private apt reads from the machine and asks of Debian."""

import pytest

from vigie.engines.apt import AptError, Mirror, Package, mirror_of, parse_simulation, sources_list
from vigie.engines.unpacking import wanted

BOOKWORM = """\
Packages|bookworm|http://mirror.example/debian/|main
Translations|bookworm|http://mirror.example/debian/|main
Packages|bookworm-updates|http://mirror.example/debian/|main
Packages|bookworm-security|http://mirror.example/debian-security/|main
"""


@pytest.mark.parametrize(
    ("listing", "mirror"),
    [
        pytest.param(BOOKWORM, Mirror("http://mirror.example/debian", "http://mirror.example/debian-security"), id="Debian 12"),
        pytest.param(
            "Packages|nodistro|https://node.example/|main\nPackages|trixie|https://a.example/d/|main\n",
            Mirror("https://a.example/d", ""),
            id="others' archives are passed over; no security archive is no obstacle",
        ),
        pytest.param("Packages|bookworm|http://a.example/|contrib\n", None, id="a component that has no engines"),
        pytest.param("", None, id="no source at all"),
    ],
)
def test_mirror_is_the_one_the_machine_uses(listing: str, mirror: Mirror | None) -> None:
    assert mirror_of(listing) == mirror


def test_sources_have_updates_and_security_fixes() -> None:
    text = sources_list("trixie", Mirror("http://m.example/debian", "http://m.example/security"))
    suites = [line.split("] ")[-1].removeprefix("deb ") for line in text.splitlines()]
    assert suites == [
        "http://m.example/debian trixie main",
        "http://m.example/debian trixie-updates main",
        "http://m.example/security trixie-security main",
    ]


def test_sid_has_neither() -> None:
    assert sources_list("sid", Mirror("http://m.example/debian", "http://m.example/security")).count("deb ") == 1


def test_simulation_is_read_with_exact_versions() -> None:
    output = (
        "Inst libc6 (2.41-12+deb13u4 Debian:13.5/stable [amd64]) []\n"
        "Inst mosquitto (2.0.21-1 Debian:13.5/stable [amd64])\n"
        "Conf mosquitto (2.0.21-1 Debian:13.5/stable [amd64])\n"
    )
    assert parse_simulation(output) == [Package("libc6", "2.41-12+deb13u4"), Package("mosquitto", "2.0.21-1")]


def test_a_simulation_without_packages_is_an_error() -> None:
    with pytest.raises(AptError, match="no package"):
        parse_simulation("E: Unable to locate package mosquitto")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("postgresql-17", True),
        ("libc6", True),
        ("libssl3t64", True),
        ("libicu76", True),
        ("mosquitto-clients", True),
        ("libllvm19", False),
        ("perl-base", False),
        ("libjson-perl", False),
        ("locales", False),
        ("openssl", False),
    ],
)
def test_only_what_the_engines_need_is_downloaded(name: str, *, kept: bool) -> None:
    assert (wanted([Package(name, "1")]) == [Package(name, "1")]) is kept
