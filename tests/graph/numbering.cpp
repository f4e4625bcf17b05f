#include <lutra/graph/numbering.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <random>
#include <vector>

using namespace lutra;

namespace {
// Numbers `keys` in order of first appearance, by a hash of the caller's; counts comparisons.
template <class Hash>
std::vector<index_t32> numbered(const std::vector<std::uint64_t>& keys, Hash&& hash,
                                std::size_t reserved = 0, std::size_t* comparisons = nullptr) {
  numbering n;
  n.reserve(reserved);
  std::vector<std::uint64_t> distinct;
  std::vector<index_t32> numbers;
  for (const std::uint64_t key : keys) {
    const auto next = index_t32(distinct.size());
    distinct.push_back(key);
    numbers.push_back(n.find_or_add(
        next, [&](index_t32 i) { return static_cast<std::size_t>(hash(distinct[std::size_t(i)])); },
        [&](index_t32 i, index_t32 j) {
          if (comparisons != nullptr) ++*comparisons;
          return distinct[std::size_t(i)] == distinct[std::size_t(j)];
        }));
    if (numbers.back() != next) distinct.pop_back();
  }
  return numbers;
}
std::vector<index_t32> numbered_by_map(const std::vector<std::uint64_t>& keys) {
  std::map<std::uint64_t, index_t32> known;
  std::vector<index_t32> numbers;
  for (const std::uint64_t key : keys) {
    numbers.push_back(known.try_emplace(key, index_t32(known.size())).first->second);
  }
  return numbers;
}
const auto identity = [](std::uint64_t key) { return key; };
}  // namespace

TEST_CASE("numbering: numbers in order of first appearance, whatever the hash and the room") {
  std::mt19937_64 random(1);
  for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 1000U}) {
    std::vector<std::uint64_t> keys(count);
    for (std::uint64_t& key : keys) key = random() % 300;
    const std::vector<index_t32> expected = numbered_by_map(keys);
    for (const std::size_t room : {0U, 1U, 8U, 300U}) {
      CHECK(numbered(keys, identity, room) == expected);
      CHECK(numbered(
                keys, [](std::uint64_t) { return 5; }, room) == expected);  // all collide
      CHECK(numbered(
                keys, [](std::uint64_t k) { return k % 3; }, room) == expected);
    }
  }
}

TEST_CASE("numbering: room asked for late changes nothing") {
  numbering n;
  const auto hash = [](index_t32 i) { return static_cast<std::size_t>(i); };
  const auto equal = [](index_t32 i, index_t32 j) { return i == j; };
  for (index_t32 i = 0; i < 7; ++i) CHECK(n.find_or_add(i, hash, equal) == i);
  n.reserve(1000);
  const auto same_key = [](index_t32 i, index_t32 j) { return i % 7 == j % 7; };
  const auto key_hash = [](index_t32 i) { return static_cast<std::size_t>(i % 7); };
  for (index_t32 i = 0; i < 7; ++i) CHECK(n.find_or_add(7 + i, key_hash, same_key) == i);
}

TEST_CASE("numbering: handles that are multiples of something cost no more than others") {
  for (const int shift : {0, 3, 6, 12, 20, 32, 40}) {
    std::vector<std::uint64_t> keys(20000);
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = std::uint64_t(i) << shift;
    std::size_t comparisons = 0;
    const std::vector<index_t32> numbers = numbered(keys, identity, 0, &comparisons);
    CHECK(numbers.back() == index_t32(keys.size()) - 1);
    CAPTURE(shift);
    CHECK(comparisons < 2 * keys.size());
    // Every key again: one comparison each, which finds it.
    std::vector<std::uint64_t> twice = keys;
    twice.insert(twice.end(), keys.begin(), keys.end());
    comparisons = 0;
    CHECK(numbered(twice, identity, 0, &comparisons).back() == index_t32(keys.size()) - 1);
    CHECK(comparisons < keys.size() + keys.size() / 10);
  }
}
