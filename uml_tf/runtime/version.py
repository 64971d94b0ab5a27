"""The version of uml-tf, stated once."""

VERSION = "0.1.0"
