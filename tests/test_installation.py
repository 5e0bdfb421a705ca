"""What ships lies beside src/ in a checkout, inside the package in a wheel."""

import re
import tomllib
from pathlib import Path

from fairtrial import installation
from tests.support.house import ALL, ROOT, imports, tops


def test_in_a_checkout_studies_lie_beside_src():
    root = Path(__file__).parents[1]
    assert installation.shipped("ablations") == root / "ablations"


def test_in_a_wheel_studies_lie_in_the_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "fairtrial"
    monkeypatch.setattr(installation, "_PACKAGE", package)
    monkeypatch.setattr(installation, "ROOT", package.parents[1])
    assert installation.shipped("ablations") == package / "_shipped" / "ablations"


def test_code_imports_what_each_extra_installs():
    """An extra that nothing imports promises what is not there; `dev` is what the tests need."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    imported = set().union(*(tops(imports(name, anywhere=True)) for name in ALL))
    for extra, requirements in extras.items():
        named = {re.match(r"[\w-]+", each)[0].replace("-", "_") for each in requirements}
        modules = {name.removesuffix("_skinny") for name in named}  # MLflow without its server
        assert extra == "dev" or modules & imported, extra


def test_the_citation_names_what_is_built():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = (ROOT / "CITATION.cff").read_text()
    for line in (f"version: {project['version']}", f"license: {project['license']}"):
        assert f"\n{line}\n" in cited
