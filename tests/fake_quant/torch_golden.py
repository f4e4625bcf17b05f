#!/usr/bin/env python3
"""Prints tests/fake_quant/torch_golden.hpp: what torch's fake-quantization gives on the numbers that torch.cpp
draws, as FNV-1a hashes of the bits (forward, mask, dx) and as sums (gradients of scale and zero point).

    python3 tests/fake_quant/torch_golden.py > tests/fake_quant/torch_golden.hpp

Needs torch (Debian: python3-torch) and numpy.
"""
import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "peers"))
from torch_observers import MASK, RandomStream  # noqa: E402

F = np.float32
N = 1024
SCALES = [0.05, 1.0 / 3.0, 1.17e-5, 2.0**-23, 123.456, 1e-20]
FORMATS = [(-128, 127, 0), (-128, 127, 5), (0, 255, 3), (0, 255, 128), (-127, 127, 0), (-8, 7, 0), (0, 15, 7), (-2, 1, 0)]


def number(r, scale):
    """Ties and their neighbours, ordinary values, values on the grid, far too large ones."""
    kind = r.below(4)
    if kind == 0:
        tie = F(r.below(800)) - F(400) + F(0.5)
        bits = int((tie * scale).view(np.uint32)) + r.below(5) - 2
        return np.uint32(bits & 0xFFFFFFFF).view(F)
    if kind == 1:
        return F(60.0 * r.normal()) * scale
    if kind == 2:
        return (F(r.below(600)) - F(300)) * scale
    power = F(2.0 ** r.below(20))
    return (power if r.below(2) == 0 else -power) * scale


def draw(scales, seed):
    r = RandomStream(seed)
    return np.array([number(r, s) for s in scales], dtype=F)


def off_ties(r, scale):
    """Whole multiples of the scale and a quarter or three eighths more: torch's learnable backward rounds after
    adding the zero point, so at ties it contradicts torch's forward."""
    return (F(r.below(600)) - F(300) + F(r.below(4)) * F(0.125)) * scale


def draw_off_ties(scale, seed):
    r = RandomStream(seed)
    return np.array([off_ties(r, scale) for _ in range(N)], dtype=F)


def hash_of(words):
    h = 0xCBF29CE484222325
    for w in words:
        h = ((h ^ int(w)) * 0x100000001B3) & MASK
    return f"{h:#018x}ULL"


def bits_of(t):
    return t.detach().numpy().reshape(-1).view(np.uint32)


def per_tensor():
    seed = 0
    for scale in SCALES:
        for lo, hi, zero in FORMATS:
            x = torch.from_numpy(draw([F(scale)] * N, seed))
            y, mask = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(x, float(F(scale)), zero, lo, hi)
            leaf = torch.from_numpy(draw_off_ties(F(scale), seed + 500)).requires_grad_()
            s = torch.tensor([scale], dtype=torch.float32, requires_grad=True)
            z = torch.tensor([float(zero)], requires_grad=True)
            dy = torch.from_numpy(draw([F(0.01)] * N, seed + 1000))
            learnable = torch._fake_quantize_learnable_per_tensor_affine(leaf, s, z, lo, hi, 1.0)
            learnable.backward(dy)
            print(f"    {{{F(scale).item().hex()}F, {lo}, {hi}, {zero}, {hash_of(bits_of(y))}, "
                  f"{hash_of(mask.numpy().reshape(-1))},")
            print(f"     {hash_of(bits_of(leaf.grad + 0.0))}, {s.grad.item():.9g}, {z.grad.item():.9g}}},")
            seed += 1


def per_channel():
    seed = 2000
    for lo, hi, zero in FORMATS:
        for axis in (0, 1):
            shape = (8, 128)
            channels = shape[axis]
            scales = [F(SCALES[c % 5]) for c in range(channels)]
            zeros = [zero if c % 3 else min(max(zero + 1, lo), hi) for c in range(channels)]
            order = [scales[i // 128 if axis == 0 else i % 128] for i in range(N)]
            x = torch.from_numpy(draw(order, seed).reshape(shape))
            y, mask = torch.ops.aten.fake_quantize_per_channel_affine_cachemask(
                x, torch.tensor(np.array(scales)), torch.tensor(zeros, dtype=torch.int32), axis, lo, hi)
            print(f"    {{{axis}, {lo}, {hi}, {zero}, {hash_of(bits_of(y))}, {hash_of(mask.numpy().reshape(-1))}}},")
            seed += 1


HEAD = """// What torch {version} gives; tests/fake_quant/torch_golden.py prints this file. (Debian's torch 1.13.1 calls
// itself 1.13.0a0.)
#pragma once

#include <cstdint>

// clang-format off
struct torch_per_tensor {{
  float scale;
  int quant_min, quant_max, zero_point;
  std::uint64_t forward, mask;  // hashes of _fake_quantize_per_tensor_affine_cachemask
  std::uint64_t dx;             // hash, zeros without sign; with the sums:
  double dscale, dzero_point;   // backward of _fake_quantize_learnable_per_tensor_affine
}};
inline constexpr torch_per_tensor torch_per_tensor_table[] = {{"""
MIDDLE = """};

struct torch_per_channel {
  int axis, quant_min, quant_max, zero_point;
  std::uint64_t forward, mask;  // hashes of fake_quantize_per_channel_affine_cachemask
};
inline constexpr torch_per_channel torch_per_channel_table[] = {"""


def main():
    torch.set_num_threads(1)
    print(HEAD.format(version=torch.__version__))
    per_tensor()
    print(MIDDLE)
    per_channel()
    print("};\n// clang-format on")


if __name__ == "__main__":
    main()
