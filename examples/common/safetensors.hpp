// lutra examples: safetensors.hpp - reads and writes safetensors files.
// SPDX-License-Identifier: Apache-2.0
//
// Reading opens the file, checks its whole header (safetensors_header.hpp) and then reads one
// tensor at a time. Writing is deterministic (tensors by falling element size, then by name;
// metadata by key; data aligned to 8 bytes) and atomic (atomic_file.hpp).
// One reader belongs to one thread.
#pragma once

#include <array>
#include <bit>
#include <common/atomic_file.hpp>
#include <common/safetensors_header.hpp>
#include <cstring>
#include <fstream>
#include <lutra/number/bfloat16.hpp>
#include <lutra/number/half.hpp>
#include <lutra/tensor/tensor.hpp>

namespace lutra_examples {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

template <class T> constexpr std::string_view safetensors_dtype = "";
template <> inline constexpr std::string_view safetensors_dtype<float> = "F32";
template <> inline constexpr std::string_view safetensors_dtype<double> = "F64";
template <> inline constexpr std::string_view safetensors_dtype<std::int8_t> = "I8";
template <> inline constexpr std::string_view safetensors_dtype<std::uint8_t> = "U8";
template <> inline constexpr std::string_view safetensors_dtype<std::int32_t> = "I32";
template <> inline constexpr std::string_view safetensors_dtype<std::int64_t> = "I64";
template <> inline constexpr std::string_view safetensors_dtype<lutra::half> = "F16";
template <> inline constexpr std::string_view safetensors_dtype<lutra::bfloat16> = "BF16";

class safetensors_reader {
 public:
  explicit safetensors_reader(const std::string& path)
      : path_(path), file_(path, std::ios::binary) {
    using lutra::errc;
    if (!file_) lutra::raise(errc::io_error, "cannot open the file", path);
    file_.seekg(0, std::ios::end);
    const auto end = file_.tellg();
    if (!file_ || end < 0) lutra::raise(errc::io_error, "cannot read the file", path);
    const auto file_bytes = static_cast<std::uint64_t>(end);
    if (file_bytes < 8) {
      lutra::raise(errc::corrupt_data, "too short for a safetensors file", path,
                   lutra::text_of(file_bytes) + " bytes", ">= 8");
    }
    std::uint64_t length = 0;
    read_at(0, &length, sizeof length);
    const std::uint64_t most = std::min(max_safetensors_header, file_bytes - 8);
    if (length > most) {
      lutra::raise(errc::corrupt_data, "header length beyond the file or the 100 MB limit", path,
                   lutra::text_of(length), "<= " + lutra::text_of(most));
    }
    std::string json(static_cast<std::size_t>(length), '\0');
    read_at(8, json.data(), json.size());
    data_begin_ = 8 + length;
    header_ = parse_safetensors_header(json, file_bytes - data_begin_, path);
  }

  const std::string& path() const { return path_; }
  const std::vector<tensor_entry>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const tensor_entry* find(std::string_view name) const {
    const auto it = std::ranges::find(header_.tensors, name, &tensor_entry::name);
    return it == header_.tensors.end() ? nullptr : &*it;
  }
  const tensor_entry& at(std::string_view name) const {
    if (const tensor_entry* t = find(name)) return *t;
    lutra::raise(lutra::errc::invalid_argument, "no such tensor", path_, lutra::text_of(name));
  }

  std::vector<std::uint8_t> read_bytes(const tensor_entry& t) {
    return read_elements<std::uint8_t>(t);
  }
  // A tensor whose stored type is exactly T.
  template <class T> lutra::tensor<T> read(std::string_view name) {
    static_assert(!safetensors_dtype<T>.empty());
    const tensor_entry& t = at(name);
    if (t.dtype != safetensors_dtype<T>) {
      lutra::raise(lutra::errc::corrupt_data, "tensor has another dtype",
                   path_ + ", tensor " + lutra::text_of(name), t.dtype,
                   std::string(safetensors_dtype<T>));
    }
    return {t.extents, read_elements<T>(t)};
  }
  // F32, F16 or BF16 as float; every value converts exactly.
  lutra::tensor<float> read_float(std::string_view name) {
    const tensor_entry& t = at(name);
    if (t.dtype == "F16") return lutra::tensor<float>(t.extents, widened<lutra::half>(t));
    if (t.dtype == "BF16") return lutra::tensor<float>(t.extents, widened<lutra::bfloat16>(t));
    return read<float>(name);
  }

