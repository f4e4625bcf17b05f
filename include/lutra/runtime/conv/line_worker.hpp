// lutra: line_worker.hpp - one image and channel group of a convolution on tile registers, with channels last.
// SPDX-License-Identifier: Apache-2.0
//
// As worker.hpp, but the planes of a band are lines (lines.hpp), and a block is 64 positions of these, gaps included.
// While the products of up to 32 channels by a block are made, the sums of those before are finished: brought into the
// order of positions, four channels at a time, and stored. Where the output has channels last, too, sums lie as it
// does, and all channels of some positions are stored at a time.
#pragma once

#include <lutra/runtime/conv/output.hpp>
#include <memory>

namespace lutra::inline LUTRA_ABI {

template <class A, class Epilogue, class Out> class line_worker {
 public:
  explicit line_worker(const conv_job<A, Epilogue, Out>& job)
      : job_(job),
        slice_(job.slices.front()),
        output_(job.epilogue, job.out),
        last_(phases() == 1 && output_.channel_stride() == 1 && slice_.zero_point.empty() &&
              job.plan.channels % tile_rows == 0),
        sums_(static_cast<std::size_t>(2 * phases())) {
    if (!slice_.zero_point.empty()) ones_ = line_ones(job.plan.lines.layout);
  }

  // Rows `rows` of the output channels of `group` for image n.
  void run(index_t n, index_t group, index_range rows) {
    const plane_geometry& g = job_.plan.geometry;
    const line_geometry& l = job_.plan.lines;
    const index_t around = l.size(g, 0);
    const tiles_in_use<A> in_use;
    configure_tiles(simd::tile_shapes{}, A{});
    const auto prepare = [&](index_t count) { find_blocks(count); };
    bands_.each(rows, around, l.size(g, 1) - around, prepare, [&](index_t first, index_t count) {
      std::int8_t* const lines = reserve(l.size(g, count) + l.read_behind());
      fill_lines<A>(g, l, job_.x, n, group * g.channels, first, count, job_.pad, job_.flip, lines);
      band_ = {lines, output_.row(n, first), count * l.width};
      if (!slice_.zero_point.empty()) sum_activations();
      // Weights of some strips stay in the first-level cache while all blocks go by.
      index_t row = group * job_.plan.channels;
      const index_t end = row + job_.plan.channels;
      for (; row + tile_rows < end; row += 2 * tile_rows) {
        multiply_band<2>(row, std::min(2 * tile_rows, end - row));
      }
      if (row < end) multiply_band<1>(row, end - row);
      finish_all();
    });
  }

 private:
  static constexpr index_t size = 64;  // positions of a block
  static_assert(size == simd::vector_size<A> && size == 4 * tile_rows);

  struct band {
    const std::int8_t* lines = nullptr;
    Out* to = nullptr;  // its first row, channel 0
    index_t positions = 0;
  };
  // Where the outputs of a block belong.
  struct block {
    bool in_place = false;
    std::size_t first_run = 0, runs = 0;
  };
  struct alignas(64) strip_sums {
    std::int32_t of[2 * tile_rows * size];
  };
  // The channels [row, row + count), whose sums are sums[.. + position * stride], of each phase: `tasks` times four
  // channels from row on or, with channels last, some positions from `first` on.
  struct unfinished {
    index_t tasks = 0;
    const block* of = nullptr;
    const std::int32_t* activations = nullptr;  // with zero points: their sums, phase by phase
    const strip_sums* sums = nullptr;
    index_t first = 0, stride = 0, row = 0, count = 0;
  };

  index_t phases() const noexcept { return job_.plan.geometry.row_phases; }
  std::span<const line_segment> segments(index_t phase) const noexcept {
    const std::size_t count = segments_.size() / to_size(phases());
    return std::span(segments_).subspan(to_size(phase) * count, count);
  }
  std::int8_t* reserve(index_t bytes) {
    const auto lines = to_size(bytes / index_t{sizeof(cache_line)} + 1);
    if (lines > reserved_) {
      lines_ = std::make_unique_for_overwrite<cache_line[]>(lines);
      reserved_ = lines;
    }
    return reinterpret_cast<std::int8_t*>(lines_.get());  // of all lines, not of the first one
  }

  // What depends on the rows of a band alone.
  void find_blocks(index_t count) {
    segments_.clear();
    for (index_t phase = 0; phase < phases(); ++phase) {
      job_.plan.lines.add_segments(job_.plan.geometry, count, phase, segments_);
    }
    const index_t positions = count * job_.plan.lines.width;
    blocks_.resize(static_cast<std::size_t>((positions + size - 1) / size));
    runs_.clear();
    index_t at = 0;
    for (block& b : blocks_) {
      b.first_run = runs_.size();
      output_.add_runs(at / phases(), std::min(size, positions - at) / phases(),
                       job_.plan.lines.width / phases(), runs_);
      b.runs = runs_.size() - b.first_run;
      b.in_place = output_.in_place(runs_of(b), size / phases());
      at += size;
    }
  }
  std::span<const output_run> runs_of(const block& b) const noexcept {
    return std::span(runs_).subspan(b.first_run, b.runs);
  }

  // The channels [row, row + count) of all blocks.
  template <int Strips> void multiply_band(index_t row, index_t count) {
    const std::int8_t* x = band_.lines;
    const std::int32_t* activations = activation_sums_.data();  // if there are any
    index_t positions = band_.positions;
    for (const block& b : blocks_) {
      multiply_block<Strips>(x, std::min(size, positions), row);
      positions -= size;
      unfinished_ = {last_ ? size / positions_of_task(count) : (count + 3) / 4,
                     &b,
                     activations,
                     &sums_[turn_],
                     0,
                     Strips * tile_rows,
                     row,
                     count};
      x += size * job_.plan.lines.position_bytes;
      if (!activation_sums_.empty()) activations += size * phases();
    }
  }
  template <int Strips> void multiply_block(const std::int8_t* x, index_t positions, index_t row) {
    const line_geometry& l = job_.plan.lines;
    turn_ = static_cast<std::size_t>(phases()) - turn_;
    // Outputs with channels last are finished along with each part of the products, others with the last part of each.
    const index_t parts = static_cast<index_t>(segments(0).size()) * l.parts;
    const index_t tasks = unfinished_.tasks, steps = phases() * Strips * (last_ ? parts : 1);
    index_t due = 0;  // of tasks, times steps
    index_t part = 0;
    for (index_t phase = 0; phase < phases(); ++phase) {
      multiply_lines<A, Strips>(x, l, segments(phase), slice_.matrix.line_tiles(row),
                                l.layout.strip_bytes(), positions,
                                sums_[turn_ + static_cast<std::size_t>(phase)].of, [&] {
                                  if (!last_ && ++part < parts) return;
                                  part = 0;
                                  for (due += tasks; due >= steps; due -= steps) finish_task();
                                });
    }
    finish_all();  // what a short block left
  }

  // Sums of the activations under the window of every position of the band: a strip of weights 1.
  void sum_activations() {
    activation_sums_.resize(to_size((band_.positions + size - 1) / size * size * phases()));
    std::int32_t* to = activation_sums_.data();
    alignas(64) std::int32_t sums[size * tile_rows];
    for (index_t at = 0; at < band_.positions; at += size) {
      for (index_t phase = 0; phase < phases(); ++phase, to += size) {
        multiply_lines<A, 1>(band_.lines + at * job_.plan.lines.position_bytes, job_.plan.lines,
                             segments(phase), reinterpret_cast<const std::int8_t*>(ones_.data()), 0,
                             size, sums, [] {});
        simd::ints_of<A> v[4][4];
        load_panel_sums(sums, tile_rows, v, A{});
        for (int i = 0; i < 4; ++i) store_ints(to + i * simd::int_lanes<A>, v[0][i], A{});
      }
    }
  }

  void finish_all() {
    while (unfinished_.tasks > 0) finish_task();
  }
  void finish_task() {
    --unfinished_.tasks;
    if (last_) return finish_positions();
    if constexpr (std::is_same_v<Epilogue, requantize>) {
      if (phases() == 2) return finish<2>();
    }
    finish<1>();
  }
  template <int Phases> [[gnu::noinline]] void finish() {
    unfinished& u = unfinished_;
    const std::span<const output_run> runs = runs_of(*u.of);
    simd::ints_of<A> sum[4][4];
    [[maybe_unused]] alignas(64) std::int32_t other[4][size];
    const auto load = [&](index_t phase) __attribute__((always_inline)) {
      load_panel_sums(u.sums[phase].of + u.first, u.stride, sum, A{});
      simd::unroll<4>([&](auto c) __attribute__((always_inline)) {
        if (c >= u.count) return;
        const auto row = to_size(u.row + c);
        const auto start = splat_ints(slice_.start[row], A{});
        simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
          sum[c][i] = add(sum[c][i], start, A{});
        });
        if (slice_.zero_point.empty()) return;
        subtract_activations<A>(u.activations + phase * size, slice_.zero_point[row], sum[c]);
      });
    };
    if constexpr (Phases == 2) {
      load(1);
      simd::unroll<16>([&](auto i) __attribute__((always_inline)) {
        store_ints(other[i / 4] + i % 4 * simd::int_lanes<A>, sum[i / 4][i % 4], A{});
      });
    }
    load(0);
    simd::unroll<4>([&](auto c) __attribute__((always_inline)) {
      if (c >= u.count) return;
      if constexpr (Phases == 2) {
        simd::unroll<4>([&](auto i) __attribute__((always_inline)) {
          const auto y = load_ints(other[c] + i * simd::int_lanes<A>, A{});
          sum[c][i] = max_ints(sum[c][i], y, A{});
        });
      }
      const float scale = slice_.matrix.row_scale(u.row + c);
      Out* const to = band_.to + (u.row + c) * output_.channel_stride();
      if (u.of->in_place) {
        output_.template finish<Phases>(to + runs.front().to, u.row + c, scale, sum[c]);
        return;
      }
      if constexpr (sizeof(Out) == 1 && !slice_epilogue<Epilogue>) {
        if (output_.column_stride() == 1) {
          const auto bytes = output_.template bytes<Phases>(u.row + c, sum[c]);
          for (const output_run& run : runs) {
            store_bytes_of(to + run.to, bytes, run.from, run.count, A{});
          }
          return;
        }
      }
      output_.template finish<Phases>(finished_, u.row + c, scale, sum[c]);
      output_.scatter(runs, finished_, to);
    });
    u.first += 4;
    u.row += 4;
    u.count -= 4;
  }

  // As many outputs as four channels of a block have.
  static constexpr index_t positions_of_task(index_t channels) noexcept {
    return 4 * size / channels;
  }
  [[gnu::noinline]] void finish_positions() {
    unfinished& u = unfinished_;
    const index_t end = u.first + positions_of_task(u.count);
    for (const output_run& run : runs_of(*u.of)) {
      const index_t from = std::max(u.first, run.from);
      const index_t positions = std::min(end, run.from + run.count) - from;
      if (positions <= 0) continue;
      const std::int32_t* sums = u.sums->of + from * u.stride;
      Out* to = band_.to + run.to + (from - run.from) * output_.column_stride() + u.row;
      if (u.count == tile_rows) {
        store_positions<1>(to, sums, positions);
      } else {
        store_positions<2>(to, sums, positions);
      }
    }
    u.first = end;
  }
  template <int Strips>
  [[gnu::always_inline]] void store_positions(Out* to, const std::int32_t* sums,
                                              index_t positions) const {
    const index_t row = unfinished_.row;
    const std::int32_t* const start = slice_.start.data() + row;
    if constexpr (slice_epilogue<Epilogue>) {
      alignas(64) std::int32_t raw[to_size(Strips * tile_rows)];
      for (index_t p = 0; p < positions;
           ++p, sums += Strips * tile_rows, to += output_.column_stride()) {
        simd::unroll<Strips>([&](auto s) __attribute__((always_inline)) {
          constexpr index_t c = s * tile_rows;
          store_ints(raw + c, add(load_ints(sums + c, A{}), load_ints(start + c, A{}), A{}), A{});
        });
        job_.epilogue.template write_rows<A>(row, raw, slice_.matrix.row_scales() + row,
                                             Strips * tile_rows, to);
      }
    } else {
      output_.template store_positions<Strips>(to, row, start, sums, positions);
    }
  }

  const conv_job<A, Epilogue, Out>& job_;
  const conv_slice<A>& slice_;  // the only one
  conv_output<A, Epilogue, Out> output_;
  bool last_;  // channels of the output, as sums lie
  std::unique_ptr<cache_line[]> lines_;
  std::size_t reserved_ = 0;
  row_bands bands_;
  std::vector<line_segment> segments_;  // of the rows of a band, as what follows; phase by phase
  std::vector<block> blocks_;
  std::vector<output_run> runs_;  // of all blocks
  std::vector<cache_line> ones_;  // weights of sum_activations, if there are zero points
  std::vector<std::int32_t>
      activation_sums_;  // of the band, if there are zero points: [block][phase][lane]
  band band_;
  std::vector<strip_sums> sums_;  // of each phase, of two turns
  std::size_t turn_ = 0;
  unfinished unfinished_;
  alignas(64) Out finished_[size];
};

}  // namespace lutra::inline LUTRA_ABI
