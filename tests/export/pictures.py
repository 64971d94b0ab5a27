"""Images as cameras and archives give them: kinds that both runtimes read, and kinds that both refuse."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF orientation, 1 to 8."""
    entry = b"\x01\x12\0\x03\0\0\0\x01" + orientation.to_bytes(2, "big") + b"\0\0"
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return png[:33] + chunk + png[33:]


def readable(folder: Path, photograph: Path) -> list[Path]:
    """Writes 24 images of different kinds, made from an RGB photograph."""
    photo = Image.open(photograph).convert("RGB")
    rgb, grey = np.asarray(photo), photo.convert("L")
    rng = np.random.default_rng(0)
    plain = folder / "colour.png"

    def save(name: str, picture: Image.Image, **options: object) -> None:
        picture.save(folder / name, **options)

    save("colour.png", photo)
    save("grey.png", grey)
    save("palette.png", photo.quantize(64))
    save("bilevel.png", grey.convert("1"))
    opaque = Image.fromarray(np.full(rgb.shape[:2], 255, np.uint8))
    save("alpha-opaque.png", Image.merge("RGBA", (*photo.split(), opaque)))
    save("grey-alpha-opaque.png", Image.merge("LA", (grey, opaque)))
    # A gamma of 1: a browser that obeyed it would show and read another image.
    (folder / "gamma.png").write_bytes(with_chunk(plain.read_bytes(), b"gAMA", struct.pack(">I", 100000)))
    save("tiny.png", photo.resize((8, 8), Image.Resampling.BOX))
    save("small.png", photo.resize((40, 50), Image.Resampling.BOX))
    save("large.png", photo.resize((1500, 1055), Image.Resampling.BICUBIC))
    save("wide.png", photo.resize((400, 30), Image.Resampling.BICUBIC))
    save("tall.png", photo.resize((21, 300), Image.Resampling.BICUBIC))
    save("dark.png", Image.fromarray(rgb // 12))
    save("white.png", Image.new("RGB", (90, 70), "white"))
    save("noise.png", Image.fromarray(rng.integers(0, 256, (120, 100, 3), np.uint8)))
    save("fine.jpg", photo, quality=95, subsampling=0)
    save("coarse.jpg", photo, quality=30, subsampling=2)
    save("progressive.jpg", photo, quality=85, progressive=True)
    save("grey.jpg", grey, quality=90)
    jpeg = (folder / "fine.jpg").read_bytes()
    for orientation in (3, 6):
        (folder / f"turned-{orientation}.jpg").write_bytes(with_orientation(jpeg, orientation))
    save("lossless.webp", photo, lossless=True)
    save("lossy.webp", photo, quality=80)
    save("windows.bmp", photo)
    return sorted(path for path in folder.iterdir())


def refused(folder: Path, photograph: Path) -> list[Path]:
    """Writes files that must be refused, made from an RGB photograph."""
    photo = Image.open(photograph).convert("RGB")
    deep = np.asarray(photo).astype(np.uint16) * 257
    cv2.imwrite(str(folder / "sixteen-bit.png"), deep)
    cv2.imwrite(str(folder / "sixteen-bit-grey.png"), deep[..., 0])
    transparent = Image.fromarray(np.asarray(photo)[..., 0])
    Image.merge("RGBA", (*photo.split(), transparent)).save(folder / "transparent.png")
    photo.quantize(16).save(folder / "transparent-palette.png", transparency=0)
    photo.resize((7, 30)).save(folder / "narrow.png")
    photo.save(folder / "whole.jpg", quality=90)
    photo.save(folder / "whole.png")
    for name in ("whole.jpg", "whole.png"):
        data = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name.replace("whole", "truncated")).write_bytes(data[: len(data) * 2 // 3])
    (folder / "text.png").write_text("no image")
    (folder / "empty.png").touch()
    return sorted(path for path in folder.iterdir())
