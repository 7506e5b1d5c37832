"""Settings say where they came from, and bad values name the key, the value and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput
from penstock.ground.settings import load_settings


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_text('region = "file"\nprofile = "file"\nrunner = "bwrap"\n')
    environment = {"HOME": "/home/ada", "AWS_REGION": "env", "AWS_PROFILE": "env"}
    settings = load_settings({"region": "flag"}, environment=environment, directory=tmp_path)
    assert (settings.region, settings.profile, settings.runner) == ("flag", "env", "bwrap")
    assert settings.state_dir == Path("/home/ada/.local/state/penstock")
    assert settings.tracking_uri == "sqlite:////home/ada/.local/state/penstock/penstock.db"
    assert settings.origins["region"] == "flag --region"
    assert settings.origins["profile"] == "environment AWS_PROFILE"
    assert settings.origins["runner"] == f"file {tmp_path / 'penstock.toml'}"
    assert settings.origins["cache_dir"] == "default"


def test_a_table_in_pyproject_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.penstock]\nregion = "eu-west-1"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert load_settings(environment={}, directory=below).region == "eu-west-1"


def test_a_bad_value_names_key_value_and_expectation(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'runner' has the value 'magic' .*PENSTOCK_RUNNER.*Give one of auto"):
        load_settings(environment={"PENSTOCK_RUNNER": "magic"}, directory=tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_text("region =")
    with pytest.raises(InvalidInput, match=r"penstock\.toml is not valid TOML"):
        load_settings(environment={}, directory=tmp_path)
