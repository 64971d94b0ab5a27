"""uml-tf: joint classification and segmentation of medical images that says how far to trust it."""

__version__ = "0.1.0"
