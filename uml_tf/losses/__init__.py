"""The joint loss and its parts."""

from uml_tf.losses.joint import TERMS, LossSpec, joint_loss

__all__ = ["TERMS", "LossSpec", "joint_loss"]
