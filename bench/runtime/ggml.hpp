// ggml, which language models run by most, on one thread: IQ4_NL (blocks of 32 weights, one half-precision scale each
// and one table for all: 4.5 bits per weight) and Q4_0 (no table). Its answers are float, ours exact integers.
//   kernel    what ggml runs for IQ4_NL here, rows interleaved by eight; called directly, activations are q8_0 before the
//             clock starts, as ours are int8. That it is what ggml runs is checked: both answer the same bits.
//   vec_dot   the same from rows as they lie in files, one dot product per row
//   product   ggml_mul_mat, as the ways above within a graph, float activations quantized while the clock runs
// Include in one file per executable.
#pragma once

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <lutra/core/random.hpp>
#include <lutra/tensor/tensor.hpp>
#include <string>
#include <vector>

#if defined(LUTRA_BENCH_GGML)
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

// Not among the headers that ggml installs. m rows of x; rows of w are outputs, `stride` of them per row of x.
extern "C" {
void ggml_quantize_mat_q8_0_4x8(const float* x, void* y, std::int64_t depth);
void ggml_gemv_iq4_nl_8x8_q8_0(int depth, float* out, std::size_t stride, const void* w,
                               const void* x, int m, int rows);
void ggml_gemm_iq4_nl_8x8_q8_0(int depth, float* out, std::size_t stride, const void* w,
                               const void* x, int m, int rows);
}
#endif

namespace bench {

enum class ggml_way { kernel, vec_dot, product };
enum class ggml_blocks { iq4_nl, q4_0 };

#if defined(LUTRA_BENCH_GGML)
// w [rows, depth] times x [m, depth]. Weights are 64 normal rows again and again; activations are multiples of 1/128
// that q8_0 holds exactly.
class ggml_job {
 public:
  ggml_job(ggml_blocks blocks, const lutra::shape& s, lutra::index_t m)
      : type_(blocks == ggml_blocks::q4_0 ? GGML_TYPE_Q4_0 : GGML_TYPE_IQ4_NL),
        rows_(s[0]),
        depth_(s[1]),
        m_(m) {
    make_weights();
    make_activations();
    make_product();
  }
  ~ggml_job() {
    ggml_threadpool_free(pool_);
    for (ggml_backend_buffer_t b : buffers_) ggml_backend_buffer_free(b);
    ggml_free(context_);
  }
  ggml_job(const ggml_job&) = delete;
  ggml_job& operator=(const ggml_job&) = delete;

  std::string place() const { return ggml_backend_buft_name(weight_type_); }
  lutra::index_t bytes() const { return static_cast<lutra::index_t>(ggml_nbytes(w_)); }
  const float* out() const { return static_cast<const float*>(out_->data); }

  void product() { ggml_graph_compute(graph_, &plan_); }
  void kernel() {
    const auto width = static_cast<std::size_t>(rows_);
    (m_ == 1 ? ggml_gemv_iq4_nl_8x8_q8_0 : ggml_gemm_iq4_nl_8x8_q8_0)(
        static_cast<int>(depth_), static_cast<float*>(out_->data), width, w_->data, blocked_.data(),
        static_cast<int>(m_), static_cast<int>(rows_));
  }
  void vec_dot() {
    const auto dot = ggml_get_type_traits_cpu(type_)->vec_dot;
    auto* to = static_cast<float*>(out_->data);
    for (lutra::index_t m = 0; m < m_; ++m) {
      for (lutra::index_t row = 0; row < rows_; ++row) {
        dot(static_cast<int>(depth_), to + m * rows_ + row, 0, plain_.data() + row * row_bytes(), 0,
            lines_.data() + m * line_bytes(), 0, 1);
      }
    }
  }

