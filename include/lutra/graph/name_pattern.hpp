// lutra: name_pattern.hpp - regular expressions on node and module names, whole-string, linear time.
// SPDX-License-Identifier: Apache-2.0
//
// Syntax: literal bytes  .  [a-z] [^a-z]  ( ) (?: )  |  * + ?  \d \w \s \D \W \S  \<punctuation>
// The pattern must match the whole name, so ^ at the start and $ at the end are allowed and change nothing.
// A malformed pattern is errc::invalid_argument naming the position. Matching simulates all
// alternatives side by side: O(pattern * name) time, no backtracking, no recursion on the name.
// (std::regex aborts without exceptions and overflows the stack on long names.)
// Matching is const and allocates its own scratch: safe from several threads.
#pragma once

#include <bitset>
#include <lutra/core/error.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace lutra::inline LUTRA_ABI {

class name_pattern {
 public:
  explicit name_pattern(std::string_view pattern) : text_(pattern) {
    literal_ = text_.find_first_of(R"(.[]()|*+?\^${})") == std::string::npos;
    if (literal_) return;
    const fragment whole = alternation(0);
    if (at_ < text_.size()) bad("unbalanced ')'");
    const index_t match = add({op::match});
    patch(whole.open, match);
    start_ = whole.start;
  }
  const std::string& text() const noexcept { return text_; }

  bool matches(std::string_view name) const {
    if (literal_) return name == text_;
    std::vector<index_t> now, next, stack;
    std::vector<std::size_t> seen(code_.size(), 0);  // 1 + position at which a state was added
    follow(start_, 1, now, seen, stack);
    for (std::size_t i = 0; i < name.size() && !now.empty(); ++i) {
      next.clear();
      for (const index_t s : now) {
        const state& at = code_[to_size(s)];
        if (accepts(at, static_cast<unsigned char>(name[i]))) {
          follow(at.out, i + 2, next, seen, stack);
        }
      }
      now.swap(next);
    }
    for (const index_t s : now) {
      if (code_[to_size(s)].kind == op::match) return true;
    }
    return false;
  }

 private:
  enum class op : unsigned char { byte, any, set, split, empty, match };
  struct state {
    op kind = op::empty;
    unsigned char byte = 0;
    index_t set = 0;
    index_t out = -1;
    index_t alternative = -1;  // of split
  };
  using byte_set = std::bitset<256>;
  struct hole {
    index_t state;
    bool alternative;
  };
  // A piece of the automaton: where it starts, and the exits that still lead nowhere.
  struct fragment {
    index_t start;
    std::vector<hole> open;
  };
  static constexpr int max_depth = 200;  // of nested groups; parsing recurses

  [[noreturn]] void bad(const char* what) const {
    raise(errc::invalid_argument, std::string("malformed name pattern: ") + what, "name_pattern",
          text_of(std::string_view(text_).substr(0, 80)) + " at position " +
              text_of(static_cast<index_t>(at_)));
  }

