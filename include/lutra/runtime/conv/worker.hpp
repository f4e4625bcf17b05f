// lutra: worker.hpp - one image and channel group of a convolution, block of positions by block.
// SPDX-License-Identifier: Apache-2.0
//
// A block is one vector of output positions in row-major order; the last one of a band overlaps the one
// before it, so that all are whole but in bands shorter than a vector. Kept in the second-level cache: the
// planes of as many output rows as fit plane_bytes (a band), and the panel of one block. Channels run inside
// a block, so a panel is built once and read for all of them.
// Where tiles make the products (conv/tiles.hpp) they are those of 16 channels at a time.
// Outputs pooled by 2 x 2 come from two phases: the even and the odd rows, each with a panel of its own.
// The larger sums of both are finished, then the larger of each two neighbours is kept.
#pragma once

#include <algorithm>
#include <cstring>
#include <lutra/runtime/conv/output.hpp>

namespace lutra::inline LUTRA_ABI {

template <class A, class Epilogue, class Out> class conv_worker {
 public:
  explicit conv_worker(const conv_job<A, Epilogue, Out>& job)
      : job_(job),
        groups_(job.slices.back().first_group + job.slices.back().groups()),
        in_tiles_(job.plan.products == conv_products::tiles),
        output_(job.epilogue, job.out) {
    // Tiles read on to the end of the last part: there weights are zeros.
    const index_t behind = in_tiles_ ? tile_depth / 4 * group_vectors<A> * size : 0;
    // One line more: there is an address also where nothing is summed (depth 0).
    panel_.resize(static_cast<std::size_t>(
        1 + (job.plan.geometry.row_phases * panel_bytes() + behind) / index_t{sizeof(cache_line)}));
    finished_.resize(static_cast<std::size_t>((in_tiles_ ? 2 * tile_rows : together) * size));
    const auto exact = [](const conv_slice<A>& slice) { return slice.zero_point.empty(); };
    if (std::all_of(job.slices.begin(), job.slices.end(), exact)) return;
    activation_sums_.resize(
        static_cast<std::size_t>(job.plan.geometry.row_phases * slice_count() * size));
    ones_.resize(static_cast<std::size_t>(groups_ * panel_weights<A>::group_bytes + 4));
    for (std::size_t i = 0; i < ones_.size(); ++i) ones_[i] = group_vectors<A> == 4 || i % 2 == 0;
  }

  // Rows `rows` of the output channels of `group` for image n.
  void run(index_t n, index_t group, index_range rows) {
    const plane_geometry& g = job_.plan.geometry;
    const tiles_in_use<A> in_use(in_tiles_);
    if constexpr (has_tiles(A{})) {
      if (in_tiles_) configure_tiles(simd::tile_shapes{}, A{});
    }
    const index_t around = g.size(0);
    const auto prepare = [&](index_t count) { find_taps(count); };
    bands_.each(rows, around, g.size(1) - around, prepare, [&](index_t first, index_t count) {
      const auto bytes = static_cast<std::size_t>(g.size(count) + 2 * size);
      if (planes_.size() < bytes) planes_.resize(bytes);
      std::int8_t* planes = planes_.data() + size;  // load_runs reads before and behind them
      fill_planes(g, job_.x, n, group * g.channels, first, count, job_.pad, planes);
      const index_t positions = count * g.output_columns;
      const index_t lanes = std::min(size, positions);
      for (index_t at = 0; at < positions; at += size) {
        const index_t begin = std::min(at, positions - lanes);
        runs_of(g, begin, lanes, runs_);
        for (index_t phase = 0; phase < g.row_phases; ++phase) {
          fill_phase(phase, planes);
        }
        run_block({n, first, begin / g.row_phases, lanes / g.row_phases}, group);
      }
    });
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;                 // positions of a block
  static constexpr int together = vector_registers(A{}) >= 32 ? 4 : 2;  // channels
  // `count` outputs of image n, the first one `begin` behind the start of row `first`.
  struct block {
    index_t n, first, begin, count;
  };

  index_t slice_count() const noexcept { return static_cast<index_t>(job_.slices.size()); }
  index_t panel_bytes() const noexcept { return groups_ * group_vectors<A> * size; }
  std::int8_t* panel_of(index_t phase, const conv_slice<A>& slice) noexcept {
    // Of all lines, not of the first one.
    return reinterpret_cast<std::int8_t*>(panel_.data()) + phase * panel_bytes() +
           slice.first_group * group_vectors<A> * size;
  }
  std::int32_t* activation_sums(index_t phase, index_t slice) noexcept {
    return activation_sums_.data() + (phase * slice_count() + slice) * size;
  }
  // Blocks of one or two runs are the most: their loops over taps have no other loop inside.
  void fill_phase(index_t phase, const std::int8_t* planes) {
    if (runs_.size() == 1) return fill_phase_of<1>(phase, planes);
    if (runs_.size() == 2) return fill_phase_of<2>(phase, planes);
    fill_phase_of<0>(phase, planes);
  }
  template <std::size_t Runs> void fill_phase_of(index_t phase, const std::int8_t* planes) {
    std::array<position_run, Runs> few;
    std::copy_n(runs_.begin(), Runs, few.begin());
    const std::span<const position_run> runs =
        Runs > 0 ? std::span<const position_run>(few) : runs_;
    for (const conv_slice<A>& slice : job_.slices) {
      const index_t* taps = taps_.data() + phase * job_.depth + slice.first_tap;
      fill_panel<A>(slice.depth, panel_of(phase, slice), [&](index_t k) {
        const auto v = load_runs<A, Runs>(planes + taps[k], runs);
        return job_.flip ? flip_sign(v, A{}) : v;
      });
    }
  }
  void find_taps(index_t count) {
    taps_.clear();
    for (index_t phase = 0; phase < job_.plan.geometry.row_phases; ++phase) {
      const std::vector<index_t> taps = job_.plan.geometry.taps(count, phase);
      taps_.insert(taps_.end(), taps.begin(), taps.end());
    }
  }

  void run_block(const block& b, index_t group) {
    if (!activation_sums_.empty()) sum_activations();
    if constexpr (std::is_same_v<Epilogue, requantize>) {
      if (job_.plan.geometry.row_phases == 2) return run_group<2>(b, group);
    }
    run_group<1>(b, group);
  }

  // Outputs that lie as a block does are written in place, others by way of finished_.
  template <int Phases> void run_group(const block& b, index_t group) {
    const index_t channel = output_.channel_stride();
    output_runs_.clear();
    output_.add_runs(b.begin, b.count, job_.plan.geometry.output_columns / Phases, output_runs_);
    const bool in_place = output_.in_place(output_runs_, size / Phases);
    Out* const to = output_.row(b.n, b.first);
    const auto run_channels_to = [&](auto most, index_t row, index_t count, Out* first,
                                     index_t step) {
      if constexpr (slice_epilogue<Epilogue>) {
        add_channels<most>(row, count, first, step);
      } else {
        run_channels<most, Phases>(row, count, first, step);
      }
    };
    const auto run_rows = [&](auto most, index_t row, index_t count) {
      if (in_place) {
        run_channels_to(most, row, count, to + row * channel + b.begin, channel);
      } else {
        run_channels_to(most, row, count, finished_.data(), size);
        for (index_t r = 0; r < count; ++r) {
          output_.scatter(output_runs_, finished_.data() + r * size, to + (row + r) * channel);
        }
      }
    };
    index_t row = group * job_.plan.channels;
    const index_t end = row + job_.plan.channels;
    if constexpr (has_tiles(A{})) {
      constexpr int tile = tile_rows;
      for (; in_tiles_ && row + tile < end; row += 2 * tile) {
        run_rows(std::integral_constant<int, 2 * tile>{}, row, std::min(2 * tile_rows, end - row));
      }
      if (in_tiles_ && row < end) {
        run_rows(std::integral_constant<int, tile>{}, row, end - row);
        row = end;
      }
    }
    for (; row + together <= end; row += together) {
      run_rows(std::integral_constant<int, together>{}, row, together);
    }
    for (; row < end; ++row) run_rows(std::integral_constant<int, 1>{}, row, 1);
  }

  // finish(r, sums) for `count` channels from `first` on, which are Rows, but for tiles: there they may be fewer.
  template <int Rows, class Finish>
  [[gnu::always_inline]] void each_sum(index_t phase, const conv_slice<A>& slice, index_t first,
                                       [[maybe_unused]] index_t count, Finish&& finish) {
    if constexpr (Rows > together) {
      alignas(64) std::int32_t sums[to_size(Rows * size)];
      multiply_panel_tiles<A, Rows>(panel_of(phase, slice), slice.tiles.parts(),
                                    slice.tiles.tiles(first), sums);
      for (index_t r = 0; r < count; ++r) {
        const auto start = splat_ints(slice.start[to_size(first + r)], A{});
        simd::ints_of<A> sum[4];
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          sum[v] = add(load_ints(sums + r * size + v * simd::int_lanes<A>, A{}), start, A{});
        });
        finish(r, sum);
      }
    } else {
      const std::uint8_t* weights[to_size(Rows)];
      for (index_t r = 0; r < Rows; ++r) weights[r] = slice.weights.row(first + r);
      multiply_panel_rows<A, Rows>(panel_of(phase, slice), slice.groups(), weights,
                                   slice.start.data() + first, finish);
    }
  }

