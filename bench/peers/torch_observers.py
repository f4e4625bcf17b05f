#!/usr/bin/env python3
"""Times torch's (and onnxruntime's) observers and fake-quantization, one thread, and prints the JSON of
Google Benchmark, so that the ratio table can put the peers beside ours. Needs torch (Debian: python3-torch);
onnxruntime is optional.

    torch_observers.py [--out FILE] [--mib N] [--filter REGEX]   the benchmark rows
    torch_observers.py --golden                 the tables in tests/observe (same numbers as our generator)
"""
import contextlib
import io
import sys

import numpy as np
import rows as results

MASK = (1 << 64) - 1


def mix64(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class RandomStream:
    """lutra::random_stream."""

    def __init__(self, seed, stream=0):
        self.state = mix64((seed + 0x9E3779B97F4A7C15) & MASK) ^ mix64((stream + 0x7F4A7C159E3779B9) & MASK)

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        return mix64(self.state)

    def uniform(self):
        return (self.next() >> 11) * 2.0**-53

    def below(self, n):
        return self.next() % n

    def normal(self):
        total = -6.0
        for _ in range(12):
            total += self.uniform()
        return total


def log2_of(x):
    """lutra::log2_of."""
    bits = int(np.float64(x).view(np.uint64))
    k = (bits >> 52) - 1023
    if (bits & 0xFFFFFFFFFFFFF) >= 0x6A09E667F3BCD:
        k += 1
    m = float(np.uint64(bits - (k << 52) & MASK).view(np.float64))
    z = (m - 1.0) / (m + 1.0)
    square = z * z
    series = 0.0
    for n in range(21, 2, -2):
        series = (series + 1.0 / n) * square
    return float(k) + (z + z * series) * 2.8853900817779268147


def exponential(r):
    return -0.6931471805599453 * log2_of(r.uniform() + 2.0**-60)


def laplace(r):
    sign = -1.0 if r.uniform() < 0.5 else 1.0
    return sign * exponential(r)


def outliers(r):
    scale = 40.0 if r.uniform() < 0.001 else 1.0
    return scale * r.normal()


def bimodal(r):
    centre = -2.0 if r.uniform() < 0.3 else 3.0
    return centre + 0.3 * r.normal()


def skewed(r):
    e = exponential(r)
    return e * e - 0.2


DISTRIBUTIONS = [  # tests/observe/distributions.hpp
    lambda r: r.normal(),
    lambda r: max(r.normal(), 0.0),
    laplace,
    outliers,
    bimodal,
    lambda r: 2.5 * r.uniform() - 0.5,
    skewed,
    lambda r: 5.0 + 0.2 * r.normal(),
]


def draw(distribution, n, seed):
    r = RandomStream(seed)
    return np.array([distribution(r) for _ in range(n)]).astype(np.float32)


def hash_of(counts):
    h = 0xCBF29CE484222325
    for word in counts.astype(np.float32).view(np.uint32):
        h = ((h ^ int(word)) * 0x100000001B3) & MASK
    return h


def entropy_collector(bins):
    from onnxruntime.quantization.calibrate import HistogramCollector

    return HistogramCollector("entropy", True, bins, 128, 99.99, None)


def newer_observer(torch, base):
    """What torch 2.1 changed in the growth of the histogram, over 1.13's class."""

    class Observer(base):
        def resampled(self, lo, hi, new_lo, new_hi):
            fine = self.bins * 16
            points = torch.linspace(float(lo), float(hi), fine + 1)[:-1] + 0.5 * ((hi - lo) / fine)
            edges = torch.linspace(float(new_lo), float(new_hi), self.bins + 1)
            at = (torch.bucketize(points, edges, right=True) - 1).clamp(0, self.bins - 1)
            share = self.histogram.repeat_interleave(16) / 16
            return torch.bincount(at, weights=share, minlength=self.bins)

        def forward(self, x):
            lo, hi = torch.aminmax(x)
            if self.min_val == float("inf"):
                counts = torch.histc(x, self.bins, min=float(lo), max=float(hi))
            else:
                old = (self.min_val.clone(), self.max_val.clone())
                lo, hi = torch.min(lo, old[0]), torch.max(hi, old[1])
                counts = torch.histc(x, self.bins, min=float(lo), max=float(hi))
                if (lo, hi) == old:
                    counts = counts + self.histogram
                else:
                    counts = counts + self.resampled(*old, lo, hi)
            self.histogram.copy_(counts)
            self.min_val.copy_(lo)
            self.max_val.copy_(hi)
            return x

    return Observer


def print_torch_golden(torch):
    from torch.ao.quantization.observer import HistogramObserver

    for name, cls in (("1.13.1", HistogramObserver), ("v2", newer_observer(torch, HistogramObserver))):
        print(f"torch_histogram, {name}:")
        for d in DISTRIBUTIONS:
            o = cls(bins=512)
            for batch in range(3):
                x = draw(d, 3000 + 1000 * batch, batch) * np.float32(1.0 + 0.5 * batch)
                o(torch.from_numpy(x))
            lo, hi = o._non_linear_param_search()
            print(f"    {{{lo.item().hex()}F, {hi.item().hex()}F, {hash_of(o.histogram.numpy()):#x}ULL}},")


def print_entropy_golden():
    print("ort_entropy, first and last edge of the range, of 512 bins:")
    for d in DISTRIBUTIONS:
        x = draw(d, 5000, 3)
        top = np.float32(8.0)
        index = np.clip(np.floor((x + top) * np.float32(32.0)), 0, 511).astype(np.int64)
        counts = np.bincount(index, minlength=512)
        edges = np.arange(513, dtype=np.float32)  # by number, so that the answer is a position
        big = np.float32(1e9)
        lo, hi = entropy_collector(512).get_entropy_threshold((counts, edges, -big, big), 128)
        print(f"    {{{int(lo)}, {int(hi)}}},")


def time_fake_quantize(torch, rows, mib):
    n = (mib << 20) // 4
    label = f"{mib}MiB"
    x = torch.from_numpy(np.random.default_rng(1).normal(size=n).astype(np.float32))
    scale, zero = 0.02, 0
    small = x[: 1 << 16].clone()
    rows.add("peer/torch/fake_quantize/f32/per_tensor/int8/256KiB",
             lambda: torch.fake_quantize_per_tensor_affine(small, scale, zero, -128, 127), 1 << 16, 8 << 16)
    rows.add(f"peer/torch/fake_quantize/f32/per_tensor/int8/{label}",
             lambda: torch.fake_quantize_per_tensor_affine(x, scale, zero, -128, 127), n, 8 * n)
    channels = x.reshape(1024, -1)
    scales = torch.full((1024,), 0.3)
    zeros = torch.zeros(1024, dtype=torch.int32)
    rows.add(f"peer/torch/fake_quantize/f32/per_channel/int4/{label}",
             lambda: torch.fake_quantize_per_channel_affine(channels, scales, zeros, 0, -8, 7), n, 8 * n)
    leaf = x.clone().requires_grad_()
    s = torch.tensor([0.02], requires_grad=True)
    z = torch.tensor([0.0], requires_grad=True)
    y = torch._fake_quantize_learnable_per_tensor_affine(leaf, s, z, -128, 127, 1.0)
    grad = torch.ones_like(y)
    rows.add(f"peer/torch/fake_quantize_backward/learnable/f32/{label}",
             lambda: torch.autograd.grad(y, (leaf, s, z), grad, retain_graph=True), n, 12 * n, 3)


def time_observers(torch, rows, mib):
    from torch.ao.quantization.observer import HistogramObserver

    n = (mib << 20) // 4
    label = f"{mib}MiB"
    x = torch.from_numpy(np.random.default_rng(2).normal(size=n).astype(np.float32))
    lo, hi = float(x.min()), float(x.max())
    rows.add(f"peer/torch/aminmax/f32/{label}", lambda: torch.aminmax(x), n, 4 * n)
    rows.add(f"peer/torch/histc2048/f32/{label}", lambda: torch.histc(x, 2048, min=lo, max=hi), n, 4 * n, 3)
    o = HistogramObserver()
    o(x)
    rows.add(f"peer/torch/HistogramObserver/f32/{label}", lambda: o(x), n, 4 * n, 3)
    rows.add("peer/torch/HistogramObserver/calculate_qparams/2048", o.calculate_qparams, 2048, 2048 * 4, 1)


def time_entropy(rows):
    try:
        import onnxruntime

        collector = entropy_collector(2048)
    except (ImportError, AttributeError):  # the latter from packages that do not fit each other
        rows.missing("peer/onnxruntime/entropy/2048")
        return None
    x = np.random.default_rng(3).normal(size=1 << 20).astype(np.float32)
    with contextlib.redirect_stdout(io.StringIO()):
        collector.collect({"x": [x]})
    h = collector.histogram_dict["x"]
    rows.add("peer/onnxruntime/entropy/2048", lambda: collector.get_entropy_threshold(h, 128), 2048, 2048 * 8, 1)
    return onnxruntime.__version__


def main():
    parser = results.parser(__doc__)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--golden", action="store_true")
    options = parser.parse_args()
    try:
        import torch

        torch.set_num_threads(1)
    except ImportError:
        torch = None
        print("peer/torch: not available", file=sys.stderr)
    if options.golden:
        if torch:
            print_torch_golden(torch)
        with contextlib.suppress(ImportError):
            print_entropy_golden()
        return 0
    rows = results.Rows(options)
    if not torch:
        rows.missing("peer/torch/fake_quantize")
        rows.missing("peer/torch/HistogramObserver")
    if torch:
        time_fake_quantize(torch, rows, options.mib)
        time_observers(torch, rows, options.mib)
    ort = time_entropy(rows)
    versions = {"torch": torch.__version__ if torch else "not available", "onnxruntime": ort or "not available"}
    rows.write(versions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
