from __future__ import annotations

from pathlib import Path

import pytest

from penstock.images.wheels.indexes import Credentials, index_environment


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PIP_CONFIG_FILE": str(home / "pip.conf"), **more}


def test_pips_indexes_are_handed_to_uv(home: Path):
    (home / "pip.conf").write_text(
        "[global]\nindex-url = https://one/simple\nextra-index-url = https://two/simple\n https://three/simple\n"
        f"find-links = {home} /no/such/folder\ncert = /etc/bundle.pem\n"
    )
    made = index_environment(environment(home))
    assert made["UV_DEFAULT_INDEX"] == "https://one/simple"
    assert made["UV_INDEX"] == "https://two/simple https://three/simple"
    assert made["UV_FIND_LINKS"] == str(home)  # uv stops at a missing folder, pip passes over it
    assert made["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert made["SSL_CERT_FILE"] == "/etc/bundle.pem"


def test_pips_variables_go_before_its_files(home: Path):
    (home / "pip.conf").write_text("[global]\nindex-url = https://file/simple\n")
    made = index_environment(environment(home, PIP_INDEX_URL="https://variable/simple"))
    assert made["UV_DEFAULT_INDEX"] == "https://variable/simple"


@pytest.mark.parametrize("where", ["variable", "file"])
def test_uvs_own_indexes_go_before_pips(home: Path, where: str):
    (home / "pip.conf").write_text("[global]\nindex-url = https://pip/simple\nextra-index-url = https://more\n")
    given = environment(home)
    if where == "variable":
        given["UV_DEFAULT_INDEX"] = "https://uv/simple"
    else:
        (home / ".config/uv").mkdir(parents=True)
        (home / ".config/uv/uv.toml").write_text('[[index]]\nurl = "https://uv/simple"\n')
    made = index_environment(given)
    assert made.get("UV_DEFAULT_INDEX") == given.get("UV_DEFAULT_INDEX")
    assert "UV_INDEX" not in made


def test_a_password_is_for_its_own_host_only(home: Path):
    made = Credentials(environment(home, UV_INDEX="private=https://me:p%40ss@wheels.example/simple"))
    assert made.find("https://wheels.example/files/a.whl") == ("me", "p@ss")
    assert made.find("https://other.example/files/a.whl") is None
    assert made.find("https://wheels.example:8443/files/a.whl") is None


def test_named_indexes_take_their_password_from_variables(home: Path):
    (home / "uv.toml").write_text('[[index]]\nname = "my-index"\nurl = "https://wheels.example/simple"\n')
    given = {"UV_INDEX_MY_INDEX_USERNAME": "me", "UV_INDEX_MY_INDEX_PASSWORD": "secret"}
    assert Credentials(environment(home, **given)).find("https://wheels.example/a.whl") == ("me", "secret")


def test_netrc_is_asked_last(home: Path):
    (home / ".netrc").write_text("machine wheels.example login me password secret\n")
    (home / ".netrc").chmod(0o600)
    assert Credentials(environment(home)).find("https://wheels.example/a.whl") == ("me", "secret")
