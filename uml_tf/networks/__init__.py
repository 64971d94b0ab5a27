"""The joint network and its presets."""

from uml_tf.networks.heads import DirichletHead
from uml_tf.networks.presets import PRESETS, NetworkSpec, preset
from uml_tf.networks.uml import CONTRACT, UML, without

__all__ = ["CONTRACT", "PRESETS", "UML", "DirichletHead", "NetworkSpec", "preset", "without"]
