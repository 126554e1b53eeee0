#include "tools/bench/rebind/rebind.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "http/exchange.h"
#include "transport/sim/world.h"
#include "transport/tls/development.h"

namespace tern::bench {

namespace {

constexpr std::size_t kPiece = 16 * 1024;
constexpr std::uint64_t kPieces = 100;  // of a paced body
constexpr std::uint64_t kPeriod = 251;

Bytes piece_at(std::uint64_t offset, std::size_t size) {
  return Bytes::make(size, [&](MutableBytes out) {
    for (std::size_t i = 0; i < size; ++i) {
      out[i] = static_cast<std::uint8_t>((offset + i) % kPeriod);
    }
    return size;
  });
}

bool belongs_at(ByteView bytes, std::uint64_t offset) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != (offset + i) % kPeriod) return false;
  }
  return true;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Task<void> send_bytes(http::Exchange& exchange) {
  const std::uint64_t size = number(exchange.parameter("size"));
  http::Response head(http::Status::ok);
  Result<void> sent = co_await exchange.start(std::move(head));
  for (std::uint64_t offset = 0; sent && offset < size; offset += kPiece) {
    Bytes piece = piece_at(offset, std::min<std::uint64_t>(kPiece, size - offset));
    sent = co_await exchange.write(std::move(piece));
  }
  if (sent) co_await exchange.finish();
}

Task<void> send_paced(http::Exchange& exchange) {
  const std::uint64_t size = number(exchange.parameter("size"));
  const Duration pause = std::chrono::milliseconds(number(exchange.parameter("ms"))) / kPieces;
  http::Response head(http::Status::ok);
  Result<void> sent = co_await exchange.start(std::move(head));
  const std::uint64_t step = size / kPieces;
  for (std::uint64_t offset = 0; sent && offset < size; offset += step) {
    co_await exchange.runtime().sleep(pause);
    Bytes piece = piece_at(offset, std::min(step, size - offset));
    sent = co_await exchange.write(std::move(piece));
  }
  if (sent) co_await exchange.finish();
}

tls::Identity authority() {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = 1;
  tls::DevelopmentOptions options(sim::World::kUnixEpoch);
  options.key_type(tls::KeyType::ed25519).seed(seed).days(3650);
  return *tls::make_authority(options);
}

}  // namespace

Task<void> download(Client& client, std::string url, std::uint64_t bytes, Download& result,
                    std::size_t& left) {
  ClientRequest request(std::move(url));
  Result<ClientStream> stream = co_await client.open(std::move(request));
  if (stream) {
    http::ClientExchange& exchange = stream->exchange();
    const Timestamp begun = exchange.runtime().now();
    Result<http::Response> head = co_await exchange.response();
    std::uint64_t offset = 0;
    bool intact = head && head->status() == http::Status::ok;
    while (intact) {
      Result<Bytes> piece = co_await exchange.read();
      if (!piece || piece->empty()) {
        intact = piece.has_value();
        break;
      }
      intact = belongs_at(*piece, offset);
      offset += piece->size();
    }
    result.good = intact && offset == bytes;
    result.took = exchange.runtime().now() - begun;
  }
  result.done = true;
  --left;
}

http::Router make_router() {
  http::Router router;
  router.get("/bytes/{size}", send_bytes);
  router.get("/paced/{size}/{ms}", send_paced);
  return router;
}

ServerOptions server_options(const RebindOptions& options) {
  std::array<std::uint8_t, 32> seed{};
  seed[0] = 2;
  tls::DevelopmentOptions leaf(sim::World::kUnixEpoch);
  leaf.key_type(tls::KeyType::ed25519).seed(seed).days(3650).names({"server"});
  const tls::Identity identity = *tls::make_leaf(authority(), leaf);
  ServerOptions server;
  server.certificate(*tls::Certificate::parse(identity.certificate, identity.key))
      .workers(options.workers);
  if (options.encrypted) {
    quic::CidCodec::Key key{};
    key.fill(0x42);
    server.cids(quic::CidConfig().key(key));
  }
  return server;
}

ClientOptions client_options(const RebindOptions& options) {
  ClientOptions client;
  client.ca_pem(authority().certificate).protocols(ClientProtocols::http3_only);
  // Who only receives has nothing to send when its mapping is gone, and the server sends into the
  // void: PINGs bring the two together again. Without these the client sends one a PTO later.
  client.transport().keep_alive = options.keep_alive;
  return client;
}

void count(RebindResult& result,
           const std::vector<std::pair<std::string, std::uint64_t>>& counters) {
  for (const auto& [name, value] : counters) {
    if (name == "quic.handshakes_completed") result.handshakes += value;
    if (name == "quic.paths_changed") result.paths_changed += value;
    if (name == "server.handed_over") result.handed_over += value;
  }
}

}  // namespace tern::bench
