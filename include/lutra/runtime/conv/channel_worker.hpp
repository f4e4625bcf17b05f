// lutra: channel_worker.hpp - one image and block of channels of a depthwise convolution with channels last.
// SPDX-License-Identifier: Apache-2.0
//
// Row by row of the output: the panel (channels.hpp) of a piece of it is filled, straight from the input, then read by
// all outputs of the piece. A pooled output is the largest of four sums.
#pragma once

#include <lutra/runtime/conv/output.hpp>

namespace lutra::inline LUTRA_ABI {

template <class A, class Epilogue, class Out> class channel_worker {
 public:
  explicit channel_worker(const conv_job<A, Epilogue, Out>& job)
      : job_(job),
        slice_(job.slices.front()),
        geometry_(job.plan.geometry),
        output_(job.epilogue, job.out),
        panel_(static_cast<std::size_t>(geometry_.phase_bytes(job.plan.geometry) *
                                        job.plan.geometry.row_phases)) {
    const plane_geometry& g = job.plan.geometry;
    for (std::size_t b = 0; b < g.columns.plane.size(); ++b) {
      columns_.push_back((g.columns.plane[b] * geometry_.width + g.columns.offset[b]) *
                         geometry_.column_bytes());
    }
    if (!slice_.zero_point.empty()) {
      ones_ = channel_weights<A>::ones(geometry_, slice_.depth);
    }
    std::fill_n(padding_, size, job.pad);
    std::fill_n(minus_bias_, size, static_cast<std::int32_t>(-panel_bias(A{}) * slice_.depth));
    rows_.resize(static_cast<std::size_t>(4 * geometry_.row_groups));
  }

  // Rows `rows` of the outputs of the channels from block * vector_size<A> on, of image n.
  void run(index_t n, index_t block, index_range rows) {
    const plane_geometry& g = job_.plan.geometry;
    find_constants(block);
    const index_t side = g.row_phases, columns = side * job_.out.extent(3);
    for (index_t i = rows.begin; i < rows.end; ++i) {
      Out* const to = output_.row(n, i) + first_ * output_.channel_stride();
      for (index_t first = 0; first < columns; first += geometry_.columns) {
        const index_t count = std::min(geometry_.columns, columns - first);
        for (index_t phase = 0; phase < side; ++phase) {
          fill_panel(n, i * side + phase, first, count + g.columns.reach,
                     panel_.data() + phase * geometry_.phase_bytes(g));
        }
        finish_piece(count / side, to + first / side * output_.column_stride());
      }
    }
  }

 private:
  static constexpr index_t size = simd::vector_size<A>;
  static constexpr int together = vector_registers(A{}) >= 32 ? 4 : 2;  // outputs

  // What a kernel row meets: a row of the input, or a vector of padding over and over.
  struct input_row {
    const std::int8_t* at;
    index_t step;
  };

  // Constants of the block's channels, in the order of sums.
  void find_constants(index_t block) {
    first_ = block * size;
    count_ = std::min(size, job_.x.extent(1) - first_);
    weights_ = slice_.channels.block(block);
    const auto order = channel_order<A>();
    for (std::size_t lane = 0; lane < order.size(); ++lane) {
      const bool there = order[lane] < count_;
      const auto row = static_cast<std::size_t>(first_ + order[lane]);
      start_[lane] = there ? slice_.start[row] : 0;
      if (!slice_.zero_point.empty()) minus_zero_point_[lane] = there ? -slice_.zero_point[row] : 0;
      if constexpr (row_epilogue<Epilogue>) {
        multiplier_[lane] = there ? job_.epilogue.multiplier[row] : 0.0F;
        rest_[lane] = there ? rest_of(job_.epilogue.rest, first_ + order[lane]) : 0.0F;
      }
    }
  }

  // Columns of the input of which whole vectors can be read: what lies behind the channels is the next pixel.
  index_t whole_columns() const noexcept {
    const index_t channels = job_.x.extent(1), columns = job_.x.extent(3);
    if (first_ + size <= channels) return columns;
    const index_t behind = first_ + size - channels;  // bytes
    if (columns < 2 || job_.x.stride(3) != channels) return 0;
    return std::max<index_t>(columns - (behind + channels - 1) / channels, 0);
  }
  // `width` columns of each plane from output (i, first) on, counted without pooling.
  void fill_panel(index_t n, index_t i, index_t first, index_t width, std::int8_t* out) {
    const plane_geometry& g = job_.plan.geometry;
    const tensor_view<const std::int8_t>& x = job_.x;
    const window2d& w = g.window;
    for (std::size_t k = 0; k < rows_.size(); ++k) {
      const auto tap = static_cast<index_t>(k);
      const index_t row = i * w.stride[0] + tap * w.dilation[0] - w.padding[0];
      const bool there =  // without columns x may have no address
          tap < geometry_.kernel_rows && row >= 0 && row < x.extent(2) && x.extent(3) > 0;
      rows_[k] = there ? input_row{x.data() + n * x.stride(0) + first_ + row * x.stride(2),
                                   x.extent(3) > 1 ? x.stride(3) : 0}
                       : input_row{padding_, 0};
    }
    for (std::size_t p = 0; p < g.columns.remainders.size(); ++p) {
      const index_t left = first * w.stride[1] + g.columns.remainders[p] - w.padding[1];
      const index_range there = inside(left, w.stride[1], x.extent(3), width);
      const index_range whole = inside(left, w.stride[1], whole_columns(), width);
      std::int8_t* to = out + static_cast<index_t>(p) * geometry_.width * geometry_.column_bytes();
      const auto fill = [&](index_t begin, index_t end, auto&& load) {
        for (index_t j = begin; j < end; ++j) {
          const index_t column = left + j * w.stride[1];
          for (std::size_t k = 0; k < rows_.size(); k += 4) {
            const auto vector = [&](std::size_t r) __attribute__((always_inline)) {
              const auto v = load(rows_[k + r], column);
              return job_.flip ? flip_sign(v, A{}) : v;
            };
            store_panel(to, vector(0), vector(1), vector(2), vector(3), A{});
            to += channel_geometry<A>::group_bytes;
          }
        }
      };
      const auto padding = [&](const input_row&, index_t) { return load_bytes(padding_, A{}); };
      fill(0, there.begin, padding);
      fill(
          there.begin, std::max(whole.end, there.begin),
          [](const input_row& r, index_t column)
              __attribute__((always_inline)) { return load_bytes(r.at + column * r.step, A{}); });
      fill(std::max(whole.end, there.begin), there.end, [&](const input_row& r, index_t column) {
        if (r.at == padding_) return load_bytes(padding_, A{});
        std::int8_t some[static_cast<std::size_t>(size)] = {};
        copy_run(some, r.at + column * r.step,
                 static_cast<std::size_t>(std::clamp<index_t>(count_, 0, size)));
        return load_bytes(some, A{});
      });
      fill(there.end, width, padding);
    }
  }

  // `count` neighbouring outputs, the first at `to`.
  void finish_piece(index_t count, Out* to) {
    const index_t step = output_.column_stride(), bytes = geometry_.column_bytes();
    const std::int8_t* x = panel_.data();
    if constexpr (std::is_same_v<Epilogue, requantize>) {
      if (job_.plan.geometry.row_phases == 2) {
        for (index_t k = 0; k < count; ++k) finish_pooled(x + 2 * k * bytes, to + k * step);
        return;
      }
    }
    index_t k = 0;
    for (; k + together <= count; k += together) finish<together>(x + k * bytes, to + k * step);
    for (; k < count; ++k) finish<1>(x + k * bytes, to + k * step);
  }
  template <int Positions> [[gnu::noinline]] void finish(const std::int8_t* x, Out* to) {
    simd::ints_of<A> sum[static_cast<std::size_t>(Positions)][4];
    multiply<Positions>(x, sum);
    simd::unroll<Positions>([&](auto p) __attribute__((always_inline)) {
      store(to + p * output_.column_stride(), sum[p]);
    });
  }
  // Requantization keeps the order of sums, so the largest sum gives the largest output.
  [[gnu::noinline]] void finish_pooled(const std::int8_t* x, Out* to) {
    simd::ints_of<A> sum[2][4], other[2][4];
    multiply<2>(x, sum);
    multiply<2>(x + geometry_.phase_bytes(job_.plan.geometry), other);
    simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
      sum[0][v] = max_ints(max_ints(sum[0][v], sum[1][v], A{}),
                           max_ints(other[0][v], other[1][v], A{}), A{});
    });
    store(to, sum[0]);
  }
  template <int Positions>
  [[gnu::always_inline]] void multiply(
      const std::int8_t* x, simd::ints_of<A> (&sum)[static_cast<std::size_t>(Positions)][4]) const {
    const index_t bytes = geometry_.column_bytes();
    multiply_channels<A, Positions>(x, columns_, bytes, weights_, start_, sum);
    if (slice_.zero_point.empty()) return;
    simd::ints_of<A> activations[static_cast<std::size_t>(Positions)][4];
    multiply_channels<A, Positions>(x, columns_, bytes, ones_.block(0), minus_bias_, activations);
    simd::unroll<Positions>([&](auto p) __attribute__((always_inline)) {
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        const auto factor = load_ints(minus_zero_point_ + v * simd::int_lanes<A>, A{});
        sum[p][v] = add(sum[p][v], simd::multiply(factor, activations[p][v], A{}), A{});
      });
    });
  }

  // The epilogue of one position.
  [[gnu::always_inline]] void store(Out* to, const simd::ints_of<A> (&sum)[4]) {
    const bool side_by_side = output_.channel_stride() == 1;
    Out* const finished = side_by_side && count_ == size ? to : finished_;
    if constexpr (std::is_same_v<Epilogue, keep_sums>) {
      store_columns(finished, sum, A{});
    } else if constexpr (slice_epilogue<Epilogue>) {
      alignas(64) std::int32_t raw[static_cast<std::size_t>(size)];
      store_columns(raw, sum, A{});
      job_.epilogue.template write_rows<A>(first_, raw, slice_.matrix.row_scales() + first_, count_,
                                           finished);
    } else {
      simd::floats_of<A> y[4];
      simd::unroll<4>([&](auto v) __attribute__((always_inline)) {
        y[v] = scaled(sum[v], load_floats(rest_ + v * simd::int_lanes<A>, A{}),
                      load_floats(multiplier_ + v * simd::int_lanes<A>, A{}), A{});
      });
      if constexpr (std::is_same_v<Out, float>) {
        store_columns(finished, y, A{});
      } else {
        store_bytes(finished, output_.template rounded<1>(y), A{});
      }
    }
    if (finished == to) return;
    if (side_by_side) {
      copy_run(to, finished_, static_cast<std::size_t>(count_) * sizeof(Out));
    } else {
      for (index_t c = 0; c < count_; ++c) to[c * output_.channel_stride()] = finished_[c];
    }
  }

  const conv_job<A, Epilogue, Out>& job_;
  const conv_slice<A>& slice_;  // the only one
  channel_geometry<A> geometry_;
  conv_output<A, Epilogue, Out> output_;
  std::vector<index_t> columns_;  // where each kernel column begins in the panel
  std::vector<std::int8_t> panel_;
  std::vector<input_row> rows_;           // of the kernel, in groups of four
  channel_weights<A> ones_;               // if there are zero points
  index_t first_ = 0, count_ = 0;         // channels of the block
  const std::int8_t* weights_ = nullptr;  // its weights
  alignas(64) std::int32_t start_[static_cast<std::size_t>(size)] = {};
  alignas(64) std::int32_t minus_bias_[static_cast<std::size_t>(size)];  // of sums of activations
  alignas(64) std::int32_t minus_zero_point_[static_cast<std::size_t>(size)] = {};
  alignas(64) float rest_[static_cast<std::size_t>(size)] = {};  // of the biases
  alignas(64) float multiplier_[static_cast<std::size_t>(size)] = {};
  std::int8_t padding_[static_cast<std::size_t>(size)];
  alignas(64) Out finished_[static_cast<std::size_t>(size)];
};

}  // namespace lutra::inline LUTRA_ABI