  // The outputs of channel first + r go to to + r * step: a whole vector each, half of one if pooled.
  // Requantization keeps the order of sums, so the larger sum of two phases gives the larger output.
  template <int Rows, int Phases>
  [[gnu::noinline]] void run_channels(index_t first, index_t count, Out* to, index_t step) {
    const conv_slice<A>& slice = job_.slices.front();
    const std::int32_t* zero_points =
        slice.zero_point.empty() ? nullptr : slice.zero_point.data() + first;
    [[maybe_unused]] alignas(64) std::int32_t other[to_size(Rows * size)];
    if constexpr (Phases == 2) {
      each_sum<Rows>(
          1, slice, first,
          count, [&](auto r, simd::ints_of<A>(&sum)[4]) __attribute__((always_inline)) {
            if (zero_points != nullptr) {
              subtract_activations<A>(activation_sums(1, 0), zero_points[r], sum);
            }
            simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
              store_ints(other + r * size + v * simd::int_lanes<A>, sum[v], A{});
            });
          });
    }
    each_sum<Rows>(
        0, slice, first,
        count, [&](auto r, simd::ints_of<A>(&sum)[4]) __attribute__((always_inline)) {
          if (zero_points != nullptr) {
            subtract_activations<A>(activation_sums(0, 0), zero_points[r], sum);
          }
          if constexpr (Phases == 2) {
            simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
              const auto y = load_ints(other + r * size + v * simd::int_lanes<A>, A{});
              sum[v] = max_ints(sum[v], y, A{});
            });
          }
          output_.template store<Phases>(to + r * step, first + r, sum);
        });
  }

  // The same where slices are added in float. Sums stay in the order of the lanes until all are there.
  template <int Rows>
  [[gnu::noinline]] void add_channels(index_t first, index_t count, Out* to, index_t step) {
    alignas(64) std::int32_t raw[to_size(Rows * size)];
    alignas(64) float sums[to_size(Rows * size)] = {};
    for (index_t s = 0; s < slice_count(); ++s) {
      const conv_slice<A>& slice = job_.slices[to_size(s)];
      each_sum<Rows>(
          0, slice, first,
          count, [&](auto r, simd::ints_of<A>(&sum)[4]) __attribute__((always_inline)) {
            if (!slice.zero_point.empty()) {
              const auto row = to_size(first + r);
              subtract_activations<A>(activation_sums(0, s), slice.zero_point[row], sum);
            }
            simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
              store_ints(raw + r * size + v * simd::int_lanes<A>, sum[v], A{});
            });
          });
      for (index_t r = 0; r < count; ++r) {
        Epilogue::template add<A>(raw + r * size, slice.matrix.row_scale(first + r), size,
                                  sums + r * size);
      }
    }
    for (index_t r = 0; r < count; ++r) {
      output_.store_slices(to + r * step, first + r, sums + r * size);
    }
  }

  // Sum of the activations under the window of every position: one more channel, of weights 1.
  void sum_activations() {
    const std::uint8_t* weights[1] = {ones_.data()};
    for (index_t phase = 0; phase < job_.plan.geometry.row_phases; ++phase) {
      for (index_t s = 0; s < slice_count(); ++s) {
        const conv_slice<A>& slice = job_.slices[to_size(s)];
        const auto start = static_cast<std::int32_t>(-panel_bias(A{}) * slice.depth);
        multiply_panel_rows<A, 1>(panel_of(phase, slice), slice.groups(), weights, &start,
                                  [&](auto, simd::ints_of<A>(&sum)[4]) {
                                    for (int v = 0; v < 4; ++v) {
                                      store_ints(activation_sums(phase, s) + v * simd::int_lanes<A>,
                                                 sum[v], A{});
                                    }
                                  });
      }
    }
  }

  const conv_job<A, Epilogue, Out>& job_;
  index_t groups_;
  bool in_tiles_;
  conv_output<A, Epilogue, Out> output_;
  std::vector<output_run> output_runs_;
  std::vector<cache_line> panel_;
  std::vector<std::int8_t> planes_;
  row_bands bands_;
  std::vector<index_t> taps_;       // of the rows of a band, phase by phase
  std::vector<std::uint8_t> ones_;  // weights of sum_activations, where zero points need it
  std::vector<position_run> runs_;
  std::vector<Out> finished_;                  // a vector of outputs per channel
  std::vector<std::int32_t> activation_sums_;  // [phase][slice][lane], where zero points need them
};

}  // namespace lutra::inline LUTRA_ABI
