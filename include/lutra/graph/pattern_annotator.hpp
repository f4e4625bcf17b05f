// lutra: pattern_annotator.hpp - what a pattern's own annotator may ask and decide.
// SPDX-License-Identifier: Apache-2.0
//
//   patterns.add({.key = "attention", .kind = pattern_kind::custom, .chains = {{"sdpa"}},
//                 .annotator = [](pattern_annotator& a) { a.input(a.key(), 0); a.output(a.key()); }});
// The annotator runs once per match whose nodes are all free, and speaks of operands and results of the matched
// nodes. What it does not mention stays float. input() and output() without a spec follow the rules of
// op_rules.hpp (config of the key node, producer, earlier consumer); with a spec they overrule them.
// Lives as long as the call. Its members are defined in op_rules.hpp.
#pragma once

#include <lutra/affine/spec.hpp>
#include <lutra/graph/resolve.hpp>
#include <optional>
#include <span>

namespace lutra::inline LUTRA_ABI {

class op_rules;

class pattern_annotator {
 public:
  const graph_index& graph() const noexcept;
  std::span<const index_t32> nodes() const noexcept { return chain_; }
  index_t key() const noexcept { return chain_.front(); }
  // Whether a pattern of the registry shares one range over inputs and outputs of the node's op. Raises
  // invalid_argument for a node outside the match.
  bool preserves_range(index_t node) const;
  // What the config of the key node says; absent: off. Positions count distinct operands. Raises
  // invalid_argument for a value that is no state.
  std::optional<quantization_spec> input_spec(index_t position);
  std::optional<quantization_spec> state_spec(index_t value);
  std::optional<quantization_spec> output_spec();

  // By the rules. Everything below raises invalid_argument for a node outside the match and for a slot or
  // result it does not have.
  void input(index_t node, std::size_t slot);
  void output(index_t node, std::size_t result = 0);
  // With this spec, which is checked here as one of a config is; absent: off. What is not floating point, or a palette,
  // stays as it is.
  void input(index_t node, std::size_t slot, const std::optional<quantization_spec>& spec);
  void output(index_t node, std::size_t result, const std::optional<quantization_spec>& spec);
  // The result shares the fake-quantizer of an operand of its node; off if that one is.
  void share(index_t node, std::size_t result, std::size_t slot);

 private:
  friend class op_rules;
  using choice = config_resolver<quantizer_config>::choice;
  pattern_annotator(op_rules& rules, const choice& config, std::span<const index_t32> chain,
                    index_t source)
      : rules_(rules), config_(config), chain_(chain), source_(source) {}
  void check_node(index_t node) const;
  index_t edge(index_t node, std::size_t slot) const;
  index_t result_of(index_t node, std::size_t result) const;
  void check_spec(const std::optional<quantization_spec>& spec, index_t node,
                  const std::string& what) const;
  void decide(index_t point, index_t value, const std::optional<quantization_spec>& spec);

  op_rules& rules_;
  const choice& config_;
  std::span<const index_t32> chain_;
  index_t source_;  // the pattern's name among the sources of the plan
};

}  // namespace lutra::inline LUTRA_ABI
