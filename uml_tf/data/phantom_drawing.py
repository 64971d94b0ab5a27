"""Drawing a phantom: a synthetic photograph of the eye's fundus, with its mask and its label.

A phantom is a narrow-field photograph centred near the optic disc. Its label is glaucoma when the vertical
cup-to-disc ratio of its mask is over 0.6. No phantom is drawn after a real eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.images import Array

GLAUCOMA_LIMIT = 0.6
CLASSES = ("healthy", "glaucoma")
PIXEL_CLASSES = ("background", "rim", "cup")


@dataclass(frozen=True)
class _Eye:
    """Geometry of one phantom, in pixels."""

    centre: tuple[float, float]
    disc: tuple[float, float]
    cup_centre: tuple[float, float]
    cup: tuple[float, float]
    angle: float


def _draw_ratio(rng: np.random.Generator) -> float:
    """A vertical cup-to-disc ratio: one in five is near the limit, the others are clearly off it."""
    kind = rng.random()
    if kind < 0.2:
        return float(rng.uniform(0.53, 0.67))
    if kind < 0.6:
        return float(np.clip(rng.normal(0.40, 0.08), 0.2, 0.55))
    return float(np.clip(rng.normal(0.76, 0.06), 0.65, 0.9))


def _draw_eye(rng: np.random.Generator, size: int) -> _Eye:
    ratio = _draw_ratio(rng)
    vertical = size * rng.uniform(0.17, 0.23)
    horizontal = vertical * rng.uniform(0.86, 1.0)
    centre = tuple(size * (0.5 + rng.uniform(-0.1, 0.1, 2)))
    cup_vertical = vertical * ratio
    cup_horizontal = min(cup_vertical * rng.uniform(0.85, 1.05), 0.94 * horizontal)
    free = (horizontal - cup_horizontal) * 0.5, (vertical - cup_vertical) * 0.5
    shift = rng.uniform(-1, 1, 2) * free
    cup_centre = (centre[0] + shift[0], centre[1] + shift[1])
    return _Eye(
        (centre[0], centre[1]),
        (horizontal, vertical),
        cup_centre,
        (cup_horizontal, cup_vertical),
        rng.uniform(-8, 8),
    )


def _radius(size: int, centre: tuple[float, float], axes: tuple[float, float], angle: float) -> Array:
    """The elliptic radius of every pixel, ``(size, size)``: below 1 inside the ellipse."""
    y, x = np.mgrid[:size, :size].astype(np.float32) + 0.5
    turn = np.deg2rad(angle)
    dx, dy = x - centre[0], y - centre[1]
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / axes[0]
    v = (-dx * np.sin(turn) + dy * np.cos(turn)) / axes[1]
    return np.sqrt(u * u + v * v)


def _smooth_noise(rng: np.random.Generator, size: int, cells: int) -> Array:
    """Noise ``(size, size)`` of standard deviation 1, smooth over about size / cells pixels."""
    grid = rng.standard_normal((cells, cells)).astype(np.float32)
    noise = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return noise / (noise.std() + 1e-6)


def _soft(radius: Array, softness: float) -> Array:
    """1 inside (radius below 1), 0 outside, with an edge of relative width ``softness``."""
    return 1.0 / (1.0 + np.exp(np.clip((radius - 1.0) / softness, -30, 30)))


def _grow_vessel(
    canvas: Array, rng: np.random.Generator, start: Array, heading: float, width: float, depth: int
) -> None:
    """Draws one vessel as a bending polyline that thins and branches."""
    size = canvas.shape[0]
    point, bend = start.astype(float), rng.uniform(-0.03, 0.03)
    for step in range(int(rng.integers(22, 40))):
        heading += bend + rng.normal(0, 0.07)
        following = point + size * 0.022 * np.array([np.cos(heading), np.sin(heading)])
        ends = [tuple(int(v * 16) for v in p) for p in (point, following)]
        cv2.line(canvas, ends[0], ends[1], 1.0, max(1, round(width)), cv2.LINE_AA, 4)
        point, width = following, width * 0.975
        if not (0 <= point[0] < size and 0 <= point[1] < size):
            return
        if depth > 0 and step > 3 and rng.random() < 0.11:
            side = rng.choice([-1, 1]) * rng.uniform(0.35, 0.8)
            _grow_vessel(canvas, rng, point, heading + side, width * 0.65, depth - 1)


def _vessels(rng: np.random.Generator, size: int, eye: _Eye) -> Array:
    """How much vessels darken each pixel, 0 to 1: two arcades up and two down, each artery and vein."""
    scale = 2
    darkness = np.zeros((size, size), np.float32)
    for heading in (-1.15, -1.95, 1.15, 1.95):
        for width, strength in ((0.016, 0.55), (0.021, 0.8)):
            canvas = np.zeros((size * scale, size * scale), np.float32)
            spread = rng.normal(0, 0.22)
            start = np.array(eye.cup_centre) + rng.normal(0, 0.1, 2) * eye.disc[0]
            _grow_vessel(canvas, rng, start * scale, heading + spread, size * scale * width, 2)
            small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
            darkness = np.maximum(darkness, strength * small)
    return cv2.GaussianBlur(darkness, (0, 0), 0.5 + 0.002 * size)


def _paint(rng: np.random.Generator, size: int, eye: _Eye) -> Array:
    """The eye as it is before the camera: float RGB, about 0 to 1."""
    base = np.array([0.72, 0.30, 0.13]) * rng.uniform(0.8, 1.15, 3) * rng.uniform(0.8, 1.1)
    texture = 0.05 * _smooth_noise(rng, size, 6) + 0.03 * _smooth_noise(rng, size, 24)
    retina = base[None, None] * (1.0 + texture[..., None] + 0.02 * _smooth_noise(rng, size, 64)[..., None])
    halo = _soft(_radius(size, eye.centre, (eye.disc[0] * 1.15, eye.disc[1] * 1.15), eye.angle), 0.12)
    retina *= 1.0 + rng.uniform(-0.12, 0.25) * halo[..., None]
    rim = base * 0.35 + np.array([0.62, 0.40, 0.22]) * rng.uniform(0.85, 1.1)
    cup = rim + np.array([0.14, 0.24, 0.22]) * rng.uniform(0.75, 1.35)
    inside_disc = _soft(_radius(size, eye.centre, eye.disc, eye.angle), rng.uniform(0.02, 0.05))[..., None]
    inside_cup = _soft(_radius(size, eye.cup_centre, eye.cup, eye.angle), rng.uniform(0.03, 0.08))[..., None]
    grain = 1.0 + 0.04 * _smooth_noise(rng, size, 32)[..., None]
    scene = retina * (1 - inside_disc) + rim * grain * inside_disc
    scene = scene * (1 - inside_cup) + cup * grain * inside_cup
    vessel = _vessels(rng, size, eye)[..., None] * (1 - 0.35 * inside_cup)
    return scene * (1 - vessel * np.array([0.35, 0.62, 0.55]))


def _photograph(rng: np.random.Generator, scene: Array, ungradable: bool) -> Array:
    """The photograph of the scene, with vignette, exposure, blur, glare and sensor noise; RGB uint8."""
    size = scene.shape[0]
    lens = (size * (0.5 + rng.uniform(-0.02, 0.02)), size * (0.5 + rng.uniform(-0.02, 0.02)))
    radius = _radius(size, lens, (size * 0.49,) * 2, 0.0)
    exposure, sigma = rng.uniform(0.7, 1.2), size * rng.uniform(0.0, 0.006)
    glare = 0.0
    if ungradable:
        exposure, sigma = rng.choice([0.18, 0.8, 2.2]), size * rng.uniform(0.035, 0.07)
        glare = rng.uniform(0.5, 1.2)
    light = (1.0 - rng.uniform(0.15, 0.5) * radius**2) * _soft(radius, 0.008)
    tilt = 1.0 + 0.12 * cv2.resize(rng.standard_normal((2, 2)).astype(np.float32), (size, size))
    image = cv2.GaussianBlur(scene.astype(np.float32), (0, 0), max(sigma, 0.3))
    image = image * (light * tilt * exposure)[..., None]
    if glare:
        spot = _radius(
            size, tuple(size * rng.uniform(0.25, 0.75, 2)), (size * rng.uniform(0.2, 0.45),) * 2, 0
        )
        image = image + glare * np.exp(-(spot**2))[..., None] * _soft(radius, 0.008)[..., None]
    image = np.clip(image, 0, 1.2) ** rng.uniform(0.85, 1.15)
    image = image + rng.normal(0, rng.uniform(0.004, 0.02), image.shape)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def draw_phantom(rng: np.random.Generator, size: int, ungradable: bool = False) -> tuple[Array, Array, str]:
    """Draws one phantom.

    Args:
        rng: decides everything about the phantom.
        size: side in pixels.
        ungradable: degrade the photograph (blur, glare, darkness), but not the mask or the label.

    Returns:
        The photograph, RGB ``(size, size, 3)`` uint8; the mask of class indices, ``(size, size)`` uint8; and
        the label.
    """
    eye = _draw_eye(rng, size)
    disc = _radius(size, eye.centre, eye.disc, eye.angle) <= 1
    cup = (_radius(size, eye.cup_centre, eye.cup, eye.angle) <= 1) & disc
    mask = disc.astype(np.uint8) + cup.astype(np.uint8)
    image = _photograph(rng, _paint(rng, size, eye), ungradable)
    ratio = vertical_cup_to_disc_ratio(mask, PIXEL_CLASSES)
    return image, mask, CLASSES[int(ratio is not None and ratio > GLAUCOMA_LIMIT)]
