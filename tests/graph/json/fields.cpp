#include <doctest/doctest.h>
#include <lutra/graph/json/fields.hpp>
#include <string>
#include <vector>

using namespace lutra;

namespace {
struct collected {
  std::vector<std::string> keys;
  template <class T> void operator()(const char* key, const T&) { keys.emplace_back(key); }
};
template <class S> std::vector<std::string> keys_of() {
  collected c;
  const S s{};
  list_fields(c, s);
  return c.keys;
}
}  // namespace

TEST_CASE("fields: the keys of every level, in the reference's spelling") {
  CHECK(keys_of<palettizer_op_config>() == std::vector<std::string>{"op_state_spec"});
  CHECK(keys_of<op_config>() ==
        std::vector<std::string>{"op_state_spec", "op_input_spec", "op_output_spec"});
  CHECK(keys_of<quantizer_config>() ==
        std::vector<std::string>{"global_config", "module_type_configs", "module_name_configs"});
  CHECK(keys_of<quantizer_config>() == keys_of<palettizer_config>());
  CHECK(keys_of<qat_schedule>() ==
        std::vector<std::string>{"enable_observer", "enable_fake_quant", "disable_observer"});
}

// A member added to an aggregate and forgotten here would be lost in silence: as many keys as members that an
// initialiser takes, but for `enabled`.
namespace fields_test {
struct anything {  // only ever asked for its types
  template <class T> operator T() const;
};
}  // namespace fields_test
namespace {
using fields_test::anything;
template <class S, class... Args> constexpr std::size_t members(Args... args) {
  if constexpr (requires { S{args..., anything{}}; }) {
    return members<S>(args..., anything{});
  } else {
    return sizeof...(Args);
  }
}
}  // namespace
TEST_CASE("fields: no member is forgotten") {
  CHECK(keys_of<palettization_spec>().size() + 1 == members<palettization_spec>());
  CHECK(keys_of<quantization_spec>().size() + 1 == members<quantization_spec>());
  CHECK(keys_of<scale_rules>().size() == members<scale_rules>());
  CHECK(keys_of<outlier_spec>().size() == members<outlier_spec>());
  CHECK(keys_of<op_config>().size() + 1 == members<op_config>());
  CHECK(keys_of<module_config>().size() + 1 == members<module_config>());
  CHECK(keys_of<palettizer_module_config>().size() + 1 == members<palettizer_module_config>());
  CHECK(keys_of<quantizer_config>().size() == members<quantizer_config>());
}

TEST_CASE("fields: keys of the reference that say nothing here") {
  CHECK(foreign_keys<quantization_spec>().size() == 2);
  CHECK(foreign_keys<op_config>().empty());
  CHECK(std::string(foreign_keys<palettizer_module_config>()[1].key) == "rounding_precision");
}
