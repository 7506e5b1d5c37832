from __future__ import annotations

import pytest

from penstock.ground.errors import EnvironmentMismatch, InvalidInput
from penstock.images.target import build_target
from penstock.images.wheels.lock import read_pylock

TARGET = build_target("3.11")


def pylock(*wheels: str, name: str = "Some_Thing") -> str:
    rows = ", ".join(
        f'{{url = "https://user:secret@index/{wheel}", size = 3, hashes = {{sha256 = "{number:064x}"}}}}'
        for number, wheel in enumerate(wheels)
    )
    return f'lock-version = "1.0"\n[[packages]]\nname = "{name}"\nversion = "1.0"\nwheels = [{rows}]\n'


def read(text: str):
    return read_pylock(text, requirements=("some-thing",), target=TARGET)


def test_of_several_wheels_the_most_specific_is_locked():
    lock = read(
        pylock(
            "some_thing-1.0-py3-none-any.whl",
            "some_thing-1.0-cp39-abi3-manylinux_2_28_x86_64.whl",
            "some_thing-1.0-cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "some_thing-1.0-cp311-abi3-manylinux_2_28_x86_64.whl",
        )
    )
    assert lock.wheels[0].filename == "some_thing-1.0-cp311-abi3-manylinux_2_28_x86_64.whl"
    assert lock.wheels[0].name == "some-thing"


def test_the_lock_as_text_names_neither_index_nor_password():
    text = read(pylock("some_thing-1.0-py3-none-any.whl")).requirements_text().decode()
    assert f"some-thing==1.0 --hash=sha256:{0:064x}\n" in text
    assert "secret" not in text
    assert "://" not in text


def test_a_package_without_wheels_is_refused_by_name():
    with pytest.raises(EnvironmentMismatch, match=r"some-thing .* comes without a wheel"):
        read('[[packages]]\nname = "some-thing"\nversion = "1.0"\nsdist = {url = "https://index/x.tar.gz"}\n')


def test_a_wheel_without_a_hash_is_refused():
    text = '[[packages]]\nname = "a"\nversion = "1"\nwheels = [{url = "https://index/a-1-py3-none-any.whl"}]\n'
    with pytest.raises(EnvironmentMismatch, match="no SHA-256"):
        read(text)


def test_a_broken_lock_is_an_input_error():
    with pytest.raises(InvalidInput, match=r"no pylock\.toml"):
        read("packages = [[[")


@pytest.mark.parametrize("platform", ["windows/amd64", "linux/s390x", "linux"])
def test_only_two_platforms_are_built_for(platform: str):
    with pytest.raises(InvalidInput, match="linux/amd64 or linux/arm64"):
        build_target("3.11", platform=platform)


def test_a_target_takes_the_minor_version():
    assert build_target("3.11.7", platform="linux/arm64/v8").python == "3.11"
    assert build_target("3.13", platform="linux/arm64").uv_platform == "aarch64-manylinux_2_28"