 private:
  template <class T> std::vector<T> read_elements(const tensor_entry& t) {
    std::vector<T> elements(static_cast<std::size_t>(t.bytes()) / sizeof(T));
    read_at(data_begin_ + t.begin, elements.data(), elements.size() * sizeof(T));
    return elements;
  }
  template <class T> std::vector<float> widened(const tensor_entry& t) {
    const std::vector<T> narrow = read_elements<T>(t);
    std::vector<float> wide;
    wide.reserve(narrow.size());
    for (const T x : narrow) wide.push_back(static_cast<float>(x));
    return wide;
  }
  void read_at(std::uint64_t offset, void* out, std::size_t bytes) {
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(static_cast<char*>(out), static_cast<std::streamsize>(bytes));
    if (!file_) lutra::raise(lutra::errc::io_error, "cannot read the file", path_);
  }

  std::string path_;
  std::ifstream file_;
  std::uint64_t data_begin_ = 0;
  safetensors_header header_;
};

// One tensor to be written; the bytes belong to the caller.
struct tensor_bytes {
  std::string name;
  std::string dtype;
  lutra::shape extents;
  byte_span bytes;
};

template <class T>
tensor_bytes tensor_of(std::string name, const lutra::shape& extents,
                       const std::vector<T>& elements) {
  static_assert(!safetensors_dtype<T>.empty());
  return {std::move(name), std::string(safetensors_dtype<T>), extents,
          byte_span(reinterpret_cast<const std::uint8_t*>(elements.data()),
                    elements.size() * sizeof(T))};
}

// `text` as a JSON string.
inline std::string json_text(const std::string& text, const std::string& where) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    lutra::raise(lutra::errc::invalid_argument, "text is not UTF-8", where);
  }
}

// The header's JSON for tensors in file order; raises for what the reader would refuse.
inline std::string safetensors_header_text(std::span<const tensor_bytes> tensors,
                                           const std::map<std::string, std::string>& metadata,
                                           const std::string& where) {
  using lutra::errc;
  std::string json;
  const auto separate = [&] { json += json.empty() ? "{" : ","; };
  if (!metadata.empty()) {
    separate();
    json += "\"__metadata__\":{";
    for (const auto& [key, text] : metadata) {
      if (json.back() != '{') json += ',';
      json += json_text(key, where) + ":" + json_text(text, where);
    }
    json += "}";
  }
  std::set<std::string_view> names;
  std::uint64_t begin = 0;
  for (const tensor_bytes& t : tensors) {
    const std::string at = where + ", tensor " + lutra::text_of(t.name);
    if (t.name == "__metadata__" || !names.insert(t.name).second) {
      lutra::raise(errc::invalid_argument, "duplicate or reserved tensor name", at);
    }
    const auto size = static_cast<std::uint64_t>(t.extents.size());
    if (element_bytes(t.dtype) == 0 ||
        t.bytes.size() != size * static_cast<std::uint64_t>(element_bytes(t.dtype))) {
      lutra::raise(errc::shape_mismatch, "byte count does not follow from dtype and shape", at,
                   lutra::text_of(t.bytes.size()) + " bytes of " + t.dtype,
                   lutra::text_of(t.extents));
    }
    separate();
    json += json_text(t.name, at) + ":{\"dtype\":\"" + t.dtype + "\",\"shape\":[";
    for (int i = 0; i < t.extents.rank(); ++i) {
      json += (i ? "," : "") + lutra::text_of(t.extents[i]);
    }
    json += "],\"data_offsets\":[" + lutra::text_of(begin) + "," +
            lutra::text_of(begin + t.bytes.size()) + "]}";
    begin += t.bytes.size();
  }
  separate();
  if (json.back() == ',') json.pop_back();
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > max_safetensors_header) {
    lutra::raise(errc::size_overflow, "safetensors header is too long", where,
                 lutra::text_of(json.size()), "<= " + lutra::text_of(max_safetensors_header));
  }
  return json;
}

// Writes the file under a temporary name and renames it when complete.
inline void write_safetensors(const std::string& path, std::vector<tensor_bytes> tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
  std::ranges::sort(tensors, {}, [](const tensor_bytes& t) {
    return std::pair(-element_bytes(t.dtype), std::string_view(t.name));
  });
  const std::string json = safetensors_header_text(tensors, metadata, path);
  const std::uint64_t length = json.size();
  const auto length_bytes = std::bit_cast<std::array<std::uint8_t, 8>>(length);
  std::vector<byte_span> parts{length_bytes, bytes_of(json)};
  for (const tensor_bytes& t : tensors) parts.push_back(t.bytes);
  write_file(path, parts);
}

}  // namespace lutra_examples
