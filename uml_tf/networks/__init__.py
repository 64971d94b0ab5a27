"""The joint network and its presets."""

from uml_tf.networks.heads import DirichletHead
from uml_tf.networks.presets import PRESETS, NetworkSpec, preset
from uml_tf.networks.uml import UML, without

__all__ = ["PRESETS", "UML", "DirichletHead", "NetworkSpec", "preset", "without"]
