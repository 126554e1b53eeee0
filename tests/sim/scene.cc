#include "tests/sim/scene.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>

#include <gtest/gtest.h>

namespace tern::sim {

namespace {

constexpr std::size_t kPiece = 16 * 1024;
constexpr std::size_t kShortBody = 4096;
constexpr std::string_view kOrigin = "https://server";
/// Soon, so that connections sleep in every scenario; the traces are the same (sleep_test.cc).
constexpr Duration kRestAfter = 2ms;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().to_string());
  return std::move(*result);
}

tls::Identity make_authority() {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = 1;
  tls::DevelopmentOptions options(World::kUnixEpoch);
  options.key_type(tls::KeyType::ed25519).seed(seed).days(3650);
  return must(tls::make_authority(options));
}

tls::Identity make_leaf(const tls::Identity& authority, int padding_names) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = 2;
  tls::DevelopmentOptions options(World::kUnixEpoch);
  options.key_type(tls::KeyType::ed25519).seed(seed).days(365).serial(7);
  std::vector<std::string> names{"server", "www.example"};
  for (int i = 0; i < padding_names; ++i) {
    names.push_back("name-" + std::to_string(1000 + i) + ".with-a-long-suffix.example");
  }
  options.names(std::move(names));
  return must(tls::make_leaf(authority, options));
}

std::string url(std::string_view path) {
  std::string text(kOrigin);
  text += path;
  return text;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// ---- the server's handlers ----------------------------------------------------------------------

Task<void> hello(http::Exchange& exchange) {
  std::string text = "hello over " + std::string(exchange.protocol());
  co_await exchange.respond(http::Status::ok, std::move(text));
}

Task<void> send_bytes(http::Exchange& exchange) {
  const std::uint64_t size = number(exchange.parameter("size"));
  http::Response head(http::Status::ok);
  Result<void> sent = co_await exchange.start(std::move(head));
  for (std::uint64_t offset = 0; sent && offset < size; offset += kPiece) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size - offset));
    Bytes piece = pattern_bytes(offset, length);
    sent = co_await exchange.write(std::move(piece));
  }
  if (sent) co_await exchange.finish();
}

/// Answers with the number of bytes that came, "damaged" if they are not the pattern.
Task<void> count_bytes(http::Exchange& exchange) {
  std::uint64_t offset = 0;
  bool intact = true;
  for (;;) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece) co_return;
    if (piece->empty()) break;
    intact = intact && is_pattern(*piece, offset);
    offset += piece->size();
  }
  std::string text = intact ? std::to_string(offset) : "damaged";
  co_await exchange.respond(http::Status::ok, std::move(text));
}

// ---- the client's side --------------------------------------------------------------------------

Task<void> receive(http::ClientExchange& exchange, Fetch& fetch, World& world) {
  Result<http::Response> head = co_await exchange.response();
  if (!head) {
    fetch.error = head.error();
    co_return;
  }
  fetch.head_at = world.elapsed();
  fetch.status = http::code(head->status());
  const bool is_text = head->fields().find("content-type").has_value();
  for (;;) {
    Result<Bytes> piece = co_await exchange.read();
    if (!piece) {
      fetch.error = piece.error();
      co_return;
    }
    if (piece->empty()) co_return;
    if (!is_text) fetch.intact = fetch.intact && is_pattern(*piece, fetch.bytes);
    if (fetch.bytes < kShortBody) fetch.text += piece->text();
    fetch.bytes += piece->size();
    fetch.progress.emplace_back(world.elapsed(), fetch.bytes);
  }
}

Task<void> run_fetch(Client& client, ClientRequest request, std::uint64_t upload, Fetch& fetch,
                     World& world) {
  fetch.begun = world.elapsed();
  Result<ClientStream> stream = co_await client.open(std::move(request));
  if (stream) {
    fetch.early_data = stream->early_data();
    http::ClientExchange& exchange = stream->exchange();
    Result<void> sent;
    for (std::uint64_t offset = 0; sent && offset < upload; offset += kPiece) {
      const auto length =
          static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, upload - offset));
      Bytes piece = pattern_bytes(offset, length);
      sent = co_await exchange.write(std::move(piece));
    }
    if (upload != 0 && sent) sent = co_await exchange.finish();
    co_await receive(exchange, fetch, world);
  } else {
    fetch.error = stream.error();
  }
  fetch.ended = world.elapsed();
  fetch.done = true;
}

Task<void> close_client(Client& client) { co_await client.close(); }

}  // namespace

std::uint8_t pattern(std::uint64_t offset) noexcept {
  return static_cast<std::uint8_t>((offset ^ offset >> 8 ^ offset >> 16 ^ offset >> 24) * 31);
}

Bytes pattern_bytes(std::uint64_t offset, std::size_t size) {
  return Bytes::make(size, [&](MutableBytes out) {
    for (std::size_t i = 0; i < size; ++i) out[i] = pattern(offset + i);
    return size;
  });
}

bool is_pattern(ByteView bytes, std::uint64_t offset) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != pattern(offset + i)) return false;
  }
  return true;
}

testing::AssertionResult Fetch::ok() const {
  if (!done) return testing::AssertionFailure() << "not finished, " << bytes << " bytes so far";
  if (error) return testing::AssertionFailure() << error->to_string() << " after " << bytes;
  if (status != 200) return testing::AssertionFailure() << "status " << status;
  if (!intact) return testing::AssertionFailure() << "damaged body of " << bytes << " bytes";
  return testing::AssertionSuccess();
}

