// lutra: executor_ref.hpp - any executor behind one type, so that code using it is compiled once.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <lutra/core/executor.hpp>
#include <memory>
#include <type_traits>

namespace lutra::inline LUTRA_ABI {

// Refers to an executor that must outlive it; copying copies the reference. As safe to share as that
// executor, and serial if that is, as it said when the reference was made. Costs two indirect calls per piece of work,
// nothing beside pieces of microseconds. Results are the same bits as with the executor itself.
class executor_ref {
 public:
  template <executor E>
  requires(!std::same_as<E, executor_ref>) explicit(false) executor_ref(const E& executor) noexcept
      : executor_(std::addressof(executor)),
        bulk_(&bulk_of<E>),
        serial_(lutra::is_serial(executor)) {}

  bool is_serial() const noexcept { return serial_; }

  template <std::invocable<index_t> F> void bulk(index_t n, F&& f) const {
    using function = std::remove_reference_t<F>;
    bulk_(executor_, n, const_cast<void*>(static_cast<const void*>(std::addressof(f))),
          [](void* piece, index_t i) { (*static_cast<function*>(piece))(i); });
  }

 private:
  using piece_call = void (*)(void* piece, index_t i);

  template <class E>
  static void bulk_of(const void* executor, index_t n, void* piece, piece_call call) {
    static_cast<const E*>(executor)->bulk(n, [piece, call](index_t i) { call(piece, i); });
  }

  const void* executor_;
  void (*bulk_)(const void* executor, index_t n, void* piece, piece_call call);
  bool serial_;
};
static_assert(executor<executor_ref>);

}  // namespace lutra::inline LUTRA_ABI