  // All outputs against the float weights that the blocks stand for.
  bool right() const {
    std::vector<float> weight(static_cast<std::size_t>(depth_));
    for (lutra::index_t source = 0; source < std::min(sources, rows_); ++source) {
      ggml_get_type_traits(type_)->to_float(plain_.data() + source * row_bytes(), weight.data(),
                                            depth_);
      for (lutra::index_t m = 0; m < m_; ++m) {
        double sum = 0, norm = 0;
        for (lutra::index_t k = 0; k < depth_; ++k) {
          const double term = static_cast<double>(weight[static_cast<std::size_t>(k)]) *
                              static_cast<double>(x_[static_cast<std::size_t>(m * depth_ + k)]);
          sum += term;
          norm += std::fabs(term);
        }
        for (lutra::index_t row = source; row < rows_; row += sources) {
          const double error = static_cast<double>(out()[m * rows_ + row]) - sum;
          if (!(std::fabs(error) <= 1e-5 * norm)) return false;
        }
      }
    }
    return true;
  }

 private:
  static constexpr lutra::index_t sources = 64;  // rows that differ

  lutra::index_t row_bytes() const {
    return static_cast<lutra::index_t>(ggml_row_size(type_, depth_));
  }
  lutra::index_t line_bytes() const {
    return static_cast<lutra::index_t>(ggml_row_size(GGML_TYPE_Q8_0, depth_));
  }

  void make_weights() {
    lutra::random_stream random(1);
    std::vector<float> w(static_cast<std::size_t>(sources * depth_));
    for (float& v : w) v = static_cast<float>(random.normal() * 0.02);
    plain_.resize(static_cast<std::size_t>(rows_ * row_bytes()));
    std::vector<char> source(static_cast<std::size_t>(sources * row_bytes()));
    ggml_quantize_chunk(type_, w.data(), source.data(), 0, sources, depth_, nullptr);
    for (lutra::index_t row = 0; row < rows_; ++row) {
      std::memcpy(plain_.data() + row * row_bytes(), source.data() + row % sources * row_bytes(),
                  static_cast<std::size_t>(row_bytes()));
    }
  }
  void make_activations() {
    lutra::random_stream random(2);
    x_.resize(static_cast<std::size_t>(m_ * depth_));
    for (std::size_t i = 0; i < x_.size(); ++i) {
      const auto code = static_cast<int>(random.next() >> 40) % 255 - 127;
      x_[i] = static_cast<float>(i % 32 == 0 ? 127 : code) / 128;
    }
    lines_.resize(static_cast<std::size_t>(m_ * line_bytes()));
    blocked_.resize(lines_.size());
    for (lutra::index_t m = 0; m < m_; ++m) {
      ggml_get_type_traits_cpu(GGML_TYPE_Q8_0)
          ->from_float(x_.data() + m * depth_, lines_.data() + m * line_bytes(), depth_);
    }
    blocked_ = lines_;
    for (lutra::index_t m = 0; m + 4 <= m_; m += 4) {
      ggml_quantize_mat_q8_0_4x8(x_.data() + m * depth_, blocked_.data() + m * line_bytes(),
                                 depth_);
    }
  }

