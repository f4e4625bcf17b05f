// CONCEPT: observer
// An observer without nonfinite().
#include <lutra/observe/any_observer.hpp>

struct extremes {
  void observe(lutra::tensor_view<const float>) {}
  void reset() {}
  lutra::index_t units() const { return 1; }
  std::int64_t samples() const { return 0; }
#if !defined(LUTRA_WRONG)
  std::int64_t nonfinite() const { return 0; }
#endif
  void range(std::span<float>, std::span<float>) const {}
  void save(lutra::state_writer&) const {}
  void load(lutra::state_reader&) {}
};
lutra::any_observer boxed() { return lutra::any_observer(extremes{}); }
