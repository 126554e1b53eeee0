#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tools/bench/rebind/rebind.h"

namespace {

using tern::bench::RebindOptions;
using tern::bench::RebindPair;
using tern::bench::RebindResult;

double seconds(tern::Duration duration) { return std::chrono::duration<double>(duration).count(); }

/// The ratios of those that were not lost, smallest first.
std::vector<double> ratios(const RebindResult& result) {
  std::vector<double> all;
  for (const RebindPair& pair : result.pairs) {
    if (!pair.lost) all.push_back(seconds(pair.disturbed) / seconds(pair.undisturbed));
  }
  std::sort(all.begin(), all.end());
  return all;
}

double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  RebindOptions options;
  bool real = false;
  bool json = false;
  double limit = 1.2;
  CLI::App app{"Downloads under NAT rebindings, against the same downloads left alone"};
  app.add_option("-c,--connections", options.connections, "Default: 1000")
      ->check(CLI::Range(1, 4000));
  app.add_option("--rebindings", options.rebindings, "Of each connection; default: 5")
      ->check(CLI::Range(1, 100));
  CLI::Option* const addresses =
      app.add_flag("--addresses", options.addresses, "Each changes the address, too");
  app.add_option("-w,--workers", options.workers, "Of the server; default: 4")
      ->check(CLI::Range(1, 256));
  app.add_option("--seconds", options.seconds, "Of a download left alone; default: 10")
      ->check(CLI::Range(1.0, 600.0));
  app.add_option("--mbps", options.megabits, "Of each simulated access link; default: 2")
      ->check(CLI::Range(0.1, 1000.0));
  std::size_t delay = 20;
  app.add_option("--delay", delay, "Its delay one way, in ms; default: 20")
      ->check(CLI::Range(0, 1000));
  std::size_t keep_alive = 100;
  app.add_option("--keep-alive", keep_alive, "Of the clients, in ms; 0: none; default: 100")
      ->check(CLI::Range(0, 10'000));
  app.add_option("--queue", options.queue, "Bytes that wait in front of it; default: 32768")
      ->check(CLI::Range(3000, 10'000'000));
  app.add_option("--rounds", options.rounds, "With --real: pairs of runs; default: 2")
      ->check(CLI::Range(1, 100));
  app.add_option("--seed", options.seed, "Of the simulation; default: 1");
  app.add_option("--limit", limit, "Fail above this ratio; default: 1.2");
  app.add_flag("--encrypted", options.encrypted, "Encrypted connection IDs");
  app.add_flag("--real", real, "Over loopback sockets in real time, instead of the simulator")
      ->excludes(addresses);
  app.add_flag("--json", json);
  app.footer("Examples:\n  rebind_bench\n  rebind_bench --real --connections 200 --json");
  CLI11_PARSE(app, argc, argv);
  options.delay = std::chrono::milliseconds(delay);
  options.keep_alive = std::chrono::milliseconds(keep_alive);
  try {
    const RebindResult result =
        real ? tern::bench::run_real(options) : tern::bench::run_simulated(options);
    const std::vector<double> sorted = ratios(result);
    const std::size_t lost = result.pairs.size() - sorted.size();
    const double worst = quantile(sorted, 1);
    const auto slower = static_cast<std::size_t>(
        std::count_if(sorted.begin(), sorted.end(), [&](double ratio) { return ratio > limit; }));
    const char* form = json ? "{{\"connections\":{},\"lost\":{},\"slower\":{},\"limit\":{},"
                              "\"ratio\":{{\"p50\":{:.4f},\"p90\":{:.4f},\"p99\":{:.4f},\"max\":"
                              "{:.4f}}},\"handshakes\":{},\"paths_changed\":{},"
                              "\"handed_over\":{}}}\n"
                            : "pairs of downloads  {}\nlost                {}\n"
                              "slower than limit   {} (× {})\n"
                              "ratio               p50 {:.3f}  p90 {:.3f}  p99 {:.3f}  max {:.3f}\n"
                              "handshakes          {}\npaths changed       {}\n"
                              "handed over         {}\n";
    fmt::print(fmt::runtime(form), result.pairs.size(), lost, slower, limit, quantile(sorted, 0.5),
               quantile(sorted, 0.9), quantile(sorted, 0.99), worst, result.handshakes,
               result.paths_changed, result.handed_over);
    return lost == 0 && slower == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rebind_bench: %s\n", error.what());
    return 1;
  }
}
