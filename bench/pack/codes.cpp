// Packing, unpacking and decoding of codes, one thread. Packing is set against a copy of the unpacked codes,
// decoding against filling its output, both in the same run. Sizes are those of the unpacked codes and of the
// decoded output: in the second-level cache, in the last-level cache, beyond it.
#include <lutra/core/random.hpp>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/pack/decode.hpp>
#include <roof.hpp>

namespace {

using namespace lutra;
using bench::aligned;
using bench::size_class;

constexpr size_class in_l2{"128KiB", index_t{1} << 17};
constexpr size_class half_of_l3{"16MiB", index_t{1} << 24};
constexpr size_class memory{"256MiB",
                            index_t{1} << 28};  // also where a cache is that large in name only

std::span<std::uint8_t> all(aligned<std::uint8_t>& x) {
  return {x.data(), static_cast<std::size_t>(x.size())};
}
std::span<const std::uint8_t> all(const aligned<std::uint8_t>& x) {
  return {x.data(), static_cast<std::size_t>(x.size())};
}

aligned<std::uint8_t> random_codes(index_t n, int bits) {
  random_stream random(1);
  aligned<std::uint8_t> codes(n);
  for (index_t i = 0; i < n; ++i) codes[i] = static_cast<std::uint8_t>(random.below(1U << bits));
  return codes;
}
aligned<std::uint8_t> packed_plainly(const aligned<std::uint8_t>& codes, int bits) {
  aligned<std::uint8_t> stream(packed_bytes(codes.size(), bits));
  pack_plainly(codes.data(), codes.size(), bits, stream.data());
  return stream;
}
bool same(const aligned<std::uint8_t>& a, const aligned<std::uint8_t>& b) {
  return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size())) == 0;
}
void count(benchmark::State& state, index_t elements, index_t bytes) {
  state.SetItemsProcessed(state.iterations() * elements);
  state.SetBytesProcessed(state.iterations() * bytes);
}

void pack(benchmark::State& state, index_t n, int bits) {
  bench::in_turn<std::uint8_t> inputs(random_codes(n, bits));
  auto expected = packed_plainly(inputs.first(), bits);
  aligned<std::uint8_t> stream(expected.size(), 1);
  pack_bits(all(inputs.first()), bits, all(stream));
  if (!same(stream, expected)) return state.SkipWithError("wrong answer");
  for (auto _ : state) {
    pack_bits(all(inputs.next()), bits, all(stream));
    benchmark::ClobberMemory();
  }
  count(state, n, n + stream.size());
}
void unpack(benchmark::State& state, index_t n, int bits) {
  auto expected = random_codes(n, bits);
  bench::in_turn<std::uint8_t> streams(packed_plainly(expected, bits));
  aligned<std::uint8_t> codes(n, 1);
  unpack_bits(all(streams.first()), bits, all(codes));
  if (!same(codes, expected)) return state.SkipWithError("wrong answer");
  for (auto _ : state) {
    unpack_bits(all(streams.next()), bits, all(codes));
    benchmark::ClobberMemory();
  }
  count(state, n, n + streams.first().size());
}
void copy_unpacked(benchmark::State& state, index_t n) {
  bench::in_turn<std::uint8_t> inputs(aligned<std::uint8_t>(n, 1));
  aligned<std::uint8_t> out(n, 2);
  for (auto _ : state) {
    std::memcpy(out.data(), inputs.next().data(), static_cast<std::size_t>(n));
    benchmark::ClobberMemory();
  }
  count(state, n, 2 * n);
}
// What one writes first.
void plain_loop(benchmark::State& state, index_t n, int bits, bool packing) {
  auto codes = random_codes(n, bits);
  auto stream = packed_plainly(codes, bits);
  for (auto _ : state) {
    if (packing) {
      pack_plainly(codes.data(), n, bits, stream.data());
    } else {
      unpack_plainly(stream.data(), n, bits, codes.data());
    }
    benchmark::ClobberMemory();
  }
  count(state, n, n + stream.size());
}

