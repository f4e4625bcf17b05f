// What check.py disassembles: the inner loop of the integer kernels (runtime/gemm/multiply.hpp) at the level of the
// compiler's flags, in the widths that runtime/gemm/panel.hpp takes; and that of the convolution (runtime/conv/worker.hpp).
// Where there are tiles, their loops alone (runtime/gemm/tiles.hpp, runtime/conv/tiles.hpp).
#include <lutra/runtime/conv/worker.hpp>
#include <lutra/runtime/gemm/decoded.hpp>
#include <lutra/runtime/gemm/multiply.hpp>
#include <lutra/runtime/gemm/tiles.hpp>

namespace {

using namespace lutra;
using A = simd::native;

// A level without look-ups has decoded weights only, one without long ones no codes of 6 bits.
template <int Bits, class Tables = simd::one_table>
using packed = std::conditional_t<has_byte_lookup(A{}) && (Bits < 6 || has_long_lookup(A{})),
                                  packed_codes<Bits, Tables>, decoded_weights>;

#if LUTRA_AMX_INT8
using kernel = void (*)(const tile_operands&, const columns_done&);

template <class Codes>
constexpr kernel list[] = {&multiply_tiles<A, Codes, 1, 1>, &multiply_tiles<A, Codes, 2, 1>,
                           &multiply_tiles<A, Codes, 4, 1>, &multiply_tiles<A, Codes, 1, 2>,
                           &multiply_tiles<A, Codes, 2, 2>};
template <class Codes> constexpr const kernel* lists[] = {list<Codes>};
#else
using kernel = void (*)(const multiply_operands&);

template <class Codes, class Weight> struct widths {
  static constexpr bool many = vector_registers(A{}) >= 32;
  static constexpr bool delay = lookups_delay_dots(A{});
  static constexpr bool decoded = std::is_same_v<Codes, decoded_weights>;
  // Strips and columns of the widest, and of those before; where there are none, what is here anyway.
  static constexpr int first_wide[2] = {!delay ? 1 : decoded ? 4 : 2, delay&& decoded ? 6 : 8};
  static constexpr int wide[2] = {
      delay && !decoded && Codes::layout.vectors == 1 ? 2 : first_wide[0],
      delay && !decoded && Codes::layout.vectors == 1 ? 12 : first_wide[1]};
  static constexpr kernel list[] = {
      &multiply_strips<A, Codes, Weight, 4, 1>,
      &multiply_strips<A, Codes, Weight, 4, 2>,
      &multiply_strips<A, Codes, Weight, 4, many ? 3 : 2>,
      &multiply_strips<A, Codes, Weight, 4, many ? 4 : 2>,
      &multiply_strips<A, Codes, Weight, 1, 8>,
      &multiply_strips<A, Codes, Weight, first_wide[0], first_wide[1]>,
      &multiply_strips<A, Codes, Weight, wide[0], wide[1]>};
};
// Codes whose weights are kept, and products with those; where nothing is decoded ahead, what is here anyway.
template <class Codes, class Weight> struct parts {
  static constexpr bool ahead = lookups_delay_dots(A{}) && !std::is_same_v<Codes, decoded_weights>;
  template <class Kept, int Strips, int Columns>
  static constexpr kernel of = &multiply_strips<A, std::conditional_t<ahead, Kept, Codes>, Weight,
                                                ahead ? Strips : 4, ahead ? Columns : 1>;
  static constexpr kernel list[] = {of<kept_codes<Codes>, 2, half_columns<Codes>>,
                                    of<decoded_part, 4, 3>, of<decoded_part, 4, 4>,
                                    of<decoded_part, 4, 6>};
};

template <class Codes>
constexpr const kernel* lists[] = {
    widths<Codes, simd::any_weight>::list, parts<Codes, simd::any_weight>::list,
    widths<Codes, std::conditional_t<has_small_weight_dot(A{}), simd::small_weight,
                                     simd::any_weight>>::list};
#endif

}  // namespace

// Channels at once: what the worker takes, and the rest.
#if LUTRA_AMX_INT8
inline constexpr int some = 2 * tile_rows, rest = tile_rows;
#else
inline constexpr int some = vector_registers(A{}) >= 32 ? 4 : 2, rest = 1;
#endif
using worker = lutra::conv_worker<A, requantize, std::int8_t>;
template void worker::run_channels<some, 1>(index_t, index_t, std::int8_t*, index_t);
template void worker::run_channels<rest, 1>(index_t, index_t, std::int8_t*, index_t);

// Their addresses, so that they are compiled, each as a function.
extern const kernel* const* const inner_loops[];
const kernel* const* const inner_loops[] = {lists<packed<2>>, lists<packed<3>>,
                                            lists<packed<4>>, lists<packed<4, simd::line_tables>>,
                                            lists<packed<6>>, lists<decoded_weights>};
