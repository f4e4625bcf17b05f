#!/usr/bin/env python3
"""Compares fake-quantization by quotient::reciprocal with that of the installed torch, bit for bit: forward, mask, and
the gradient of x by the straight-through estimator and by the learnable form, whose gradients of scale and zero point
torch adds up in float32 (compared within the rounding of that). Per tensor and per channel, integers of every width,
scales over the whole range. Prints how many elements were compared; exit status 1 if any differs.

    torch_parity.py PROGRAM [--cases N] [--seed N]

PROGRAM is the target torch_parity. Needs torch and numpy (scripts/peers.sh).
"""
import argparse
import subprocess
import sys

import numpy as np
import torch

F = np.float32
BOUNDS = [(-(1 << b >> 1), (1 << b >> 1) - 1) for b in range(2, 9)]
BOUNDS += [(0, (1 << b) - 1) for b in range(2, 9)]
BOUNDS += [(1 - (1 << b >> 1), (1 << b >> 1) - 1) for b in range(2, 9)]  # symmetric_with_clipping
LARGEST = F(2.0**62)  # torch converts the quotient to an int64


def spread(values, axis):
    """One value per channel (or one in all) against [rows, columns]."""
    return values.reshape((1, 1) if axis < 0 else (-1, 1) if axis == 0 else (1, -1))


class Case:
    def __init__(self, random):
        self.lo, self.hi = BOUNDS[random.integers(len(BOUNDS))]
        self.axis = int(random.integers(-1, 2))
        self.shape = tuple(int(e) for e in random.integers(1, 300, 2))
        units = 1 if self.axis < 0 else self.shape[self.axis]
        width = 60 if random.random() < 0.5 else 6
        self.scale = (np.ldexp(1 + random.random(units), random.integers(-width, width, units))).astype(F)
        self.zero = random.integers(self.lo, self.hi + 1, units).astype(np.int32)
        self.x = self.draw(random)
        # Where torch's learnable form contradicts torch's forward, it is not asked: at ties, for it rounds after the
        # zero point was added, and per tensor at negative zero points, which it takes for one more than they are.
        self.learnable_zero = np.maximum(self.zero, 0) if self.axis < 0 else self.zero
        level = random.integers(self.lo * 2 - 300, self.hi * 2 + 300, self.shape)
        level = level - spread(self.learnable_zero, self.axis)
        part = random.choice(np.array([-0.375, -0.25, 0, 0.25, 0.375]), self.shape)
        self.smooth = ((level + part).astype(F) * spread(self.scale, self.axis)).astype(F)
        self.dy = random.normal(size=self.shape).astype(F)

    def draw(self, random):
        """Ties and their neighbours, ordinary values, values on the grid, any float whose quotient is below 2^62."""
        scale = spread(self.scale, self.axis)
        tie = ((random.integers(-400, 400, self.shape) + 0.5).astype(F) * scale).astype(F)
        tie = (tie.view(np.int32) + random.integers(-2, 3, self.shape).astype(np.int32)).view(F)
        ordinary = (random.normal(size=self.shape) * 60).astype(F) * scale
        grid = random.integers(-300, 300, self.shape).astype(F) * scale
        any_float = random.integers(0, 1 << 32, self.shape, dtype=np.uint32).view(F)
        with np.errstate(all="ignore"):
            any_float = np.where(np.abs(any_float) < LARGEST * np.minimum(scale, F(1)), any_float, F(0))
        return np.choose(random.integers(0, 4, self.shape), [tie, ordinary, grid, any_float]).astype(F)

    def bytes(self):
        header = np.array([*self.shape, self.axis, self.lo, self.hi], np.int32)
        return b"".join(a.tobytes() for a in (header, self.scale, self.zero, self.learnable_zero, self.x, self.smooth,
                                                 self.dy))

    def of_torch(self):
        x, dy = torch.from_numpy(self.x), torch.from_numpy(self.dy)
        leaf = torch.from_numpy(self.smooth).requires_grad_()
        s = torch.from_numpy(self.scale).requires_grad_()
        z = torch.from_numpy(self.learnable_zero.astype(F)).requires_grad_()
        if self.axis < 0:
            y, mask = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(
                x, float(self.scale[0]), int(self.zero[0]), self.lo, self.hi)
            learnable = torch._fake_quantize_learnable_per_tensor_affine(leaf, s, z, self.lo, self.hi, 1.0)
        else:
            y, mask = torch.ops.aten.fake_quantize_per_channel_affine_cachemask(
                x, torch.from_numpy(self.scale), torch.from_numpy(self.zero), self.axis, self.lo, self.hi)
            learnable = torch._fake_quantize_learnable_per_channel_affine(leaf, s, z, self.axis, self.lo, self.hi, 1.0)
        learnable.backward(dy)
        backward = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask_backward(dy, mask)
        return (y.numpy(), mask.numpy(), backward.numpy(), leaf.grad.numpy(), s.grad.numpy(), z.grad.numpy())


class Results:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, dtype, shape):
        n = int(np.prod(shape))
        values = np.frombuffer(self.data, dtype, n, self.at)
        self.at += values.nbytes
        return values.reshape(shape)


def same_bits(a, b):
    return np.array_equal(np.ascontiguousarray(a).view(np.uint32), np.ascontiguousarray(b).view(np.uint32))


def differences(case, ours):
    y, mask, through, learnable, scale, zero = case.of_torch()
    found = []
    if not same_bits(ours.take(F, case.shape), y):
        found.append("forward")
    if not np.array_equal(ours.take(np.uint8, case.shape) != 0, mask):
        found.append("mask")
    if not np.array_equal(ours.take(F, case.shape), through):  # zeros have signs in torch
        found.append("straight-through gradient")
    if not np.array_equal(ours.take(F, case.shape), learnable):
        found.append("gradient of x, learnable")
    axes = (0, 1) if case.axis < 0 else (1 - case.axis,)
    magnitude = np.abs(case.dy.astype(np.float64)).sum(axis=axes).reshape(-1)
    units = case.scale.shape
    for name, mine, theirs, most in (("scale", ours.take(np.float64, units), scale, case.hi - case.lo),
                                     ("zero point", ours.take(np.float64, units), zero, case.scale)):
        if not np.all(np.abs(mine - theirs.reshape(-1)) <= 2e-6 * most * magnitude):
            found.append(f"gradient of the {name}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(options.seed)
    cases = [Case(random) for _ in range(options.cases)]
    done = subprocess.run([options.program], input=b"".join(c.bytes() for c in cases), stdout=subprocess.PIPE,
                          check=True)
    ours = Results(done.stdout)
    wrong = 0
    for number, case in enumerate(cases):
        found = differences(case, ours)
        wrong += bool(found)
        if found:
            print(f"case {number}: {case.shape} axis {case.axis} {case.lo}..{case.hi}: {', '.join(found)}")
    if ours.at != len(done.stdout):
        sys.exit("torch_parity: results left over")
    elements = sum(c.x.size for c in cases)
    print(f"torch {torch.__version__}: {len(cases)} cases, {elements} elements compared in forward, mask and gradients, "
          f"{wrong} cases differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
