// lutra examples: mnist - a float CNN becomes P4A8 and runs on integers, on real data.
// SPDX-License-Identifier: Apache-2.0
//
// float model -> fold batch norms [-> choose bits per weight] -> palettize (4 bit, int8 tables) -> calibrate activations -> finalize
//             -> save -> a fresh object reads the file -> integer program
// and four models are compared on the test set. `mnist --help` lists the options.
#include <common/model_file.hpp>
#include <common/table.hpp>
#include <cstdio>
#include <filesystem>
#include <lutra/flow/fold_batch_norm.hpp>
#include <lutra/ir/lower.hpp>
#include <mnist/mixed.hpp>
#include <mnist/model.hpp>

namespace lutra_examples {

void make_parent_folder(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  std::error_code failed;
  if (!parent.empty()) std::filesystem::create_directories(parent, failed);
  if (failed)
    lutra::raise(lutra::errc::io_error, "cannot make the folder", parent.string(),
                 failed.message());
}

// Bytes of a weight's tensors in a file: the dense one, or codes, tables, scales.
lutra::index_t weight_bytes(const safetensors_reader& file, const std::string& name) {
  std::uint64_t bytes = 0;
  for (const tensor_entry& t : file.tensors()) {
    if (t.name == name || t.name.starts_with(name + ".")) bytes += t.bytes();
  }
  return static_cast<lutra::index_t>(bytes);
}

// Everything but the command line.
mnist_figures compress_and_evaluate(const mnist_options& o) {
  using namespace lutra;
  mnist_figures f;
  const tensor<std::uint8_t> images = read_digits(o.images, o.test_images);
  const tensor<std::uint8_t> labels = read_idx(o.labels, 1);
  const tensor<std::uint8_t> calibration = read_digits(o.calibration, o.calibration_images);
  f.images = images.extent(0);
  f.calibration_images = calibration.extent(0);
  if (labels.size() < f.images) {
    raise(errc::shape_mismatch, "fewer labels than images", o.labels, text_of(labels.size()),
          ">= " + text_of(f.images));
  }
  safetensors_reader file(o.model);
  ir::graph graph = mnist_graph(file);

  with_executor(o.threads, [&](executor_ref executor) {
    const auto evaluate = [&](model_accuracy& result, auto&& model) {
      tensor<float> logits;
      result.seconds = seconds_of([&] { logits = logits_of(images, executor, model); });
      result.correct = correct(logits, labels);
      return logits;
    };
    const auto in_float = [&](const ir::graph& g) {
      return [net = ir::interpreter(g)](const tensor<float>& batch) { return net.run(batch); };
    };
    evaluate(f.original, in_float(graph));
    f.batch_norms = fold_batch_norm(graph);

    palettizer_config palettes = mnist_palettes(o);
    if (o.target_bits > 0) {
      f.mixed_seconds =
          seconds_of([&] { f.mixed = choose_bits(graph, palettes, calibration, o, executor); });
      palettes = mixed_config(graph, palettes, f.mixed->table, f.mixed->target.found.choice);
    }
    f.palettize_seconds = seconds_of([&] {
      kmeans_palettizer palettizer(graph, palettes, {}, executor);
      palettizer.prepare();
      f.weights = palettizer.finalize();
    });
    evaluate(f.palettized, in_float(graph));

    tensor<float> faked;
    f.calibrate_seconds = seconds_of([&] {
      quantizer activations(graph, mnist_activations(), {.progress = progress_bar("calibrate")});
      activations.prepare();
      activations.calibrate(batches_of(calibration, 128));
      // The prepared model with its final ranges: what finalizing must not change.
      const ir::interpreter net(graph);
      faked = logits_of(images, serial_executor{}, [&](const tensor<float>& batch) {
        return net.run(batch,
                       [&](fake_quant_id id, tensor_view<const float> in, tensor_view<float> out) {
                         activations.on_fake_quant(id, in, out);
                       });
      });
      f.activations = activations.finalize();
    });
    const tensor<float> simulated = evaluate(f.simulated, in_float(graph));
    f.simulated_equals_fake_quant = same_bits(simulated, faked);

    make_parent_folder(o.output);
    save_model(o.output, graph);
    const ir::integer_program program = ir::lower(load_model(o.output));
    const tensor<float> integer =
        evaluate(f.integer, [&](const tensor<float>& batch) { return program.run(batch); });
    f.integer_logits = compare_logits(simulated, integer, program.output_parameters().scale[0]);
  });

  const safetensors_reader saved(o.output);
  for (const weight_record& w : f.weights.weights) {
    if (w.status != tensor_status::compressed) continue;
    f.bytes_before += weight_bytes(file, w.name);
    f.bytes_after += weight_bytes(saved, w.name);
  }
  return f;
}

}  // namespace lutra_examples

int main(int argc, char** argv) {
  using namespace lutra_examples;
  mnist_options o;
  if (const auto status = parse(argc, argv, o)) return *status;
  try {
#if !defined(LUTRA_EXAMPLES_TBB)
    if (o.threads > 1) std::puts("built without oneTBB: running on one thread");
#endif
    const mnist_figures f = compress_and_evaluate(o);
    std::fputs(table_text(f).c_str(), stdout);
    make_parent_folder(o.report);
    const std::string json = json_text(f, o);
    write_file(o.report, std::array{bytes_of(json)});
    std::printf("model  %s\nreport %s\n", o.output.c_str(), o.report.c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
