#include <lutra/cluster/interval_moments.hpp>
#include <lutra/core/random.hpp>

#include <doctest/doctest.h>

#include <cmath>

#include "cluster/oracle.hpp"

namespace {

using lutra::atoms_1d;
using lutra::interval_moments;

interval_moments all_of(const atoms_1d& atoms) {
  return lutra::moments_of(atoms, 0, atoms.value.size());
}
// The same in 113 bits.
struct moments {
  oracle::wide mean = 0, inertia = 0;
};
moments wide_moments(const atoms_1d& atoms) {
  oracle::wide weight = 0;
  moments m;
  for (std::size_t i = 0; i < atoms.value.size(); ++i) {
    const auto w = static_cast<oracle::wide>(atoms.weight[i]);
    const oracle::wide d =
        (static_cast<oracle::wide>(atoms.value[i]) - static_cast<oracle::wide>(atoms.value[0])) -
        m.mean;
    m.inertia += d * d * (w / (weight + w)) * weight;
    weight += w;
    m.mean += d * (w / weight);
  }
  m.mean += static_cast<oracle::wide>(atoms.value[0]);
  return m;
}
double magnitude(oracle::wide x) { return std::fabs(static_cast<double>(x)); }

// Distinct values of one kind or another around an offset.
atoms_1d draw(lutra::random_stream& r, std::size_t n, double offset, double spread, double apart) {
  atoms_1d atoms;
  for (std::size_t i = 0; i < n; ++i) atoms.value.push_back(offset + spread * r.normal());
  std::sort(atoms.value.begin(), atoms.value.end());
  atoms.value.erase(std::unique(atoms.value.begin(), atoms.value.end()), atoms.value.end());
  for (std::size_t i = 0; i < atoms.value.size(); ++i) {
    atoms.weight.push_back(apart == 0 ? 1.0 + static_cast<double>(r.below(3))
                                      : std::exp2(apart * (r.uniform() - 0.5)));
  }
  return atoms;
}

TEST_CASE(
    "interval_moments: as in 113 bits, beside whatever offset, and off by no more than they say") {
  lutra::random_stream r(3);
  for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 7, 8, 9, 100, 4096, 9001}) {
    for (const double offset : {0.0, 1.0, -1e6, 1e12, 1e30}) {
      for (const double spread : {1.0, 1e-7, 1e-15, 1e-40}) {
        for (const double apart : {0.0, 8.0, 60.0}) {
          const double width = offset == 0 ? spread : spread * std::fabs(offset);
          const atoms_1d atoms = draw(r, n, offset, width, apart);
          const interval_moments got = all_of(atoms);
          const moments want = wide_moments(atoms);
          CAPTURE(n);
          CAPTURE(offset);
          CAPTURE(spread);
          CAPTURE(apart);
          const double inertia = static_cast<double>(want.inertia);
          CHECK(magnitude(static_cast<oracle::wide>(got.inertia) - want.inertia) <= got.rounding);
          if (spread > 1e-9 || apart == 0) {
            CHECK(std::fabs(got.inertia - inertia) <= 1e-12 * inertia);
            CHECK(got.rounding <= 1e-12 * inertia);
          }
          const double range = atoms.value.back() - atoms.value.front();
          CHECK(magnitude(static_cast<oracle::wide>(got.mean) - want.mean) <=
                1e-12 * range + 0x1p-52 * std::fabs(got.mean));
        }
      }
    }
  }
}

TEST_CASE(
    "interval_moments: part of the atoms, and weights so far apart that no mean is close enough") {
  atoms_1d atoms{{-5, 1, 1 + 0x1p-52, 1 + 0x1p-51, 9}, {1, 1, 1, 1, 1}};
  CHECK(lutra::moments_of(atoms, 4, 5).inertia == 0.0);
  CHECK(lutra::moments_of(atoms, 4, 5).mean == 9.0);
  const interval_moments last_bits = lutra::moments_of(atoms, 1, 4);
  CHECK(last_bits.inertia == doctest::Approx(2 * 0x1p-104).epsilon(1e-12));
  // Weights 2^130 apart: the inertia is that of the light one.
  atoms = {{0, 1.0 / 3}, {0x1p-65, 0x1p65}};
  const interval_moments got = all_of(atoms);
  const moments want = wide_moments(atoms);
  CHECK(magnitude(static_cast<oracle::wide>(got.inertia) - want.inertia) <= got.rounding);
  CHECK(got.rounding <= 1e-6 * got.inertia);
  // 2^200 apart even that is lost, and it says so.
  atoms.weight = {0x1p-100, 0x1p100};
  const interval_moments lost = all_of(atoms);
  CHECK(magnitude(static_cast<oracle::wide>(lost.inertia) - wide_moments(atoms).inertia) <=
        lost.rounding);
}

}  // namespace
