// lutra: worker.hpp - one image and channel group of a convolution, block of positions by block.
// SPDX-License-Identifier: Apache-2.0
//
// A block is one vector of positions: consecutive ones of the planes, gaps between rows included, or
// gathered without gaps. Gathering costs a copy per tap, gaps cost one per output channel: the fewer
// decide. Kept in the second-level cache: the planes of as many output rows as fit plane_bytes, and the panel
// of one block. Channels run inside a block, so a panel is built once and read for all of them.
#pragma once

#include <cstring>
#include <lutra/runtime/conv/panel.hpp>
#include <lutra/runtime/conv/planes.hpp>
#include <lutra/runtime/epilogue.hpp>

namespace lutra::inline LUTRA_ABI {

inline constexpr index_t plane_bytes = 256 * 1024;

// Copies `bytes` bytes as two overlapping moves of a fixed size: runs are a few dozen bytes, where a
// call of memcpy costs more than the copy.
inline void copy_run(void* to, const void* from, std::size_t bytes) {
  auto* t = static_cast<std::uint8_t*>(to);
  const auto* f = static_cast<const std::uint8_t*>(from);
  const auto ends = [&](auto size) {
    constexpr std::size_t n = size;
    std::uint8_t head[n], tail[n];
    std::memcpy(head, f, n);
    std::memcpy(tail, f + bytes - n, n);
    std::memcpy(t, head, n);
    std::memcpy(t + bytes - n, tail, n);
  };
  using std::integral_constant;
  if (bytes > 64) {
    std::memcpy(to, from, bytes);
  } else if (bytes >= 32) {
    ends(integral_constant<std::size_t, 32>{});
  } else if (bytes >= 16) {
    ends(integral_constant<std::size_t, 16>{});
  } else if (bytes >= 8) {
    ends(integral_constant<std::size_t, 8>{});
  } else if (bytes >= 4) {
    ends(integral_constant<std::size_t, 4>{});
  } else {
    for (std::size_t i = 0; i < bytes; ++i) t[i] = f[i];
  }
}

// What finishing needs per output channel.
//   sum = raw + start[row] - zero_point[row] * (sum of the activations at the position)
template <class A, class Epilogue> struct channel_constants {
  std::vector<std::int32_t> start;       // epilogue bias, minus what panel_bias adds
  std::vector<std::int32_t> zero_point;  // empty when all are 0
  channel_constants(const lut_matrix& w, const Epilogue& e) {
    const auto depth = static_cast<std::uint32_t>(w.depth());
    for (index_t r = 0; r < w.rows(); ++r) {
      const auto zero = static_cast<std::uint32_t>(w.zero_point(r));
      const std::uint32_t stored = static_cast<std::uint32_t>(w.row_sum(r)) + zero * depth;
      std::uint32_t from = 0U - static_cast<std::uint32_t>(panel_bias(A{})) * stored;
      if constexpr (!std::is_same_v<Epilogue, keep_sums>) {
        from += static_cast<std::uint32_t>(bias_of(e.bias, r));
      }
      start.push_back(static_cast<std::int32_t>(from));
      if (w.has_zero_points()) zero_point.push_back(w.zero_point(r));
    }
  }
};

// Everything that is the same for all images of one call.
template <class A, class Epilogue, class Out> struct conv_job {
  const panel_weights<A>& weights;
  const channel_constants<A, Epilogue>& constants;
  const Epilogue& epilogue;
  const plane_geometry& geometry;
  const tensor_view<const std::int8_t>& x;
  const tensor_view<Out>& out;
  index_t depth;
  index_t channels_per_group;  // of the output
  std::int8_t pad;
};

template <class A, class Epilogue, class Out> class conv_worker {
 public:
  explicit conv_worker(const conv_job<A, Epilogue, Out>& job)
      : job_(job),
        groups_((job.depth + 3) / 4),
        dense_(job.geometry.width > job.geometry.output_columns &&
               job.depth < job.channels_per_group),
        rounding_(job.epilogue) {
    panel_.resize(static_cast<std::size_t>(groups_ * group_vectors<A> * size));
  }

  // Output channels of `group` for image n.
  void run(index_t n, index_t group) {
    const plane_geometry& g = job_.geometry;
    const index_t rows = job_.out.extent(2);
    const index_t per_row = std::max<index_t>(g.size(1) - g.size(0), 1);
    const index_t fit = std::clamp<index_t>((plane_bytes - g.size(0)) / per_row, 1, rows);
    planes_.resize(static_cast<std::size_t>(g.size(fit) + size));
    for (index_t first = 0; first < rows; first += fit) {
      const index_t count = std::min(fit, rows - first);
      taps_ = g.taps(count);
      fill_planes(g, job_.x, n, group * g.channels, first, count, job_.pad, planes_.data());
      const index_t positions = (count - 1) * g.width + g.output_columns;
      if (dense_) {
        for (index_t at = 0; at < count * g.output_columns; at += size) {
          gather_runs(first, at, count * g.output_columns);
          fill_panel<A>(job_.depth, panel_.data(), [&](index_t k) { return gathered(k); });
          run_block(n, group);
        }
        continue;
      }
      for (index_t at = 0; at < positions; at += size) {
        find_runs(first, at, positions);
        fill_panel<A>(job_.depth, panel_.data(), [&](index_t k) {
          return load_bytes(planes_.data() + taps_[static_cast<std::size_t>(k)] + at, A{});
        });
        run_block(n, group);
      }
    }
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;  // positions of a block
  // `count` outputs of row i from column j on; at position `from` of the block, `in_planes` of the
  // planes.
  struct output_run {
    index_t from, in_planes, i, j, count;
  };

  void find_runs(index_t first_row, index_t at, index_t positions) {
    runs_.clear();
    const index_t end = std::min(at + size, positions);
    const index_t width = job_.geometry.width;
    for (index_t i = at / width; i * width < end; ++i) {
      const index_t from = std::max(i * width, at);
      const index_t to = std::min(i * width + job_.geometry.output_columns, end);
      if (to > from) runs_.push_back({from - at, from, first_row + i, from - i * width, to - from});
    }
  }
  void gather_runs(index_t first_row, index_t at, index_t positions) {
    runs_.clear();
    const index_t end = std::min(at + size, positions);
    const index_t columns = job_.geometry.output_columns;
    for (index_t p = at; p < end;) {
      const index_t i = p / columns, j = p % columns;
      const index_t count = std::min(columns - j, end - p);
      runs_.push_back({p - at, i * job_.geometry.width + j, first_row + i, j, count});
      p += count;
    }
  }
  simd::bytes_of<A> gathered(index_t k) {
    std::int8_t* block = gathered_.data();
    const std::int8_t* tap = planes_.data() + taps_[static_cast<std::size_t>(k)];
    for (const output_run& run : runs_) {
      copy_run(block + run.from, tap + run.in_planes, static_cast<std::size_t>(run.count));
    }
    return load_bytes(block, A{});
  }

  void run_block(index_t n, index_t group) {
    if (!job_.constants.zero_point.empty()) sum_activations();
    constexpr index_t together = vector_registers(A{}) >= 32 ? 4 : 2;
    index_t row = group * job_.channels_per_group;
    const index_t end = row + job_.channels_per_group;
    for (; row + together <= end; row += together) run_channels<together>(n, row);
    for (; row < end; ++row) run_channels<1>(n, row);
  }

  template <int Rows> void run_channels(index_t n, index_t first) {
    const std::uint8_t* weights[static_cast<std::size_t>(Rows)];
    for (index_t r = 0; r < Rows; ++r) weights[r] = job_.weights.row(first + r);
    multiply_panel_rows<A, Rows>(
        panel_.data(), groups_, weights, job_.constants.start.data() + first,
        [&](auto r, simd::ints_of<A>(&sum)[4])
            __attribute__((always_inline)) { finish(n, first + r, sum); });
  }

  [[gnu::always_inline]] void finish(index_t n, index_t row, simd::ints_of<A> (&sum)[4]) {
    Out* block = finished_.data();
    const auto r = static_cast<std::size_t>(row);
    if (!job_.constants.zero_point.empty()) {
      const auto factor = splat_ints(-job_.constants.zero_point[r], A{});
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        const auto x = load_ints(activation_sums_ + v * simd::int_lanes<A>, A{});
        sum[v] = add(sum[v], multiply(factor, x, A{}), A{});
      });
    }
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      store_columns(block, sum, A{});
    } else {
      const auto m = splat_floats(job_.epilogue.multiplier[r], A{});
      simd::floats_of<A> y[4];
      simd::unroll<4>([&](auto v)
                          __attribute__((always_inline)) { y[v] = scaled(sum[v], m, A{}); });
      if constexpr (std::is_same_v<Out, float>) {
        store_columns(block, y, A{});
      } else {
        simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
          sum[v] = round(y[v], rounding_.highest, A{});
        });
        auto bytes = narrow(sum, rounding_.limits, A{});
        if constexpr (std::is_unsigned_v<Out>) bytes = flip_sign(bytes, A{});
        store_bytes(block, bytes, A{});
      }
    }
    write(n, row, block);
  }

  [[gnu::always_inline]] void write(index_t n, index_t row, const Out* block) {
    const tensor_view<Out>& out = job_.out;
    Out* to = out.data() + n * out.stride(0) + row * out.stride(1);
    const index_t step = out.stride(3);
    // Gathered blocks are contiguous in a dense image.
    if (step == 1 && (dense_ || runs_.size() == 1) && out.stride(2) == out.extent(3)) {
      const output_run& last = runs_.back();
      Out* at = to + runs_.front().i * out.stride(2) + runs_.front().j;
      const auto count = static_cast<std::size_t>(last.from + last.count - runs_.front().from);
      copy_run(at, block + runs_.front().from, count * sizeof(Out));
      return;
    }
    for (const output_run& run : runs_) {
      Out* at = to + run.i * out.stride(2) + run.j * step;
      if (step == 1) {
        copy_run(at, block + run.from, static_cast<std::size_t>(run.count) * sizeof(Out));
      } else {
        for (index_t j = 0; j < run.count; ++j) at[j * step] = block[run.from + j];
      }
    }
  }

  // Sum of the activations under the window of every position: one more channel, of weights 1.
  void sum_activations() {
    std::vector<std::uint8_t> ones(
        static_cast<std::size_t>(groups_ * panel_weights<A>::group_bytes + 4));
    for (std::size_t i = 0; i < ones.size(); ++i) ones[i] = group_vectors<A> == 4 || i % 2 == 0;
    const std::uint8_t* weights[1] = {ones.data()};
    const auto start = static_cast<std::int32_t>(-panel_bias(A{}) * job_.depth);
    multiply_panel_rows<A, 1>(
        panel_.data(), groups_, weights, &start, [&](auto, simd::ints_of<A>(&sum)[4]) {
          for (int v = 0; v < 4; ++v) {
            store_ints(activation_sums_ + v * simd::int_lanes<A>, sum[v], A{});
          }
        });
  }

  const conv_job<A, Epilogue, Out>& job_;
  index_t groups_;
  bool dense_;  // blocks are gathered
  row_rounding<A, Epilogue, Out> rounding_;
  std::vector<std::int8_t> panel_;
  std::vector<std::int8_t> planes_;
  // One vector of positions each. On the heap: g++ 12 takes copy_run for out of bounds of an array.
  std::vector<std::int8_t> gathered_ = std::vector<std::int8_t>(static_cast<std::size_t>(size));
  std::vector<Out> finished_ = std::vector<Out>(static_cast<std::size_t>(size));
  std::vector<index_t> taps_;
  std::vector<output_run> runs_;
  alignas(64) std::int32_t activation_sums_[static_cast<std::size_t>(size)] = {};
};

}  // namespace lutra::inline LUTRA_ABI