Duration Fetch::longest_stall() const {
  Duration longest{};
  Duration last = begun;
  for (const auto& [when, total] : progress) {
    longest = std::max(longest, when - last);
    last = when;
  }
  return longest;
}

void Meter::observe(const TraceEvent& event) {
  if (event.direction != direction_ || event.link != 0) return;
  bytes += event.payload.size();
  ++datagrams;
  largest = std::max(largest, event.payload.size());
}

// ---- Scene --------------------------------------------------------------------------------------

Scene::Scene(std::uint64_t seed)
    : world(seed),
      server_host(world.host("server")),
      client_host(world.host("client")),
      authority_(make_authority()),
      scope_(client_host.runtime().ready()) {
  if (std::getenv("SIM_TRACE") != nullptr) {
    text_ = std::make_unique<TraceText>(std::cerr);
    world.observe(*text_);
    world.log_to(&std::cerr);
  }
  if (const char* path = std::getenv("SIM_CAPTURE"); path != nullptr) {
    capture_file_.open(path, std::ios::binary);
    capture_ = std::make_unique<Capture>(capture_file_);
    world.observe(*capture_);
  }
  router.get("/hello", hello);
  router.get("/bytes/{size}", send_bytes);
  router.post("/count", count_bytes);
}

Scene::~Scene() {
  scope_.cancel();
  if (std::uncaught_exceptions() != 0 || testing::Test::HasFatalFailure()) {
    client_.reset();
    server_.reset();
    return;
  }
  try {
    for (const Fetch& fetch : fetches_) EXPECT_TRUE(fetch.intact) << "a body was damaged";
    if (client_ != nullptr) {
      client_host.runtime().block_on(close_client(*client_));
      world.run_for(100ms);
      client_.reset();
    }
    if (server_ != nullptr) {
      stop_server();
      EXPECT_EQ(server_counter("quic.connections_open"), 0u);
      server_.reset();
    }
    for (const std::string& leak : world.leaks()) ADD_FAILURE() << leak;
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

ServerOptions Scene::server_options(int padding_names) const {
  ServerOptions options;
  const tls::Identity leaf = make_leaf(authority_, padding_names);
  options.certificate(must(tls::Certificate::parse(leaf.certificate, leaf.key)));
  options.listen("[::]:443").workers(server_host.workers()).log(server_host.log());
  options.transport().rest_after = kRestAfter;
  return options;
}

ClientOptions Scene::client_options() const {
  ClientOptions options;
  options.ca_pem(authority_.certificate).protocols(ClientProtocols::http3_only);
  options.transport().rest_after = kRestAfter;
  auto* told = const_cast<std::vector<ClientEvent>*>(&events);
  options.watch([told](const ClientEvent& event) { told->push_back(event); });
  return options;
}

Server& Scene::serve(ServerOptions options) {
  server_ = std::make_unique<Server>(std::move(options));
  for (std::size_t i = 0; i < server_host.workers(); ++i) {
    udp::Network& network = server_network ? server_network(i) : server_host.network(i);
    auto started = server_->start(server_host.runtime(i), network, router, i);
    if (!started) throw std::runtime_error(started.error().to_string());
  }
  return *server_;
}

Client& Scene::use_client(ClientOptions options) {
  scope_.cancel();
  client_.reset();
  client_ =
      std::make_unique<Client>(client_host.runtime(), client_host.network(), std::move(options));
  return *client_;
}

Client& Scene::use_patient_client() {
  ClientOptions options = client_options();
  options.connect_timeout(60s);
  return use_client(std::move(options));
}

Client& Scene::client() { return client_ != nullptr ? *client_ : use_client(client_options()); }

void Scene::crash_server() {
  server_host.power_off();
  server_.reset();
  server_host.power_on();
}

void Scene::stop_server() {
  server_->stop();
  EXPECT_TRUE(world.run_until([&] { return server_->stopped(); }, 10s));
}

Fetch& Scene::send(ClientRequest request) {
  Fetch& fetch = fetches_.emplace_back();
  scope_.spawn(run_fetch(client(), std::move(request), 0, fetch, world));
  return fetch;
}

Fetch& Scene::get(std::string_view path) { return send(ClientRequest(url(path))); }

Fetch& Scene::upload(std::uint64_t bytes) {
  Fetch& fetch = fetches_.emplace_back();
  ClientRequest request(url("/count"));
  request.method("POST").streaming();
  scope_.spawn(run_fetch(client(), std::move(request), bytes, fetch, world));
  return fetch;
}

bool Scene::wait(const Fetch& fetch, Duration limit) {
  return world.run_until([&] { return fetch.done; }, limit);
}

bool Scene::wait_all(Duration limit) {
  return world.run_until(
      [&] {
        return std::all_of(fetches_.begin(), fetches_.end(),
                           [](const Fetch& fetch) { return fetch.done; });
      },
      limit);
}

Fetch& Scene::fetch(std::string_view path, Duration limit) {
  Fetch& fetch = get(path);
  if (!wait(fetch, limit)) throw std::runtime_error("no answer to " + std::string(path));
  return fetch;
}

std::uint64_t Scene::server_counter(std::string_view name) const {
  for (const auto& [key, value] : server_->counters()) {
    if (key == name) return value;
  }
  return 0;
}

std::uint64_t Scene::client_counter(std::string_view name) const {
  for (const auto& [key, value] : client_host.runtime().counters().snapshot()) {
    if (key == name) return value;
  }
  return 0;
}

ClientConnectionInfo Scene::connection() {
  const std::vector<ClientConnectionInfo> all = client().connections();
  if (all.empty()) throw std::runtime_error("the client has no connection");
  return all.back();
}

}  // namespace tern::sim
