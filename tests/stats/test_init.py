"""What `import fairtrial.stats` brings, and what it does not."""

import pkgutil
import subprocess
import sys

import pytest

import fairtrial.stats


def loaded_after(code):
    program = f"import sys\n{code}\nprint(*sorted(name for name in sys.modules if '.' not in name))"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_power_needs_neither_numpy_nor_scipy_nor_torch_nor_pandas():
    loaded = loaded_after(
        "from fairtrial.stats import minimal_detectable_effect, power, seeds_needed\n"
        "power(5, 1.0), seeds_needed(1.0), minimal_detectable_effect(5)"
    )
    assert not {"numpy", "scipy", "torch", "pandas", "matplotlib", "statistics"} & set(loaded)


def test_the_whole_package_needs_neither_torch_nor_pandas_nor_scipy_stats():
    loaded = loaded_after("from fairtrial.stats import *\nassert 'scipy.stats' not in sys.modules")
    assert "scipy" in loaded
    assert not {"torch", "pandas", "matplotlib"} & set(loaded)


@pytest.mark.parametrize("name", fairtrial.stats.__all__)
def test_every_name_leads_to_a_documented_function(name):
    function = getattr(fairtrial.stats, name)
    assert callable(function)
    assert function.__name__ == name
    assert len(function.__doc__) > 40


def test_no_file_is_called_like_a_function():
    files = {module.name for module in pkgutil.iter_modules(fairtrial.stats.__path__)}
    assert not files & set(fairtrial.stats.__all__)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match="no attribute 'anova'; known: mean_interval"):
        fairtrial.stats.anova  # noqa: B018


def test_dir_lists_the_public_names():
    assert dir(fairtrial.stats) == sorted(fairtrial.stats.__all__)
