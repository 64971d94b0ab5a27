"""What raw formats are made of: tables, patterns of file names, values of pixels, outlines."""
