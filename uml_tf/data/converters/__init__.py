"""Converters from raw formats to the prepared form, a file each."""
