"""The device bundle on emulated 64-bit ARM processors says what it says here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from platform import freedesktop_os_release

import pytest
from emulation import PROCESSORS, CannotBeHadError, apt_mirror, differences, emulated_arm

IMAGES = {"cortex-a72": 20, "cortex-a76": 3, "cortex-a710": 3}
"""All kernels of LiteRT run for the first image; the others differ in what they choose by their processor."""


def _rounds_as_arm():
    """Whether the int8 kernels here round as those of ARM: not on AMD's family 26, see docs/device.md."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    return not ("AuthenticAMD" in facts and re.search(r"^cpu family\s*: 26$", facts, re.MULTILINE))


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
    assert (found.decisions, found.classes) == (0, 0)
    if _rounds_as_arm():
        assert found.masks == 0
        assert max(found.probability, found.uncertainty) <= 3e-7
    else:  # a few of the 255 steps of an int8 probability
        assert max(found.probability, found.uncertainty) <= 0.02
