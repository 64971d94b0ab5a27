"""``uml-tf study --plan`` of an arm with a locator and a teacher."""

from __future__ import annotations

import re
from dataclasses import replace

from small_networks import quick_network, random_network

from uml_tf.networks.files import weights_sha256
from uml_tf.runtime.roi import Roi

STUDY = """\
config: {data: DATA, preset: edge, image_size: 32, epochs: 1}
seeds: [3]
arms:
  both: {teachers: [teacher.keras], roi: {model: locator.keras, region: disc, margin: 0.5}}
"""


def test_an_arm_with_a_locator_and_a_teacher_is_measured(phantoms, uml_tf_command, tmp_path):
    info = phantoms.info
    names = {name: getattr(info, name) for name in ("image_classes", "pixel_classes", "unions")}
    locator, teacher = quick_network(0, info), random_network(1)
    locator.save(tmp_path / "locator.keras")
    roi = Roi("disc", 0.5, weights_sha256(locator))
    teacher.card = replace(teacher.card, **names, roi=roi)
    teacher.save(tmp_path / "teacher.keras")
    (tmp_path / "study.yaml").write_text(STUDY.replace("DATA", str(phantoms.root)))
    done = uml_tf_command("study", "study.yaml", "--plan", cwd=tmp_path)
    row = r"^\| both \|.* \| [\d.]+ (min|h) \| \d+ steps an epoch of [\d.]+ s \|$"
    assert re.search(row, done.stdout, re.M)
    for name in ("locator", "teacher"):
        unknown = (
            rf"^uml-tf: warning: study: model '\S*{name}\.keras': it is not known whether it was trained"
        )
        assert len(re.findall(unknown, done.stderr, re.M)) == 1
