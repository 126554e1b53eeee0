// Reads a long response piece by piece, and moves to another local port on the way, as a phone that
// changes networks does: streaming_client CA.pem https://localhost:4433/bytes/100000000

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include "gateway/client.h"
#include "transport/engine/engine.h"

tern::Task<tern::Result<std::uint64_t>> download(tern::Client& client, std::string url) {
  tern::ClientRequest request(std::move(url));
  auto stream = co_await client.open(std::move(request));
  if (!stream) co_return tern::fail(stream.error());
  const auto head = co_await stream->exchange().response();
  if (!head) co_return tern::fail(head.error());
  std::uint64_t received = 0;
  bool moved = false;
  while (true) {
    const auto piece = co_await stream->exchange().read();
    if (!piece) co_return tern::fail(piece.error());
    if (piece->empty()) co_return received;
    received += piece->size();
    if (!moved && received > 1'000'000) moved = client.migrate().has_value();
  }
}

int main(int argument_count, char** arguments) {
  if (argument_count != 3) return std::fputs("usage: streaming_client CA.pem URL\n", stderr), 2;
  auto network = tern::engine::open();
  if (!network) {
    std::fprintf(stderr, "streaming_client: %s\n", network.error().to_string().c_str());
    return 1;
  }
  tern::Runtime runtime(**network);
  tern::Client client(runtime, **network, tern::ClientOptions().ca_file(arguments[1]));
  const auto received = runtime.block_on(download(client, arguments[2]));
  for (const auto& connection : client.connections()) {
    std::printf("%s: %llu migrations\n", connection.origin.c_str(),
                static_cast<unsigned long long>(connection.stats.migrations));
  }
  runtime.block_on(client.close());
  if (!received) {
    std::fprintf(stderr, "streaming_client: %s\n", received.error().to_string().c_str());
    return 1;
  }
  std::printf("%llu bytes\n", static_cast<unsigned long long>(*received));
  return 0;
}
