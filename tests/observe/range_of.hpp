// The range of an observer as a value, and the test every observer's save and load must pass.
#pragma once

#include <doctest/doctest.h>

#include <lutra/observe/observer.hpp>
#include <utility>
#include <vector>

#include "../errors.hpp"

using ends = std::pair<std::vector<float>, std::vector<float>>;

template <lutra::observer O> ends range_of(const O& o) {
  const auto n = static_cast<std::size_t>(o.units());
  ends e{std::vector<float>(n), std::vector<float>(n)};
  o.range(e.first, e.second);
  return e;
}

template <lutra::observer O> std::vector<std::uint8_t> saved_bytes(const O& o) {
  lutra::state_writer w;
  o.save(w);
  return w.take();
}

// `o` comes back into `fresh` bit for bit; every truncation is refused and changes nothing.
template <lutra::observer O> void check_save_load(const O& o, O fresh) {
  const std::vector<std::uint8_t> bytes = saved_bytes(o);
  const std::vector<std::uint8_t> before = saved_bytes(fresh);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    lutra::state_reader r(std::span<const std::uint8_t>(bytes).first(n), "load");
    CHECK_ERROR(fresh.load(r), corrupt_data, "load");
    CHECK(saved_bytes(fresh) == before);
  }
  lutra::state_reader r(bytes, "load");
  fresh.load(r);
  r.expect_end();
  CHECK(saved_bytes(fresh) == bytes);
  CHECK(range_of(fresh) == range_of(o));
  CHECK(fresh.samples() == o.samples());
}
