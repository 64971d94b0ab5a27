"""The device bundle on emulated 64-bit ARM processors says what it says here."""

from __future__ import annotations

import shutil
from platform import freedesktop_os_release

import pytest
from emulation import PROCESSORS, CannotBeHadError, apt_mirror, differences, emulated_arm

IMAGES = {"cortex-a72": 20, "cortex-a76": 3, "cortex-a710": 3}
"""All kernels of LiteRT run for the first image; the others differ in what they choose by their processor."""


@pytest.fixture(scope="module")
def bundle(page_bundle):
    return page_bundle("int8")


@pytest.fixture(scope="module")
def arm(bundle):
    try:
        return emulated_arm(bundle / "requirements.txt")
    except CannotBeHadError as error:
        pytest.skip(f"NOT CHECKED: the device bundle on 64-bit ARM; {error}")


def test_mirror_is_that_of_this_machines_apt(tmp_path, monkeypatch):
    if not shutil.which("apt-get"):
        pytest.skip("NOT CHECKED: the mirror; there is no apt")
    own = freedesktop_os_release()["VERSION_CODENAME"]
    sources = tmp_path / "sources"
    options = tmp_path / "apt.conf"
    options.write_text(f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "-";\n')
    monkeypatch.setenv("APT_CONFIG", str(options))
    sources.write_text("deb http://other.invalid/tools any main\n")
    with pytest.raises(CannotBeHadError, match=f"apt's sources: found none of Debian {own} main"):
        apt_mirror(tmp_path)
    with sources.open("a") as file:
        file.write(f"deb http://mirror.invalid/debian {own} main\n")
    assert apt_mirror(tmp_path) == "http://mirror.invalid/debian/"


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_bundle_says_the_same_on_64_bit_arm(arm, bundle, phantoms, processor):
    images = [phantoms.root / row.image for row in phantoms.rows[: IMAGES[processor]]]
    found = differences(arm, processor, bundle, images)
    assert found.images == IMAGES[processor]
    assert found.probability <= 3e-7
    assert found.uncertainty <= 3e-7
    assert (found.decisions, found.classes, found.masks) == (0, 0, 0)
