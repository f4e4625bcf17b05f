// lutra: window_worker.hpp - one image and channel group of a convolution whose products are those of windows.hpp.
// SPDX-License-Identifier: Apache-2.0
//
// As worker.hpp, but positions are counted as they lie in a plane, gaps included, and the outputs of a band wait in its
// rows until the whole of an output channel is finished.
#pragma once

#include <lutra/runtime/conv/output.hpp>

namespace lutra::inline LUTRA_ABI {

template <class A, class Epilogue, class Out> class window_worker {
 public:
  explicit window_worker(const conv_job<A, Epilogue, Out>& job)
      : job_(job), slice_(job.slices.front()), output_(job.epilogue, job.out) {
    if (!slice_.zero_point.empty()) ones_ = window_weights<A>::ones(job.plan.windows);
  }

  // Rows `rows` of the output channels of `group` for image n.
  void run(index_t n, index_t group, index_range rows) {
    const plane_geometry& g = job_.plan.geometry;
    const index_t around = g.size(0), of_row = g.size(1) - around;
    const index_t finished = g.width * index_t{sizeof(Out)};
    const auto prepare = [&](index_t count) { find_offsets(count); };
    bands_.each(rows, around, of_row + finished, prepare, [&](index_t first, index_t count) {
      fill_planes(g, job_.x, n, group * g.channels, first, count, job_.pad, planes_.data());
      // Bytes become int8, and those with the bias of the panel uint8.
      if (job_.flip != (panel_bias(A{}) != 0)) flip_signs<A>(planes_.data(), g.size(count));
      for (index_t i = 0; i < job_.plan.channels; ++i) {
        const index_t row = group * job_.plan.channels + i;
        finish_channel(row, count * g.width);
        output_.scatter(runs_, finished_.data(),
                        output_.row(n, first) + row * output_.channel_stride());
      }
    });
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;  // positions of a block

  // What depends on the rows of a band alone; and memory for it, with what is read and written behind its end.
  void find_offsets(index_t count) {
    const plane_geometry& g = job_.plan.geometry;
    const index_t phases = g.row_phases, positions = count * g.width;
    offsets_.clear();
    for (index_t phase = 0; phase < phases; ++phase) {
      job_.plan.windows.add_offsets(g, count, phase, offsets_);
    }
    runs_.clear();
    output_.add_runs(0, positions / phases, g.width / phases, runs_);
    const auto at_least = [](auto& memory, index_t n) {
      if (static_cast<index_t>(memory.size()) < n) memory.resize(to_size(n));
    };
    at_least(planes_, g.size(count) + g.columns.reach + 3 * size);
    at_least(finished_, positions + size);
  }

  void finish_channel(index_t row, index_t positions) {
    if constexpr (std::is_same_v<Epilogue, requantize>) {
      if (job_.plan.geometry.row_phases == 2) return finish_channel_of<2>(row, positions);
    }
    finish_channel_of<1>(row, positions);
  }
  // Requantization keeps the order of sums, so the larger sum of two phases gives the larger output.
  template <int Phases> [[gnu::noinline]] void finish_channel_of(index_t row, index_t positions) {
    const std::size_t groups = offsets_.size() / Phases;
    const auto multiply = [&](index_t at, std::size_t phase, simd::ints_of<A>(&sum)[4])
        __attribute__((always_inline)) {
      this->multiply(row, planes_.data() + at, {offsets_.data() + phase * groups, groups}, sum);
    };
    const float scale = slice_.matrix.row_scale(row);
    for (index_t at = 0; at < positions; at += size) {
      simd::ints_of<A> sum[4];
      multiply(at, 0, sum);
      if constexpr (Phases == 2) {
        simd::ints_of<A> other[4];
        multiply(at, 1, other);
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          sum[v] = max_ints(sum[v], other[v], A{});
        });
      }
      output_.template finish<Phases>(finished_.data() + at / Phases, row, scale, sum);
    }
  }
  [[gnu::always_inline]] void multiply(index_t row, const std::int8_t* x,
                                       std::span<const index_t> offsets,
                                       simd::ints_of<A> (&sum)[4]) const {
    const auto r = to_size(row);
    multiply_windows<A>(x, offsets, slice_.windows.row(row), slice_.start[r], sum);
    if (slice_.zero_point.empty()) return;
    simd::ints_of<A> activations[4];
    multiply_windows<A>(x, offsets, ones_.row(0),
                        static_cast<std::int32_t>(-panel_bias(A{}) * slice_.depth), activations);
    subtract_activations<A>(activations, slice_.zero_point[r], sum);
  }

  const conv_job<A, Epilogue, Out>& job_;
  const conv_slice<A>& slice_;  // the only one
  conv_output<A, Epilogue, Out> output_;
  window_weights<A> ones_;  // if there are zero points
  row_bands bands_;
  std::vector<index_t> offsets_;  // of the rows of a band: of groups, phase by phase
  std::vector<output_run> runs_;
  std::vector<std::int8_t> planes_;
  std::vector<Out> finished_;  // of one channel
};

}  // namespace lutra::inline LUTRA_ABI
