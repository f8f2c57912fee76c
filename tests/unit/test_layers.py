"""The direction of imports that `make lint` proves leaves no module of the fleet out."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What a real terminal knows: the contract. Errors are said alike everywhere.
OPEN_TO_SIMULATORS = {"fleet.contract", "fleet.errors"}


def test_simulators_are_kept_from_every_module_of_the_fleet_but_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [forbidden] = [set(one["forbidden_modules"]) for one in contracts if one.get("source_modules") == ["simulators"]]
    modules = {
        f"fleet.{path.stem}" for path in (ROOT / "fleet").glob("[a-z]*") if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert {module for module in forbidden if module.startswith("fleet.")} == modules - OPEN_TO_SIMULATORS
