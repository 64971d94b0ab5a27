"""Reading the formats of the clinic, DICOM and NIfTI, as pictures of 8-bit RGB; needs the extra ``dicom``."""
