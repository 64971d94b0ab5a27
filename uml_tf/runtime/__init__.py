"""The ground floor: all that reads an image with a trained network, by NumPy, OpenCV and LiteRT alone.

The device bundle packs this folder. It imports nothing else of ``uml_tf``.
"""
