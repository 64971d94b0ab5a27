"""Reading images on a device: NumPy, OpenCV and LiteRT, no TensorFlow."""

from uml_tf.device.runtime import DeviceModel

__all__ = ["DeviceModel"]
