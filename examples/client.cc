// Fetches URLs at the same time, over one connection to each origin: client CA.pem URL...

#include "gateway/client.h"

#include <cstdio>
#include <memory>
#include <string>

#include "transport/engine/engine.h"

tern::Task<void> fetch(tern::Client& client, std::string url, int& left) {
  const auto response = co_await client.get(url);
  if (response) {
    std::printf("%s: %d, %zu bytes over %s in %lld us\n", url.c_str(),
                static_cast<int>(response->status()), response->body().size(),
                response->protocol().c_str(),
                static_cast<long long>(response->timings().total.count() / 1000));
  } else {
    std::printf("%s: %s\n", url.c_str(), response.error().to_string().c_str());
  }
  --left;
}

int main(int argument_count, char** arguments) {
  if (argument_count < 3) return std::fputs("usage: client CA.pem URL...\n", stderr), 2;
  auto network = tern::engine::open();
  if (!network) {
    std::fprintf(stderr, "client: %s\n", network.error().to_string().c_str());
    return 1;
  }
  tern::Runtime runtime(**network);
  tern::Client client(runtime, **network, tern::ClientOptions().ca_file(arguments[1]));
  int left = argument_count - 2;
  {
    tern::Scope scope(runtime.ready());
    for (int i = 2; i < argument_count; ++i) scope.spawn(fetch(client, arguments[i], left));
    while (left > 0) runtime.turn();
  }
  runtime.block_on(client.close());
  return 0;
}