  // ---- parsing ----------------------------------------------------------------------------------
  index_t add(state s) {
    code_.push_back(s);
    return static_cast<index_t>(code_.size()) - 1;
  }
  void patch(const std::vector<hole>& open, index_t target) {
    for (const hole& h : open) {
      state& s = code_[to_size(h.state)];
      (h.alternative ? s.alternative : s.out) = target;
    }
  }
  bool more() const { return at_ < text_.size(); }
  fragment single(state s) {
    const index_t i = add(s);
    return {i, {{i, false}}};
  }
  fragment alternation(int depth) {
    if (depth > max_depth) bad("groups are nested too deeply");
    fragment left = sequence(depth);
    while (more() && text_[at_] == '|') {
      ++at_;
      fragment right = sequence(depth);
      left.start = add({.kind = op::split, .out = left.start, .alternative = right.start});
      left.open.insert(left.open.end(), right.open.begin(), right.open.end());
    }
    return left;
  }
  fragment sequence(int depth) {
    fragment whole = single({op::empty});
    while (more() && text_[at_] != '|' && text_[at_] != ')') {
      fragment next = repeated(depth);
      patch(whole.open, next.start);
      whole.open = std::move(next.open);
    }
    return whole;
  }
  fragment repeated(int depth) {
    fragment piece = atom(depth);
    bool quantified = false;
    while (more() && (text_[at_] == '*' || text_[at_] == '+' || text_[at_] == '?')) {
      const char c = text_[at_++];
      if (quantified) {
        if (c != '?') bad("nothing to repeat");
        continue;  // lazy or greedy makes no difference to a whole-string match
      }
      quantified = true;
      const index_t fork = add({.kind = op::split, .out = piece.start});
      if (c == '?') {
        piece.open.push_back({fork, true});
        piece.start = fork;
      } else {
        patch(piece.open, fork);
        piece.open = {{fork, true}};
        if (c == '*') piece.start = fork;
      }
    }
    return piece;
  }
  fragment atom(int depth) {
    const char c = text_[at_];
    switch (c) {
      case '(':
        return group(depth);
      case '[':
        return single({.kind = op::set, .set = add_set(bracket())});
      case '.':
        ++at_;
        return single({op::any});
      case '\\':
        return escape_atom();
      case '*':
      case '+':
      case '?':
        bad("nothing to repeat");
      case '{':
      case '}':
        bad("'{' and '}' need a backslash (counted repetition is not supported)");
      case '^':
        if (at_ != 0) bad("'^' is allowed at the start only");
        ++at_;
        return single({op::empty});
      case '$':
        if (at_ + 1 != text_.size()) bad("'$' is allowed at the end only");
        ++at_;
        return single({op::empty});
      default:
        ++at_;
        return single({.kind = op::byte, .byte = static_cast<unsigned char>(c)});
    }
  }
  fragment group(int depth) {
    ++at_;
    if (more() && text_[at_] == '?') {
      if (text_.compare(at_, 2, "?:") != 0) bad("only '(?:' may follow '('");
      at_ += 2;
    }
    fragment inner = alternation(depth + 1);
    if (!more()) bad("missing ')'");
    ++at_;
    return inner;
  }
  index_t add_set(const byte_set& s) {
    sets_.push_back(s);
    return static_cast<index_t>(sets_.size()) - 1;
  }
  fragment escape_atom() {
    const byte_set s = escape();
    return single({.kind = op::set, .set = add_set(s)});
  }
  // The bytes a backslash sequence stands for; at_ is on the backslash.
  byte_set escape() {
    if (++at_ >= text_.size()) bad("trailing backslash");
    const char c = text_[at_++];
    byte_set s;
    const auto range = [&](char lo, char hi) {
      for (int b = lo; b <= hi; ++b) s.set(to_size(b));
    };
    const char lower = c == 'D' || c == 'W' || c == 'S' ? static_cast<char>(c + ('a' - 'A')) : c;
    if (lower == 'd') {
      range('0', '9');
    } else if (lower == 'w') {
      range('0', '9'), range('a', 'z'), range('A', 'Z'), range('_', '_');
    } else if (lower == 's') {
      range('\t', '\r'), range(' ', ' ');
    } else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      at_ -= 2;
      bad("unknown escape");
    } else {
      s.set(static_cast<unsigned char>(c));
    }
    return lower == c ? s : ~s;
  }
  byte_set bracket() {
    const std::size_t opened = at_++;
    const bool negated = more() && text_[at_] == '^';
    if (negated) ++at_;
    byte_set s;
    for (bool first = true; first || !more() || text_[at_] != ']'; first = false) {
      if (!more()) {
        at_ = opened;
        bad("missing ']'");
      }
      if (text_[at_] == '\\') {
        s |= escape();
        continue;
      }
      const auto lo = static_cast<unsigned char>(text_[at_++]);
      unsigned char hi = lo;
      if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
        hi = static_cast<unsigned char>(text_[at_ + 1]);
        if (hi < lo || hi == '\\') bad("bad range in a class");
        at_ += 2;
      }
      for (int b = lo; b <= hi; ++b) s.set(to_size(b));
    }
    ++at_;
    return negated ? ~s : s;
  }

  // ---- matching ---------------------------------------------------------------------------------
  bool accepts(const state& s, unsigned char c) const {
    switch (s.kind) {
      case op::byte:
        return s.byte == c;
      case op::any:
        return c != '\n';
      case op::set:
        return sets_[to_size(s.set)].test(c);
      default:
        return false;
    }
  }
  // Adds to `into` every state that consumes a byte (or matches) and is reachable from `s` without one.
  void follow(index_t s, std::size_t mark, std::vector<index_t>& into,
              std::vector<std::size_t>& seen, std::vector<index_t>& stack) const {
    stack.push_back(s);
    while (!stack.empty()) {
      s = stack.back();
      stack.pop_back();
      if (seen[to_size(s)] == mark) continue;
      seen[to_size(s)] = mark;
      const state& at = code_[to_size(s)];
      if (at.kind == op::split) {
        stack.push_back(at.alternative);
        stack.push_back(at.out);
      } else if (at.kind == op::empty) {
        stack.push_back(at.out);
      } else {
        into.push_back(s);
      }
    }
  }

  std::string text_;
  std::size_t at_ = 0;
  bool literal_ = false;
  std::vector<state> code_;
  std::vector<byte_set> sets_;
  index_t start_ = 0;
};

}  // namespace lutra::inline LUTRA_ABI
