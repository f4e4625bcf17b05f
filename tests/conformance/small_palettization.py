#!/usr/bin/env python3
"""Writes small_palettization.json: palettization cases in the form of the shared conformance suite, for those who
do not have it. Everything expected is computed here, by trying all partitions, in plain Python.

    python3 tests/conformance/small_palettization.py > tests/conformance/small_palettization.json
"""
import itertools
import json
import struct


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def f16(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def reduced(x, digits=4):
    """What the reference's fast mode clusters instead of x."""
    scaled = f32(f16(x) * 10.0**digits)
    return f32(round(scaled) / 10.0**digits)


def partition(points, weights, k):
    """The best partition of ascending points into k intervals; of equal ones that with the earliest splits from the
    last on. Returns means and cluster numbers."""
    n = len(points)

    def cost(i, j):
        w = weights[i:j]
        mean = sum(a * b for a, b in zip(w, points[i:j])) / sum(w)
        return sum(a * (b - mean)**2 for a, b in zip(w, points[i:j])), mean

    best = None
    for splits in itertools.combinations(range(1, n), k - 1):
        ends = (0, *splits, n)
        total = sum(cost(i, j)[0] for i, j in zip(ends, ends[1:]))
        order = splits[::-1]
        if best is None or total < best[0] * (1 - 1e-12) - 1e-300 or (
                abs(total - best[0]) <= 1e-12 * best[0] and order < best[1]):
            best = (total, order, ends)
    ends = best[2]
    means = [cost(i, j)[1] for i, j in zip(ends, ends[1:])]
    codes = [c for c, (i, j) in enumerate(zip(ends, ends[1:])) for _ in range(i, j)]
    return means, codes


def cluster(values, importance, entries, fast, cast):
    """Table and codes of one group. The reference's fast mode clusters rounded values."""
    used = [reduced(v) for v in values] if fast and max(map(abs, values)) <= 65504 else values
    points = sorted(set(used))
    weights = [sum(w for u, w in zip(used, importance) if u == p) for p in points]
    means, of_points = partition(points, weights, min(entries, len(points)))
    table = [cast(m) for m in means]
    return table + [table[-1]] * (entries - len(table)), [of_points[points.index(u)] for u in used]


def int8_table(table, symmetric):
    lo, hi = min(0.0, *table), max(0.0, *table)
    scale = f32(max(-lo, hi) / 127.5) if symmetric else f32(f32(hi - lo) / 255)
    zero = 0 if symmetric else max(-128, min(127, -128 - round(f32(lo / scale))))
    codes = [max(-128, min(127, round(f32(x / scale)) + zero)) for x in table]
    return scale, zero, codes, [f32((c - zero) * scale) for c in codes]


def palettize(weights, bits, *, cast=f32, fast=True, importance=None, axis=None, group=1, row_scale=False, lut=None):
    """Everything a case expects, for a matrix of rows."""
    rows, columns = len(weights), len(weights[0])
    w = [[cast(f32(x)) for x in row] for row in weights]
    scales = [max(map(abs, row)) or 1.0 for row in w]
    scaled = [[f32(x / s) for x in row] for row, s in zip(w, scales)] if row_scale else w
    every = [(r, c) for r in range(rows) for c in range(columns)]
    groups = [every]
    if axis is not None:
        extent = (rows, columns)[axis]
        groups = [[at for at in every if at[axis] // group == g] for g in range(extent // group)]
    expect = {"lut": [], "indices": [[0] * columns for _ in range(rows)]}
    if lut:
        expect.update(quantized_lut=[], scale=[], zero_point=[])
    error = 0.0
    for members in groups:
        sensitivities = [importance[r][c] if importance else 1.0 for r, c in members]
        table, codes = cluster([scaled[r][c] for r, c in members], sensitivities, 1 << bits, fast, cast)
        if lut:
            scale, zero, quantized, table = int8_table(table, lut == "int8/symmetric")
            expect["quantized_lut"] += quantized
            expect["scale"].append(scale)
            expect["zero_point"].append(zero)
        expect["lut"] += table
        for (r, c), code in zip(members, codes):
            expect["indices"][r][c] = code
            restored = f32(table[code] * f32(scales[r])) if row_scale else table[code]
            error += (w[r][c] - restored)**2
    expect["mse"] = error / (rows * columns)
    if row_scale:
        expect["per_channel_scale"] = scales
    return expect


def packed(values, bits):
    stream = sum(v << bits * i for i, v in enumerate(values))
    return list(stream.to_bytes(-(-bits * len(values) // 8), "little"))


def main():
    cases = []

    def add(name, kind, given, expect, quirk=False):
        cases.append({"id": name, "kind": kind, "scope": "scalar", "quirk": quirk, "input": given, "expect": expect})

    def add_palette(name, weights, bits, dtype="f32", **how):
        spec = {"n_bits": bits, "granularity": "per_tensor", "cluster_dim": 1}
        if "axis" in how:
            spec["granularity"] = {"type": "per_grouped_channel", "axis": how["axis"], "group_size": how["group"]}
        if how.get("lut"):
            spec["lut"] = how["lut"]
        if how.get("row_scale"):
            spec["per_channel_scale"] = True
        given = {"weights": weights, "dtype": dtype, "spec": spec, "fast": how.get("fast", True)}
        if how.get("importance"):
            given["sensitivities"] = how["importance"]
        cast = {"f32": f32, "f16": f16, "bf16": bf16}[dtype]
        add(name, "palettize", given, palettize(weights, bits, cast=cast, **how))

    plain = [[0.31, -1.27, 0.9, 0.285, -1.3], [0.05, 0.88, -0.4, 2.25, -0.43]]
    add_palette("tensor-1", plain, 1)
    add_palette("tensor-2", plain, 2)
    add_palette("tensor-2-exact", [[x + 0.00012345 for x in row] for row in plain], 2, fast=False)
    add_palette("tensor-2-rounded", [[x / 100 for x in row] for row in plain], 2)
    add_palette("tensor-3-f16", plain, 3, "f16")
    add_palette("tensor-2-bf16", plain, 2, "bf16")
    add_palette("tensor-2-large", [[7e4, 6e4, 1, 2], [-8e4, -7.5e4, 3, 10]], 2)
    add_palette("few-distinct", [[-0.5, 0.25, -0.5], [0.25, 0.25, -0.5]], 2)
    add_palette("rows", plain, 1, axis=0, group=1)
    add_palette("columns", [[1, 2, 8, 9], [1.5, 2.25, -8, -9.5], [5, 0.5, 4, 3]], 1, axis=1, group=2)
    add_palette("int8", plain, 2, lut="int8/symmetric")
    add_palette("int8-asymmetric", [[0.5, 0.25, 3], [-1, 0.75, 2.5]], 2, lut="int8/asymmetric")
    add_palette("int8-rows", plain, 2, lut="int8/symmetric", axis=0, group=1)
    add_palette("sensitivities", plain, 2, fast=False,
                importance=[[1, 9, 0.5, 1, 1], [4, 1, 1, 0.125, 7]])
    add_palette("row-scale", [[0.01, -0.02, 0.005, 0.0175], [3, -1, 2.5, 0.75], [0, 0, 0, 0]], 2, row_scale=True,
                fast=False)
    # The reference leaves the lowest entries unused and 0; ours are canonical (the runner states both).
    add("unused-entries", "palettize",
        {"weights": [[1, 1, 2], [2, 1, 2]], "dtype": "f32", "fast": False,
         "spec": {"n_bits": 2, "granularity": "per_tensor", "cluster_dim": 1}},
        {"lut": [0, 0, 1, 2], "indices": [[2, 2, 3], [3, 2, 3]], "mse": 0}, quirk=True)
    values = [0.12344, -0.00004, 2.71828, 0.12336, 0.1235, -0.00006]
    distinct = sorted({reduced(v) for v in values})
    inverse = [distinct.index(reduced(v)) for v in values]
    add("reduced", "fast_reduce", {"weights": [values], "rounding": 4},
        {"values_f32": distinct, "inverse": inverse, "counts": [inverse.count(i) for i in range(len(distinct))]})
    add("groups", "error", {"ok": [[[6, 4], 0, 2], [[4, 6, 3], 1, 3]], "bad": [[[6, 4], 0, 4], [[4, 6], 1, 5]],
                            "too_few_dims": [[6], 1, 2]}, {})
    points = [4, 1, 9, 2, 6.5, 12]
    weights = [1, 3, 2, 0.5, 1, 1]
    order = sorted(range(len(points)), key=lambda i: points[i])
    means, codes = partition([points[i] for i in order], [weights[i] for i in order], 3)
    add("weighted-points", "kmeans1d", {"x": points, "w": weights, "k": 3},
        {"clusters": [codes[order.index(i)] for i in range(len(points))], "centroids": means})
    for bits in (1, 3, 5, 7):
        numbers = [(7 * i + 3) % (1 << bits) for i in range(11)]
        add(f"pack-{bits}", "pack", {"values": numbers, "nbits": bits}, {"bytes": packed(numbers, bits)})
    indices = [[0, 3, 1, 2], [2, 2, 0, 1], [1, 0, 3, 3], [0, 1, 2, 3]]
    table = [[0.5, 1, 1.5, 2], [-4, -3, -2, -1]]
    add("dense", "lut_to_dense", {"indices": indices, "lut_shape": [2, 1, 4, 1], "lut": table},
        {"dense": [[table[r // 2][i] for i in row] for r, row in enumerate(indices)]})

    print('{"note": "Written by small_palettization.py.", "cases": [')
    print(",\n".join(json.dumps(c) for c in cases))
    print("]}")


if __name__ == "__main__":
    main()
