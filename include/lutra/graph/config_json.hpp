// lutra: config_json.hpp - configs as JSON documents in the reference's spelling.
// SPDX-License-Identifier: Apache-2.0
//
//   {"quantization_config": {"global_config": {"op_state_spec": null,
//      "op_input_spec": {"*": {"dtype": "int8", "qscheme": "symmetric"}}, ...}}}
//   {"kmeans_palettization_config": {"global_config": {"op_state_spec": {"weight": {"n_bits": 4}}}}}
// Beside the config a document may hold one free area ("quantization_spec", "palettization_spec"), which is
// ignored. Reading then writing then reading gives the same config. Needs nlohmann-json; not in the
// umbrella lutra.hpp. Every key is either used, named in a note (`log`) or an error.
#pragma once

#include <lutra/graph/check_config.hpp>
#include <lutra/graph/json/reader.hpp>
#include <lutra/graph/json/writer.hpp>

namespace lutra::inline LUTRA_ABI {

template <class Config>
Config read_config_document(std::string_view text, const char* root, const char* free_area,
                            const log_sink& log) {
  const json_value document = parse_json(text, root);
  if (!document.is_object() || !document.contains(root)) {
    raise(errc::invalid_argument, "the document holds no config", root, document.type_name(),
          "an object with the key '" + std::string(root) + "'");
  }
  const std::string_view keys[] = {root, free_area};
  for (const auto& item : document.items()) {
    if (item.key() == root || item.key() == free_area) continue;
    raise(errc::invalid_argument, "unknown key", "document", text_of(std::string_view(item.key())),
          std::string(root) + ", " + free_area + did_you_mean(item.key(), keys));
  }
  if (!document[root].is_object()) {
    raise(errc::invalid_argument, "wrong type", root, document[root].type_name(), "an object");
  }
  Config config;
  json_reader::root(root, log).read(document[root], config);
  check(config);
  return config;
}

// Raise invalid_argument or unsupported, naming the path of the key.
inline quantizer_config read_quantizer_config(std::string_view json, const log_sink& log = {}) {
  return read_config_document<quantizer_config>(json, "quantization_config", "quantization_spec",
                                                log);
}
inline palettizer_config read_palettizer_config(std::string_view json, const log_sink& log = {}) {
  return read_config_document<palettizer_config>(json, "kmeans_palettization_config",
                                                 "palettization_spec", log);
}

// Bytes of names that are no UTF-8 become U+FFFD.
inline std::string write_config(const quantizer_config& config, int indent = 2) {
  json_value document = json_value::object();
  document["quantization_config"] = json_writer::write(config);
  return document.dump(indent, ' ', false, json_value::error_handler_t::replace);
}
inline std::string write_config(const palettizer_config& config, int indent = 2) {
  json_value document = json_value::object();
  document["kmeans_palettization_config"] = json_writer::write(config);
  return document.dump(indent, ' ', false, json_value::error_handler_t::replace);
}

}  // namespace lutra::inline LUTRA_ABI
