// lutra: scale_channels.hpp - the weight and bias of a layer whose output channels are scaled and shifted.
// SPDX-License-Identifier: Apache-2.0
//
//   weight' = float(weight * scale[channel])      bias' = float(shift[channel])
// Products in f64, rounded once. Channels are axis 0 of a convolution's or linear layer's weight, and
// (group, axis 1) of a transposed convolution's. Linear. Thread-safe.
#pragma once

#include <algorithm>
#include <lutra/core/error.hpp>
#include <lutra/core/strict_fp.hpp>
#include <lutra/number/finite.hpp>
#include <lutra/tensor/tensor.hpp>
#include <span>

LUTRA_STRICT_FP_BEGIN

namespace lutra::inline LUTRA_ABI {

// The output channel of an element of a weight, by its row-major position. The shape has been checked.
class output_channel {
 public:
  output_channel(const shape& weight, bool transposed, index_t channels)
      : inner_(weight.product(transposed ? 2 : 1, weight.rank())), transposed_(transposed) {
    row_ = transposed ? weight[1] : weight[0];
    if (transposed && row_ > 0 && channels > 0) {
      group_ = std::max<index_t>(weight[0] * row_ / channels, 1);
    }
  }
  index_t operator()(index_t element) const {
    const index_t unit =
        element / inner_;  // row of a convolution; (input, output) of a transposed one
    return transposed_ ? unit / row_ / group_ * row_ + unit % row_ : unit;
  }

 private:
  index_t inner_, row_;
  index_t group_ = 1;  // inputs per group of a transposed convolution
  bool transposed_;
};

struct scaled_channels {
  tensor<float> weight, bias;
  index_t broken = -1;  // a channel with a number that is not finite; -1: none
};

// One scale and one shift per output channel: axis 0, or of a transposed weight, of rank 2 at least, a multiple of
// axis 1 (its groups, which divide axis 0). Else raises shape_mismatch.
inline scaled_channels scale_channels(const tensor_view<const float>& weight, bool transposed,
                                      std::span<const double> scale,
                                      std::span<const double> shift) {
  const shape extents = weight.extents();
  const auto channels = static_cast<index_t>(scale.size());
  bool fits = shift.size() == scale.size() && extents.rank() >= (transposed ? 2 : 1);
  if (fits && transposed) {
    const index_t groups = extents[1] > 0 ? channels / extents[1] : 0;
    fits = channels == groups * extents[1] &&
           (groups > 0 ? extents[0] % groups == 0 : weight.size() == 0);
  } else if (fits) {
    fits = channels == extents[0];
  }
  if (!fits) {
    raise(errc::shape_mismatch, "not one scale and one shift per output channel", "scale_channels",
          text_of(channels) + " scales, " + text_of(shift.size()) + " shifts",
          "the output channels of " + text_of(extents));
  }
  const output_channel channel_of(extents, transposed, channels);
  scaled_channels made{tensor<float>(extents), tensor<float>({channels})};
  const auto rounded = [&](double x, index_t channel) {
    const auto y = static_cast<float>(x);
    if (!is_finite(y)) made.broken = channel;
    return y;
  };
  index_t i = 0;
  for_each_element(weight, [&](const float& w) {
    const index_t channel = channel_of(i);
    made.weight[i++] = rounded(static_cast<double>(w) * scale[to_size(channel)], channel);
  });
  for (index_t c = 0; c < channels; ++c) {
    made.bias[c] = rounded(shift[to_size(c)], c);
    rounded(scale[to_size(c)], c);  // of a channel without weights, too
  }
  return made;
}

}  // namespace lutra::inline LUTRA_ABI

LUTRA_STRICT_FP_END
