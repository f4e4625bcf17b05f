// An executor of real threads, several at a time in every call of bulk.
#pragma once

#include <lutra/core/types.hpp>

#include <atomic>
#include <thread>
#include <vector>

namespace test {

struct thread_executor {
  int threads = 4;

  template <class F> void bulk(lutra::index_t n, F&& f) const {
    std::atomic<lutra::index_t> next{0};
    const auto work = [&] {
      for (lutra::index_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n;) f(i);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(work);
    work();
    for (std::thread& t : others) t.join();
  }
};

// f(i) for i below 4, each in a thread of its own.
template <class F> void in_threads(F&& f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& t : threads) t.join();
}

}  // namespace test
