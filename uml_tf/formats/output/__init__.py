"""Writing a prediction as DICOM: segmentations and a structured report; needs the extra ``dicom``."""