  // Weights lie where ggml's own programs would put them: in the first of its special places that can multiply them. But
  // not in tiles of AMX if m > 1: built by g++ 12 it stops there at the first tile (SIGILL), and it sets up tiles once
  // per thread, as if nobody else in the process used them.
  void make_product() {
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    ggml_cpu_init();
    context_ = ggml_init({std::size_t{1} << 20, nullptr, true});
    ggml_backend_reg_t cpu = ggml_backend_cpu_reg();
    const auto special = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(cpu, "ggml_backend_dev_get_extra_bufts"));
    ggml_backend_dev_t device = ggml_backend_reg_dev_get(cpu, 0);
    std::vector<ggml_backend_buffer_type_t> places;
    for (auto* at = special(device); *at != nullptr; ++at) {
      if (m_ == 1 || ggml_backend_buft_name(*at) != std::string("AMX")) places.push_back(*at);
    }
    places.push_back(ggml_backend_cpu_buffer_type());
    for (ggml_backend_buffer_type_t place : places) {
      w_ = ggml_new_tensor_2d(context_, type_, depth_, rows_);
      ggml_tensor* x = ggml_new_tensor_2d(context_, GGML_TYPE_F32, depth_, m_);
      out_ = ggml_mul_mat(context_, w_, x);
      ggml_backend_buffer_t weights = put(w_, place);
      weight_type_ = place;
      if (!ggml_backend_dev_supports_op(device, out_)) {
        ggml_backend_buffer_free(weights);
        continue;
      }
      buffers_ = {weights, put(x, ggml_backend_cpu_buffer_type()),
                  put(out_, ggml_backend_cpu_buffer_type())};
      ggml_backend_tensor_set(w_, plain_.data(), 0, plain_.size());
      ggml_backend_tensor_set(x, x_.data(), 0, x_.size() * sizeof(float));
      break;
    }
    graph_ = ggml_new_graph(context_);
    ggml_build_forward_expand(graph_, out_);
    ggml_threadpool_params one = ggml_threadpool_params_default(1);
    pool_ = ggml_threadpool_new(&one);
    plan_ = ggml_graph_plan(graph_, 1, pool_);
    work_.resize(plan_.work_size);
    plan_.work_data = work_.data();
  }
  static ggml_backend_buffer_t put(ggml_tensor* t, ggml_backend_buffer_type_t place) {
    ggml_backend_buffer_t b =
        ggml_backend_buft_alloc_buffer(place, ggml_backend_buft_get_alloc_size(place, t));
    ggml_backend_tensor_alloc(b, t, ggml_backend_buffer_get_base(b));
    return b;
  }

  ggml_type type_;
  lutra::index_t rows_, depth_, m_;
  std::vector<char> plain_;            // weights as in a file
  std::vector<float> x_;               // activations, as they are,
  std::vector<char> lines_, blocked_;  // in q8_0, and so in fours of rows
  ggml_context* context_ = nullptr;
  ggml_tensor *w_ = nullptr, *out_ = nullptr;
  ggml_backend_buffer_type_t weight_type_ = nullptr;
  std::vector<ggml_backend_buffer_t> buffers_;
  ggml_cgraph* graph_ = nullptr;
  ggml_threadpool* pool_ = nullptr;
  ggml_cplan plan_{};
  std::vector<std::uint8_t> work_;
};

inline void ggml_product(benchmark::State& state, ggml_blocks blocks, ggml_way way,
                         const lutra::shape& s, lutra::index_t m) {
  ggml_job job(blocks, s, m);
  const auto run = [&] {
    if (way == ggml_way::product) return job.product();
    if (way == ggml_way::kernel) return job.kernel();
    job.vec_dot();
  };
  std::vector<float> answer;
  if (way == ggml_way::kernel) {
    if (job.place() != "CPU_REPACK" || ggml_cpu_has_avx2() == 0)
      return state.SkipWithError("not what ggml takes here");
    job.product();
    answer.assign(job.out(), job.out() + s[0] * m);
  }
  run();
  if (!job.right()) return state.SkipWithError("wrong answer");
  if (!answer.empty() && !std::equal(answer.begin(), answer.end(), job.out())) {
    return state.SkipWithError("ggml_mul_mat answers something else");
  }
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * s.size() * m);
  state.SetBytesProcessed(state.iterations() * job.bytes());
  if (way == ggml_way::product) state.SetLabel(job.place());
}

// What it was built for, of what its 4-bit kernels know.
inline std::string isa_of_ggml() {
  const char* level = ggml_cpu_has_avx512_vnni() != 0 ? "avx512_vnni"
                      : ggml_cpu_has_avx_vnni() != 0  ? "avx_vnni"
                      : ggml_cpu_has_avx2() != 0      ? "avx2"
                      : ggml_cpu_has_dotprod() != 0   ? "dotprod"
                                                      : "none of its own";
  return std::string(ggml_version()) + ", " + level;
}
#else
inline void ggml_product(benchmark::State& state, ggml_blocks, ggml_way, const lutra::shape&,
                         lutra::index_t) {
  state.SkipWithError("not available (scripts/peers.sh)");
}
#endif

}  // namespace bench
