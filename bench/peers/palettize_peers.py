#!/usr/bin/env python3
"""Times what people use today to palettize, unpack and decode weights, one thread: scikit-learn, faiss,
kmeans1d, flash1dkmeans, the default ("fast") path of Core ML's tools, numpy and torch. Prints the JSON of
Google Benchmark.

    palettize_peers.py [--out FILE] [--filter REGEX] [--slow] [--data FOLDER]

FOLDER holds the weights of bench/palette/palettize.cpp (LUTRA_BENCH_DATA); without it others of the same
distribution are drawn, and inertias are not comparable to the last digit. scikit-learn: one initialisation,
tol=0 (until no label changes, at most its 300 iterations); faiss: its 25 iterations, no subsampling;
flash1dkmeans: as it comes, compiled before it is timed. These find a local optimum at best. kmeans1d and
faiss_exact (its Clustering1D) find the best one.
"""
import importlib.util
import os
import sys

import numpy as np
import rows as results


def weights(folder, rows, columns, distinct=False):
    if folder:
        path = os.path.join(folder, f"{'distinct' if distinct else 'normal'}_{rows}x{columns}.f32")
        if os.path.exists(path):
            return np.fromfile(path, dtype=np.float32).reshape(rows, columns)
    draw = np.random.default_rng(1)
    n = rows * columns
    if not distinct:
        return (draw.standard_normal((rows, columns)) * 0.02).astype(np.float32)
    found = np.unique((draw.standard_normal(2 * n) * 0.02).astype(np.float32))
    return draw.permutation(found)[:n].reshape(rows, columns)


def inertia_of(w):
    """sum (w - lut[code])^2 in double, on the weights as given."""

    def inertia(result):
        lut, codes = result
        error = w.ravel().astype(np.float64) - np.asarray(lut, dtype=np.float32).astype(np.float64)[codes]
        return float(error @ error)

    return inertia


def sklearn_kmeans(w, k):
    from sklearn.cluster import KMeans

    found = KMeans(n_clusters=k, n_init=1, tol=0, random_state=0).fit(w.reshape(-1, 1))
    return found.cluster_centers_.ravel(), found.labels_


def faiss_kmeans(w, k):
    import faiss

    faiss.omp_set_num_threads(1)
    x = w.reshape(-1, 1)
    found = faiss.Kmeans(1, k, niter=25, seed=1, max_points_per_centroid=2**31 - 1, min_points_per_centroid=1)
    found.train(x)
    return found.centroids.ravel(), found.index.search(x, 1)[1].ravel()


def kmeans1d_exact(w, k):
    import kmeans1d

    codes, centroids = kmeans1d.cluster(w.ravel(), k)
    return np.array(centroids), np.array(codes)


def of_groups(function, groups):
    """function on each of `groups` equal groups of rows: one table after the other, codes that number them all."""

    def cluster(w, k):
        found = [function(piece, k) for piece in np.split(w, groups)]
        return (np.concatenate([np.resize(lut, k) for lut, _ in found]),
                np.concatenate([codes + k * g for g, (_, codes) in enumerate(found)]))

    return cluster


def faiss_exact(w, k):
    import faiss

    faiss.omp_set_num_threads(1)
    x = w.ravel()
    all_of_them = faiss.ClusteringParameters()
    all_of_them.max_points_per_centroid = 2**31 - 1
    found = faiss.Clustering1D(k, all_of_them)
    found.train_exact(w.reshape(-1, 1))
    centroids = np.sort(faiss.vector_to_array(found.centroids))
    return centroids, np.searchsorted((centroids[1:] + centroids[:-1]) / 2, x)


def flash1dkmeans(w, k):
    from flash1dkmeans import kmeans_1d

    centroids, codes = kmeans_1d(w.ravel(), k, random_state=0)
    return centroids, codes


def weighted_kmeans1d():
    """The clustering inside coremltools, loaded without the rest of the package."""
    found = importlib.util.find_spec("coremltools")  # does not import it
    if found is None:
        raise ImportError("coremltools")
    folder = os.path.join(found.submodule_search_locations[0], "_deps", "kmeans1d")
    spec = importlib.util.spec_from_file_location("coremltools_kmeans1d", os.path.join(folder, "__init__.py"),
                                                  submodule_search_locations=[folder])
    module = importlib.util.module_from_spec(spec)
    sys.modules["coremltools_kmeans1d"] = module
    spec.loader.exec_module(module)
    return importlib.import_module("coremltools_kmeans1d.core").cluster


def coreml_fast(w, k, cluster):
    """Narrow to float16, round to 4 decimals, cluster the distinct values by their counts, relabel. The labels
    of all elements pass through a Python list, as they do there."""
    rounded = np.round(w.ravel().astype(np.float16).astype(np.float32) * 10**4) / 10**4
    values, inverse, counts = np.unique(rounded, return_inverse=True, return_counts=True)
    codes, centroids = cluster(values, min(k, len(values)), weights=counts)
    codes = np.array(codes)[inverse].tolist()
    return np.array(centroids, dtype=np.float32), np.array(codes)