template <class T> void decode_to(benchmark::State& state, index_t n, int bits) {
  auto codes = random_codes(n, bits);
  auto stream = packed_plainly(codes, bits);
  std::vector<T> table(std::size_t{1} << bits);  // no zeros: filling with them has a fast path
  random_stream random(2);
  for (T& x : table) {
    if constexpr (sizeof(T) == 1) {
      x = static_cast<T>(random.next() | 1);
    } else {
      x = T(static_cast<float>(random.uniform()) + 0.5F);
    }
  }
  aligned<T> out(n, T{});
  const auto bytes = n * static_cast<index_t>(sizeof(T));
  const std::span<T> elements(out.data(), static_cast<std::size_t>(n));
  const auto run = [&] {
    decode<simd::native, T>(all(stream), bits, 0, table, elements, simd::stores_for(bytes));
  };
  run();
  for (index_t i = 0; i < n; ++i) {
    if (std::memcmp(&out[i], &table[codes[i]], sizeof(T)) != 0) {
      return state.SkipWithError("wrong answer");
    }
  }
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  count(state, n, bytes + stream.size());
  bench::count_written(state, bytes);
}

template <class F> void add(const std::string& name, const std::string& label, F f) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    if (!label.empty()) state.SetLabel(label);
    f(state);
  });
}

void add_packing(const size_class& size, bool named) {
  const index_t n = size.bytes;
  const std::string end = named ? std::string("/") + size.name : "";
  const std::string copied = std::string("peer/memcpy_unpacked/") + size.name;
  add(copied, "", [=](benchmark::State& s) { copy_unpacked(s, n); });
  for (int bits = 1; bits <= 7; ++bits) {
    if (named && bits != 3 && bits != 4) continue;
    const std::string name = "pack/bits:" + std::to_string(bits) + end;
    const std::string roofs = std::string("vs roof/memcpy/") + size.name + ' ' + copied;
    add(name, roofs + (bits == 4 ? " peer/numpy/" + name : ""),
        [=](benchmark::State& s) { pack(s, n, bits); });
    add("un" + name, roofs + (bits == 4 ? " peer/numpy/un" + name : ""),
        [=](benchmark::State& s) { unpack(s, n, bits); });
    if (bits != 3 && bits != 4) continue;
    add("peer/plain_loop/" + name, "", [=](benchmark::State& s) { plain_loop(s, n, bits, true); });
    add("peer/plain_loop/un" + name, "",
        [=](benchmark::State& s) { plain_loop(s, n, bits, false); });
  }
}

template <class T>
void add_decoding(const std::string& type, const size_class& size, bool all_widths = false) {
  const index_t n = size.bytes / static_cast<index_t>(sizeof(T));
  const std::string shape = n == index_t{1} << 24 ? "4096x4096" : size.name;
  for (int bits = 1; bits <= 8; ++bits) {
    if (!all_widths && bits != 4 && bits != 8) continue;
    const std::string name = "decode/" + type + '/' + shape + "/bits:" + std::to_string(bits);
    const bool with_peer = type == "f32" && shape == "4096x4096" && (bits == 4 || bits == 8);
    add(name,
        std::string("vs roof/memset_nonzero/") + size.name +
            (with_peer ? " peer/numpy/" + name + " peer/torch/" + name : ""),
        [=](benchmark::State& s) { decode_to<T>(s, n, bits); });
  }
}

[[maybe_unused]] const bool registered = [] {
  bench::add_roofs({in_l2, bench::small, bench::medium, half_of_l3, bench::large});
  add_packing(in_l2, false);
  add_packing(bench::large, true);
  for (const size_class& size : {bench::small, bench::medium, bench::large}) {
    add_decoding<float>("f32", size, size.bytes != bench::medium.bytes);
    add_decoding<half>("f16", size);
    add_decoding<bfloat16>("bf16", size);
    add_decoding<std::int8_t>("i8", size);
  }
  add_decoding<std::int8_t>("i8", half_of_l3);
  benchmark::RegisterBenchmark("roof/memset_nonzero/256MiB",
                               [](benchmark::State& state) { bench::fill(state, memory.bytes); });
  add_decoding<float>("f32", memory);
  return true;
}();

}  // namespace
