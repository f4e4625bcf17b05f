// The MNIST network on 10,000 test images, one thread, from bytes to logits: integers, the float interpreter, and
// the same float graph written with Eigen (im2col, GEMM). All three must reach their accuracy first.
#include <benchmark/benchmark.h>

#include <Eigen/Core>
#include <common/model_file.hpp>
#include <lutra/ir/lower.hpp>
#include <mnist/evaluate.hpp>
#include <mnist/model.hpp>

namespace {

using namespace lutra_examples;
using lutra::index_t;
using lutra::tensor;

// conv 3x3 (32 filters, padding 1) -> relu -> 2x2 max pool -> linear 6272 -> 10, as one would write it with
// Eigen: one GEMM per image for the convolution, one per batch for the linear layer, the bias and relu
// after the pool (the maximum commutes with both), buffers allocated once.
class eigen_network {
  using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using vector = Eigen::VectorXf;

 public:
  explicit eigen_network(safetensors_reader& file)
      : filters_(load(file, "conv1.weight", 32, 9)),
        filter_bias_(load(file, "conv1.bias", 32, 1)),
        weight_(load(file, "fc.weight", 10, 6272)),
        bias_(load(file, "fc.bias", 10, 1)),
        columns_(9, 784),
        image_(32, 784) {
    padded_.setZero();
  }

  tensor<float> operator()(const tensor<float>& batch) {
    const index_t n = batch.extent(0);
    features_.resize(n, 6272);
    for (index_t i = 0; i < n; ++i) {
      gather(batch.data() + i * 784);
      image_.noalias() = filters_ * columns_;
      for (index_t f = 0; f < 32; ++f) pool(f, features_.row(i).data() + f * 196);
    }
    tensor<float> out({n, 10});
    Eigen::Map<matrix> logits(out.data(), n, 10);
    logits.noalias() = features_ * weight_.transpose();
    logits.rowwise() += bias_.transpose();
    return out;
  }

 private:
  static matrix load(safetensors_reader& file, const char* name, index_t rows, index_t columns) {
    const tensor<float> t = file.read<float>(name);
    return Eigen::Map<const matrix>(t.data(), rows, columns);
  }
  void gather(const float* image) {
    padded_.block<28, 28>(1, 1) = Eigen::Map<const square>(image);
    for (index_t k = 0; k < 9; ++k) {
      Eigen::Map<square>(columns_.row(k).data()) = padded_.block<28, 28>(k / 3, k % 3);
    }
  }
  void pool(index_t filter, float* out) const {
    const float* in = image_.row(filter).data();
    using strided =
        Eigen::Map<const Eigen::Matrix<float, 14, 14, Eigen::RowMajor>, 0, Eigen::Stride<56, 2>>;
    Eigen::Map<Eigen::Matrix<float, 14, 14, Eigen::RowMajor>>(out, 14, 14) =
        (strided(in)
             .cwiseMax(strided(in + 1))
             .cwiseMax(strided(in + 28).cwiseMax(strided(in + 29)))
             .array() +
         filter_bias_(filter))
            .cwiseMax(0.0F);
  }

  using square = Eigen::Matrix<float, 28, 28, Eigen::RowMajor>;
  matrix filters_;
  vector filter_bias_;
  matrix weight_;
  vector bias_;
  matrix columns_, image_, features_;
  Eigen::Matrix<float, 30, 30, Eigen::RowMajor> padded_;
};

struct fixture {
  mnist_options options;
  tensor<std::uint8_t> images = read_digits(options.images, options.test_images);
  tensor<std::uint8_t> labels = read_idx(options.labels, 1);
  safetensors_reader file{options.model};
  lutra::ir::graph original = mnist_graph(file);
  lutra::ir::integer_program program = compressed();

  lutra::ir::integer_program compressed() {
    lutra::ir::graph g = original;
    lutra::kmeans_palettizer palettizer(g, mnist_palettes(options));
    palettizer.prepare();
    palettizer.finalize();
    lutra::quantizer activations(g, mnist_activations());
    activations.prepare();
    activations.calibrate(
        batches_of(read_digits(options.calibration, options.calibration_images), 128));
    activations.finalize();
    return lutra::ir::lower(g);
  }
};
fixture& data() {
  static fixture f;
  return f;
}

// Times `model` on all images once it has at least `least` of them right.
template <class Model> void run(benchmark::State& state, index_t least, Model&& model) {
  const fixture& f = data();
  const auto logits = [&] { return logits_of(f.images, lutra::serial_executor{}, model); };
  const index_t right = correct(logits(), f.labels);
  if (right < least) {
    state.SkipWithError(("wrong answers: " + std::to_string(right) + " images right").c_str());
    return;
  }
  for (auto _ : state) benchmark::DoNotOptimize(logits());
  state.SetItemsProcessed(state.iterations() * f.images.extent(0));
}

void integer(benchmark::State& state) {
  run(state, 9805, [](const tensor<float>& batch) { return data().program.run(batch); });
}
void in_float(benchmark::State& state) {
  const lutra::ir::interpreter net(data().original);
  run(state, 9823, [&](const tensor<float>& batch) { return net.run(batch); });
}
void eigen(benchmark::State& state) {
  eigen_network net(data().file);
  run(state, 9822, net);
}

BENCHMARK(integer)->Name("mnist/integer")->Unit(benchmark::kMillisecond);
BENCHMARK(in_float)->Name("mnist/float")->Unit(benchmark::kMillisecond);
BENCHMARK(eigen)->Name("peer/eigen/mnist")->Unit(benchmark::kMillisecond);

}  // namespace
