"""The command line, installed as ``uml_tf.cli``."""
