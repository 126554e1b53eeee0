// What an exchange costs above its protocol: making it, the router, the handler and its response,
// through a carrier that does nothing; and reading a file in pieces.

#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdlib.h>
#include <string>
#include <unistd.h>

#include <benchmark/benchmark.h>

#include "base/runtime.h"
#include "http/exchange.h"
#include "http/router.h"
#include "http/static_files.h"

namespace {

using namespace tern;
using namespace tern::http;

class StillDriver final : public Driver {
 public:
  Timestamp now() override { return now_; }
  UnixSeconds unix_seconds() override { return 784111777; }
  Random::Key random_key() override { return {}; }
  Duration wait(Timestamp) override { return {}; }
  void reap(Timestamp) override {}
  void wake() noexcept override {}

 private:
  Timestamp now_ = Timestamp() + std::chrono::seconds(1);
};

class NullCarrier final : public Carrier {
 public:
  std::string_view protocol() const noexcept override { return "null"; }
  udp::Path path() const noexcept override { return {}; }
  bool early_data() const noexcept override { return false; }
  void send_request(const RequestHead&, bool) override {}
  void send_response(Status, Fields fields, bool) override {
    benchmark::DoNotOptimize(fields.size());
  }
  void send_body(Bytes bytes, bool) override { sent += bytes.size(); }
  void send_trailers(const Fields&) override {}
  std::size_t unsent() const noexcept override { return 0; }
  void consumed(std::size_t) override {}
  void abort(Abort) override { std::abort(); }
  void stop_reading(Abort) override {}
  void set_priority(Priority) override {}
  bool send_datagram(ByteView) override { return false; }
  std::size_t max_datagram() const noexcept override { return 0; }
  void detach() noexcept override {}

  std::uint64_t sent = 0;
};

RequestHead browser_request(std::string path) {
  RequestHead head;
  head.authority = "localhost:4433";
  head.path = std::move(path);
  head.fields.add("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36");
  head.fields.add("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
  head.fields.add("accept-encoding", "gzip, deflate, br, zstd");
  head.fields.add("accept-language", "en");
  head.fields.add("priority", "u=0, i");
  return head;
}

void dispatch(benchmark::State& state, const Handler& handler, const RequestHead& head) {
  StillDriver driver;
  Runtime runtime(driver);
  NullCarrier carrier;
  const auto one = [&]() -> Task<void> {
    auto exchange = std::make_unique<Exchange>(runtime, carrier, RequestHead(head));
    exchange->incoming().finish();
    co_await serve(&handler, std::move(exchange), nullptr);
  };
  for (auto _ : state) {
    runtime.spawn(one());
    runtime.ready().run(8);
  }
  state.counters["body"] = benchmark::Counter(
      static_cast<double>(carrier.sent), benchmark::Counter::kIsRate, benchmark::Counter::kIs1024);
}

Task<void> hello(Exchange& exchange) { co_await exchange.respond(Status::ok, "hello world\n"); }

void make_only(benchmark::State& state) {
  StillDriver driver;
  Runtime runtime(driver);
  NullCarrier carrier;
  const RequestHead head = browser_request("/hello");
  for (auto _ : state) {
    auto exchange = std::make_unique<Exchange>(runtime, carrier, RequestHead(head));
    exchange->incoming().finish();
    benchmark::DoNotOptimize(exchange.get());
    const auto sent = exchange->respond(Status::ok);
  }
}
BENCHMARK(make_only);

void respond_directly(benchmark::State& state) {
  dispatch(state, hello, browser_request("/hello"));
}
BENCHMARK(respond_directly);

Router routes() {
  Router router;
  for (int i = 0; i < 50; ++i) {
    const std::string prefix = "/api/v1/resource" + std::to_string(i);
    router.get(prefix, hello).get(prefix + "/{id}", hello).post(prefix, hello);
  }
  return router.get("/hello", hello);
}

void route_literal(benchmark::State& state) {
  dispatch(state, routes(), browser_request("/hello?x=1"));
}
BENCHMARK(route_literal);

void route_parameter(benchmark::State& state) {
  dispatch(state, routes(), browser_request("/api/v1/resource37/12345"));
}
BENCHMARK(route_parameter);

/// A folder with one file, removed at the end.
class OneFile {
 public:
  explicit OneFile(std::size_t size)
      : folder_(std::filesystem::temp_directory_path() / "tern_bench_XXXXXX") {
    std::string name = folder_.string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    std::ofstream(folder_ / "file.bin") << std::string(size, 'x');
  }
  ~OneFile() { std::filesystem::remove_all(folder_); }
  StaticFiles open() const { return *StaticFiles::open(folder_); }
  std::filesystem::path path() const { return folder_ / "file.bin"; }

 private:
  std::filesystem::path folder_;
};

void static_file(benchmark::State& state) {
  const OneFile file(static_cast<std::size_t>(state.range(0)));
  dispatch(state, file.open(), browser_request("/file.bin"));
}
BENCHMARK(static_file)->Arg(12)->Arg(100 << 10)->Arg(64 << 20);

/// pread into fresh blocks, as StaticFiles does, of which four are alive at a time.
void read_chunks(benchmark::State& state) {
  constexpr std::size_t kSize = 64 << 20;
  const OneFile file(kSize);
  const int descriptor = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  const auto chunk = static_cast<std::size_t>(state.range(0));
  Bytes alive[4];
  for (auto _ : state) {
    std::size_t turn = 0;
    for (std::size_t offset = 0; offset < kSize; offset += chunk) {
      alive[turn++ % 4] = Bytes::make(chunk, [&](MutableBytes out) {
        return static_cast<std::size_t>(
            ::pread(descriptor, out.data(), out.size(), static_cast<off_t>(offset)));
      });
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
  ::close(descriptor);
}
BENCHMARK(read_chunks)->RangeMultiplier(2)->Range(16 << 10, 1 << 20);

}  // namespace

BENCHMARK_MAIN();