def time_palettize(rows, folder):
    def add(library, function, side, bits, slow=False, mode="certified", dtype="f32", columns=None, groups=1,
            distinct=False):
        columns = columns or side
        name = (f"peer/{library}/palettize/{mode}/{dtype}/{side}x{columns}/bits:{bits}"
                + (f"/groups:{groups}" if groups > 1 else "") + ("/distinct" if distinct else ""))
        if not rows.wanted(name):
            return
        w = weights(folder, side, columns, distinct)
        if dtype == "bf16":
            bits_of = w.view(np.uint32)
            w = ((bits_of + 0x7FFF + ((bits_of >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
        if dtype == "f16":
            w = w.astype(np.float16).astype(np.float32)
        if groups > 1:
            function = of_groups(function, groups)
        rows.add(name, lambda: function(w, 1 << bits), w.size, w.size * (5 if dtype == "f32" else 3), 3, slow,
                 inertia_of(w))

    try:
        cluster = weighted_kmeans1d()
    except ImportError as problem:
        missing = str(problem)

        def cluster(*_, **__):
            raise ImportError(missing)

    def fast(w, k):
        return coreml_fast(w, k, cluster)

    add("coreml_fast", fast, 4096, 4)
    add("faiss", faiss_kmeans, 4096, 4, slow=True)
    add("sklearn", sklearn_kmeans, 4096, 4, slow=True)
    add("kmeans1d", kmeans1d_exact, 4096, 4, slow=True)
    add("coreml_fast", fast, 4096, 8)
    add("faiss", faiss_kmeans, 4096, 8, slow=True)
    add("coreml_fast", fast, 4096, 4, dtype="bf16")
    add("kmeans1d", kmeans1d_exact, 4096, 4, dtype="bf16", slow=True)
    add("kmeans1d", kmeans1d_exact, 4096, 4, dtype="f16", slow=True)
    add("coreml_fast", fast, 1024, 4)
    add("faiss", faiss_kmeans, 1024, 4)
    add("sklearn", sklearn_kmeans, 1024, 4)
    if rows.wanted("peer/flash1dkmeans/palettize/certified/f32/1024x1024/bits:4"):
        try:  # compiles what it needs
            flash1dkmeans(np.arange(32, dtype=np.float32), 16)
        except ImportError:
            pass  # add() says so
    add("flash1dkmeans", flash1dkmeans, 1024, 4)
    add("coreml_fast", fast, 1024, 4, groups=1024)
    add("kmeans1d", kmeans1d_exact, 128, 4, columns=4096, groups=4)
    add("kmeans1d", kmeans1d_exact, 4096, 4, groups=128, slow=True)
    for bits in (4, 8):
        add("kmeans1d", kmeans1d_exact, 256, bits, distinct=True)
        add("faiss_exact", faiss_exact, 256, bits, distinct=True)
    add("kmeans1d", kmeans1d_exact, 1024, 4, mode="exact")


def time_packing(rows):
    n = 1 << 17
    codes = np.random.default_rng(2).integers(0, 16, n, dtype=np.uint8)
    packed = codes[0::2] | codes[1::2] << 4

    def unpack(stream):
        out = np.empty(2 * stream.size, dtype=np.uint8)
        np.bitwise_and(stream, 15, out=out[0::2])
        np.right_shift(stream, 4, out=out[1::2])
        return out

    assert (unpack(packed) == codes).all()
    rows.add("peer/numpy/pack/bits:4", lambda: codes[0::2] | codes[1::2] << 4, n, n * 3 // 2, 50)
    rows.add("peer/numpy/unpack/bits:4", lambda: unpack(packed), n, n * 3 // 2, 50)

    n = 1 << 24
    for bits in (4, 8):
        name = f"decode/f32/4096x4096/bits:{bits}"
        if not (rows.wanted("peer/numpy/" + name) or rows.wanted("peer/torch/" + name)):
            continue
        stream = np.random.default_rng(3).integers(0, 256, n * bits // 8, dtype=np.uint8)
        lut = np.random.default_rng(4).standard_normal(1 << bits).astype(np.float32)
        moved = n * 4 + stream.size

        def codes_of(stream, bits=bits):
            return unpack(stream) if bits == 4 else stream

        rows.add("peer/numpy/" + name, lambda lut=lut, stream=stream: lut[codes_of(stream)], n, moved, 3)
        try:
            import torch

            torch.set_num_threads(1)
            table = torch.from_numpy(lut)
            rows.add("peer/torch/" + name,
                     lambda t=table, stream=stream: t[torch.from_numpy(codes_of(stream)).int().long()], n, moved, 3)
        except ImportError:
            rows.missing("peer/torch/" + name)


def version_of(module):
    try:
        from importlib.metadata import version

        return version(module)
    except ImportError:
        return "not available"


def main():
    parser = results.parser(__doc__)
    parser.add_argument("--data")
    options = parser.parse_args()
    rows = results.Rows(options)
    time_packing(rows)
    time_palettize(rows, options.data)
    packages = ("numpy", "scikit-learn", "faiss", "kmeans1d", "flash1dkmeans", "coremltools")
    rows.write({package: version_of(package) for package in packages})
    return 0


if __name__ == "__main__":
    sys.exit(main())
