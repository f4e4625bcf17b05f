// lutra examples: mnist/evaluate.hpp - logits and accuracy of a model on all test images.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <chrono>
#include <lutra/core/executor_ref.hpp>
#include <mnist/data.hpp>
#if defined(LUTRA_EXAMPLES_TBB)
#include <lutra/core/executor_tbb.hpp>
#endif

namespace lutra_examples {

// Seconds of one call, on the steady clock.
template <class F> double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Calls f(executor) with `threads` threads: oneTBB if the program was built with it, else serial. One type
// for both, so that the whole job is compiled once.
template <std::invocable<lutra::executor_ref> F>
auto with_executor([[maybe_unused]] int threads, F&& f) {
#if defined(LUTRA_EXAMPLES_TBB)
  if (threads > 1) return f(lutra::executor_ref(lutra::tbb_executor(threads)));
#endif
  return f(lutra::executor_ref(lutra::serial_executor{}));
}

// Logits [n, 10] of `model` (a callable on one float batch). Images are independent of each other, so
// neither the batches nor the threads change a bit. Sixteen images at a time stay in the cache.
template <class Model, lutra::executor Executor>
lutra::tensor<float> logits_of(const lutra::tensor<std::uint8_t>& images, const Executor& executor,
                               Model&& model) {
  constexpr lutra::index_t batch = 16;
  const lutra::index_t n = images.extent(0);
  lutra::tensor<float> logits({n, 10});
  executor.bulk((n + batch - 1) / batch, [&](lutra::index_t i) {
    const lutra::index_t first = i * batch;
    const lutra::tensor<float> out = model(batch_of(images, first, std::min(batch, n - first)));
    if (!(out.extents() == lutra::shape{std::min(batch, n - first), 10})) {
      lutra::raise(lutra::errc::shape_mismatch, "the model does not give ten logits per image",
                   "logits_of", lutra::text_of(out.extents()));
    }
    std::copy_n(out.data(), out.size(), logits.data() + first * 10);
  });
  return logits;
}

// Images whose largest logit (the first one on a tie) is their label's.
inline lutra::index_t correct(const lutra::tensor<float>& logits,
                              const lutra::tensor<std::uint8_t>& labels) {
  lutra::index_t count = 0;
  for (lutra::index_t i = 0; i < logits.extent(0); ++i) {
    const float* row = logits.data() + i * 10;
    count += std::max_element(row, row + 10) - row == labels[i] ? 1 : 0;
  }
  return count;
}

inline bool same_bits(const lutra::tensor<float>& a, const lutra::tensor<float>& b) {
  const auto equal = [](float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
  };
  return a.extents() == b.extents() && std::ranges::equal(a.elements(), b.elements(), equal);
}

// How integer logits differ from simulated ones, in quantization steps.
struct logit_difference {
  lutra::index_t differing = 0;
  lutra::index_t total = 0;
  lutra::index_t largest = 0;
};
inline logit_difference compare_logits(const lutra::tensor<float>& simulated,
                                       const lutra::tensor<float>& integer, float step) {
  logit_difference d{.total = simulated.size()};
  for (lutra::index_t i = 0; i < simulated.size(); ++i) {
    const double distance = static_cast<double>(simulated[i]) - static_cast<double>(integer[i]);
    const auto steps =
        static_cast<lutra::index_t>(std::lround(std::abs(distance) / static_cast<double>(step)));
    d.differing += steps != 0 ? 1 : 0;
    d.largest = std::max(d.largest, steps);
  }
  return d;
}

}  // namespace lutra_examples
