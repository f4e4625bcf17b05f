// lutra examples: safetensors_header.hpp - the JSON header of a safetensors file, fully checked.
// SPDX-License-Identifier: Apache-2.0
//
// File: u64 little-endian header length N <= 100 MB; N bytes of JSON
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
//    "__metadata__": {"key": "text"}}
// then the data, offsets relative to its start. A header is accepted only if no name or key occurs
// twice, every tensor's byte count follows from its type and shape, and the tensors tile the data
// from first to last byte without a hole or an overlap. The JSON is read event by event (nlohmann
// SAX): nothing is recursive, and nothing is built for JSON that does not have this form.
#pragma once

#include <algorithm>
#include <cstdint>
#include <lutra/tensor/shape.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lutra_examples {

inline constexpr std::uint64_t max_safetensors_header = 100'000'000;

// Bytes per element of a safetensors dtype; 0 for an unknown name.
constexpr int element_bytes(std::string_view dtype) {
  struct known {
    std::string_view name;
    int bytes;
  };
  constexpr known table[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                             {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
                             {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8}};
  for (const known& k : table) {
    if (k.name == dtype) return k.bytes;
  }
  return 0;
}

struct tensor_entry {
  std::string name;
  std::string dtype;
  lutra::shape extents{0};
  std::uint64_t begin = 0;  // offsets into the data
  std::uint64_t end = 0;
  std::uint64_t bytes() const { return end - begin; }
};

struct safetensors_header {
  std::vector<tensor_entry> tensors;  // in the order of their offsets
  std::map<std::string, std::string> metadata;
};

// Receives the JSON events; anything that is not the form above stops the parser with a reason.
class safetensors_events : public nlohmann::json_sax<nlohmann::json> {
 public:
  struct raw_tensor {
    std::string name;
    std::string dtype;
    std::vector<std::uint64_t> shape;
    std::vector<std::uint64_t> offsets;
    std::set<std::string> fields;
  };
  std::vector<raw_tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::string problem;  // why parsing stopped
  std::string value;    // what was seen there

  bool start_object(std::size_t) override {
    if (level_ == level::file) return enter(level::names);
    if (level_ != level::names) return stop("unexpected object", key_);
    if (key_ == "__metadata__") return enter(level::metadata);
    tensors.emplace_back().name = key_;
    return enter(level::tensor);
  }
  bool end_object() override {
    if (level_ == level::tensor && tensors.back().fields.size() != 3) {
      return stop("a tensor needs dtype, shape and data_offsets", tensors.back().name);
    }
    level_ = level_ == level::names ? level::done : level::names;
    return true;
  }
  bool key(std::string& k) override {
    key_ = k;
    if (level_ == level::names && !names_.insert(k).second) return stop("duplicate name", k);
    if (level_ == level::metadata && metadata.contains(k)) return stop("duplicate key", k);
    if (level_ == level::tensor) {
      if (k != "dtype" && k != "shape" && k != "data_offsets") return stop("unknown field", k);
      if (!tensors.back().fields.insert(k).second) return stop("duplicate field", k);
    }
    return true;
  }
  bool string(std::string& s) override {
    if (level_ == level::metadata) {
      metadata[key_] = s;
      return true;
    }
    if (level_ != level::tensor || key_ != "dtype") return stop("unexpected text", s);
    tensors.back().dtype = s;
    return true;
  }
  bool start_array(std::size_t) override {
    if (level_ != level::tensor || key_ == "dtype") return stop("unexpected array", key_);
    return enter(level::array);
  }
  bool end_array() override { return enter(level::tensor); }
  bool number_unsigned(std::uint64_t n) override {
    if (level_ != level::array) return stop("unexpected number", lutra::text_of(n));
    auto& list = key_ == "shape" ? tensors.back().shape : tensors.back().offsets;
    const std::size_t limit = key_ == "shape" ? lutra::max_rank : 2;
    if (list.size() == limit) return stop("too many numbers in " + key_, tensors.back().name);
    list.push_back(n);
    return true;
  }
  bool number_integer(std::int64_t n) override {
    return stop("negative number", lutra::text_of(n));
  }
  bool number_float(double, const std::string& text) override {
    return stop("number is not an integer in range", text);
  }
  bool null() override { return stop("unexpected null", key_); }
  bool boolean(bool) override { return stop("unexpected boolean", key_); }
  bool binary(nlohmann::json::binary_t&) override { return stop("unexpected binary", key_); }
  bool parse_error(std::size_t at, const std::string& token,
                   const nlohmann::json::exception&) override {
    return stop("not JSON at byte " + lutra::text_of(at), token.substr(0, 40));
  }

 private:
  enum class level { file, names, metadata, tensor, array, done };
  bool enter(level l) {
    level_ = l;
    return true;
  }
  bool stop(std::string why, std::string seen) {
    problem = std::move(why);
    value = std::move(seen);
    return false;
  }
  level level_ = level::file;
  std::string key_;
  std::set<std::string> names_;
};

// Type, shape and byte count of one tensor.
inline tensor_entry checked_entry(const safetensors_events::raw_tensor& raw,
                                  const std::string& where) {
  using lutra::errc;
  const std::string at = where + ", tensor " + lutra::text_of(raw.name);
  const int width = element_bytes(raw.dtype);
  if (width == 0) {
    lutra::raise(errc::unsupported, "unknown dtype", at, lutra::text_of(raw.dtype),
                 "BOOL, U8..U64, I8..I64, F16, BF16, F32, F64, F8_E4M3, F8_E5M2");
  }
  if (raw.offsets.size() != 2 || raw.offsets[0] > raw.offsets[1]) {
    lutra::raise(errc::corrupt_data, "data_offsets is not [begin, end]", at,
                 lutra::text_of(std::span<const std::uint64_t>(raw.offsets)));
  }
  std::vector<lutra::index_t> extents;
  constexpr auto largest = static_cast<std::uint64_t>(lutra::max_size / 8);
  std::uint64_t size = 1;
  bool empty = false;
  for (const std::uint64_t e : raw.shape) {
    if (e > largest || (e != 0 && size > largest / e)) {
      lutra::raise(errc::size_overflow, "element count overflows", at,
                   lutra::text_of(std::span<const std::uint64_t>(raw.shape)),
                   "a product up to 2^59");
    }
    empty = empty || e == 0;
    size *= std::max<std::uint64_t>(e, 1);
    extents.push_back(static_cast<lutra::index_t>(e));
  }
  const std::uint64_t bytes = empty ? 0 : size * static_cast<std::uint64_t>(width);
  if (raw.offsets[1] - raw.offsets[0] != bytes) {
    lutra::raise(errc::corrupt_data, "byte count does not follow from dtype and shape", at,
                 lutra::text_of(raw.offsets[1] - raw.offsets[0]), lutra::text_of(bytes));
  }
  return {raw.name, raw.dtype, lutra::shape(std::span<const lutra::index_t>(extents)),
          raw.offsets[0], raw.offsets[1]};
}

// Raises unless the sorted tensors cover [0, data_bytes) exactly once.
inline void check_tiling(const std::vector<tensor_entry>& tensors, std::uint64_t data_bytes,
                         const std::string& where) {
  std::uint64_t expected = 0;
  for (const tensor_entry& t : tensors) {
    if (t.begin != expected) {
      lutra::raise(lutra::errc::corrupt_data,
                   t.begin < expected ? "tensors overlap" : "hole between tensors",
                   where + ", tensor " + lutra::text_of(t.name),
                   "begins at " + lutra::text_of(t.begin), lutra::text_of(expected));
    }
    expected = t.end;
  }
  if (expected != data_bytes) {
    lutra::raise(lutra::errc::corrupt_data,
                 expected > data_bytes ? "data is truncated" : "bytes after the last tensor", where,
                 lutra::text_of(data_bytes) + " bytes", lutra::text_of(expected));
  }
}

// Parses and checks the JSON text of a file that has `data_bytes` bytes after its header.
inline safetensors_header parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                                   const std::string& where) {
  safetensors_events events;
  if (json.empty() || json.front() != '{') {
    lutra::raise(lutra::errc::corrupt_data, "header does not begin with '{'", where);
  }
  if (!nlohmann::json::sax_parse(json, &events)) {
    lutra::raise(lutra::errc::corrupt_data, "bad safetensors header: " + events.problem, where,
                 lutra::text_of(events.value));
  }
  safetensors_header header;
  for (const auto& raw : events.tensors) header.tensors.push_back(checked_entry(raw, where));
  std::ranges::sort(header.tensors, {},
                    [](const tensor_entry& t) { return std::pair(t.begin, t.end); });
  check_tiling(header.tensors, data_bytes, where);
  header.metadata = std::move(events.metadata);
  return header;
}

}  // namespace lutra_examples
