"""From a Keras model to device formats, installed as ``uml_tf.export``."""
