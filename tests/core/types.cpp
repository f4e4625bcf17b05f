#include <lutra/core/types.hpp>

#include <limits>
#include <type_traits>

static_assert(std::is_signed_v<lutra::index_t> && sizeof(lutra::index_t) == sizeof(void*));
static_assert(std::is_same_v<decltype(lutra::to_size(3)), std::size_t>);
static_assert(lutra::to_size(0) == 0U);
static_assert(lutra::to_size(std::numeric_limits<lutra::index_t>::max()) ==
              std::numeric_limits<std::size_t>::max() / 2);
