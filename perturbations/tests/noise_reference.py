#!/usr/bin/env python3
"""Reference values of the image noise, by NumPy and SciPy: perturbations/tests/data/noise.json.

    python3 perturbations/tests/noise_reference.py > perturbations/tests/data/noise.json

Needs numpy and scipy (any recent version). Definitions: corruptions of Hendrycks and Dietterich (2019): Gaussian blur as scipy.ndimage.gaussian_filter with the
edge repeated; motion blur as one side of a Gaussian along a line, offsets rounded half up; zoom blur as the mean with scipy.ndimage.zoom of order 1; fog as a
plasma fractal by midpoint displacement, here from given draws; glass as exchanges of pixels, here given ones, between two blurs. One line per case.
"""
import json
import math
import sys

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

SIDE = 16
rng = np.random.default_rng(5)
IMAGE = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(float)


def gaussian(image, sigma):
    return gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4.0)


def motion(image, radius, sigma, angle):
    width = 2 * radius + 1
    weights = np.exp(-np.arange(width) ** 2 / (2 * sigma**2))
    weights /= weights.sum()
    out = np.zeros_like(image)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for i, weight in enumerate(weights):
        down = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        right = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        out += weight * image[np.clip(rows + down, 0, SIDE - 1), np.clip(columns + right, 0, SIDE - 1)]
    return out


def zoomed(image, factors):
    total = image.copy()
    for factor in factors:
        crop = math.ceil(SIDE / factor)
        top = (SIDE - crop) // 2
        large = zoom(image[top:top + crop, top:top + crop], (factor, factor, 1), order=1)
        trim = (large.shape[0] - SIDE) // 2
        total += large[trim:trim + SIDE, trim:trim + SIDE]
    return total / (len(factors) + 1)


def plasma(size, decay, draws):
    draws = iter(draws)
    map_ = np.zeros((size, size))
    step, offset = size, 100.0

    def displaced(total):
        return total / 4 + offset * offset * np.array([next(draws) for _ in range(total.size)]).reshape(total.shape)

    while step >= 2:
        half = step // 2
        corners = map_[::step, ::step]
        below = corners + np.roll(corners, -1, axis=0)
        map_[half::step, half::step] = displaced(below + np.roll(below, -1, axis=1))
        middles = map_[half::step, half::step]
        map_[::step, half::step] = displaced(corners + np.roll(corners, -1, axis=1) + middles + np.roll(middles, 1, axis=0))
        map_[half::step, ::step] = displaced(corners + np.roll(corners, -1, axis=0) + middles + np.roll(middles, 1, axis=1))
        step, offset = half, offset / decay
    map_ -= map_.min()
    return map_ / map_.max()


def fog(image, strength, map_):
    x = image / 255
    return np.clip((x + strength * map_[..., None]) * x.max() / (x.max() + strength), 0, 1) * 255


def glass(image, sigma, swaps):
    x = np.floor(gaussian(image, sigma) + 1e-3)
    flat = x.reshape(-1, 3)
    for a, b in swaps:
        flat[[a, b]] = flat[[b, a]]
    return gaussian(flat.reshape(x.shape), sigma)


def bytes_of(image):
    return np.clip(np.rint(image), 0, 255).astype(int).ravel().tolist()


draws = rng.uniform(-1, 1, 3 * SIDE * SIDE).round(6).tolist()
swaps = rng.integers(0, SIDE * SIDE, (300, 2)).tolist()
cases = [dict(kind="gaussian", sigma=s, pixels=bytes_of(gaussian(IMAGE, s))) for s in (0.7, 1.0, 3.0)]
cases += [dict(kind="motion", radius=r, sigma=s, angle=a, pixels=bytes_of(motion(IMAGE, r, s, a)))
          for r, s, a in ((5, 2.0, 0.0), (8, 3.0, 33.0), (3, 4.0, -45.0))]
cases += [dict(kind="zoom", zooms=z, pixels=bytes_of(zoomed(IMAGE, z))) for z in ([1.0, 1.03, 1.06], [1.0, 1.2, 1.4])]
cases += [dict(kind="fog", strength=s, decay=d, draws=draws, pixels=bytes_of(fog(IMAGE, s, plasma(SIDE, d, draws)))) for s, d in ((0.5, 3.0), (2.5, 2.0))]
cases += [dict(kind="glass", sigma=1.1, swaps=swaps, pixels=bytes_of(glass(IMAGE, 1.1, swaps)))]
lines = [json.dumps(case) for case in cases]
sys.stdout.write('{"side": %d, "image": %s, "cases": [\n%s\n]}\n' % (SIDE, json.dumps(bytes_of(IMAGE)), ",\n".join(lines)))
