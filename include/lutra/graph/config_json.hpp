// lutra: config_json.hpp - configs as JSON documents in the reference's spelling.
// SPDX-License-Identifier: Apache-2.0
//
//   {"quantization_config": {"global_config": {"op_state_spec": null,
//      "op_input_spec": {"*": {"dtype": "int8", "qscheme": "symmetric"}}, ...}}}
//   {"kmeans_palettization_config": {"global_config": {"op_state_spec": {"weight": {"n_bits": 4}}}}}
// A joint document holds both. Beside a config there may be its free area ("quantization_spec",
// "palettization_spec"), which is ignored. Reading then writing then reading gives the same config. Needs
// nlohmann-json; not in the umbrella lutra.hpp. Every key is either used, named in a note (`log`) or an error. An
// observer nobody knows is no error here, as it may be registered later, but where the config is used (check_to_use).
#pragma once

#include <lutra/graph/check_config.hpp>
#include <lutra/graph/json/reader.hpp>
#include <lutra/graph/json/writer.hpp>

namespace lutra::inline LUTRA_ABI {

// Names of a config in a document: of itself, and of the free area beside it.
struct config_keys {
  const char* root;
  const char* free_area;
};
inline constexpr config_keys quantizer_keys{"quantization_config", "quantization_spec"};
inline constexpr config_keys palettizer_keys{"kmeans_palettization_config", "palettization_spec"};

// An object that holds a config under each of the keys, and nothing else but free areas.
inline json_value read_config_document(std::string_view text,
                                       std::initializer_list<config_keys> wanted) {
  const std::string where = wanted.size() == 1 ? wanted.begin()->root : "document";
  json_value document = parse_json(text, where);
  std::vector<std::string_view> known;
  std::string list;
  for (const config_keys& k : wanted) {
    if (!document.is_object() || !document.contains(k.root)) {
      raise(errc::invalid_argument, "the document holds no config", k.root, document.type_name(),
            "an object with the key '" + std::string(k.root) + "'");
    }
    known.insert(known.end(), {k.root, k.free_area});
    list += (list.empty() ? "" : ", ") + std::string(k.root) + ", " + k.free_area;
  }
  for (const auto& item : document.items()) {
    if (std::find(known.begin(), known.end(), item.key()) != known.end()) continue;
    raise(errc::invalid_argument, "unknown key", "document", text_of(std::string_view(item.key())),
          list + did_you_mean(item.key(), known));
  }
  return document;
}
template <class Config>
Config read_config(const json_value& document, const char* root, const log_sink& log) {
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
  const json_value document = read_config_document(json, {quantizer_keys});
  return read_config<quantizer_config>(document, quantizer_keys.root, log);
}
inline palettizer_config read_palettizer_config(std::string_view json, const log_sink& log = {}) {
  const json_value document = read_config_document(json, {palettizer_keys});
  return read_config<palettizer_config>(document, palettizer_keys.root, log);
}
inline joint_config read_joint_config(std::string_view json, const log_sink& log = {}) {
  const json_value document = read_config_document(json, {palettizer_keys, quantizer_keys});
  return {read_config<palettizer_config>(document, palettizer_keys.root, log),
          read_config<quantizer_config>(document, quantizer_keys.root, log)};
}

// Bytes of names that are no UTF-8 become U+FFFD.
inline std::string write_document(const json_value& document, int indent) {
  return document.dump(indent, ' ', false, json_value::error_handler_t::replace);
}
inline std::string write_config(const quantizer_config& config, int indent = 2) {
  json_value document = json_value::object();
  document[quantizer_keys.root] = json_writer::write(config);
  return write_document(document, indent);
}
inline std::string write_config(const palettizer_config& config, int indent = 2) {
  json_value document = json_value::object();
  document[palettizer_keys.root] = json_writer::write(config);
  return write_document(document, indent);
}
inline std::string write_config(const joint_config& config, int indent = 2) {
  json_value document = json_value::object();
  document[palettizer_keys.root] = json_writer::write(config.weights);
  document[quantizer_keys.root] = json_writer::write(config.activations);
  return write_document(document, indent);
}

}  // namespace lutra::inline LUTRA_ABI
