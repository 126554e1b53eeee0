#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/server.h"
#include "http/router.h"
#include "rpc/dispatcher.h"
#include "tools/rpc_interop/test_service.h"

/// The server of gRPC's interoperability tests, with the official flags, over HTTP/3 and HTTP/2 at
/// the same port:
///
///   rpc_interop_server --port=8080 --use_tls=true --cert=server1.pem --key=server1.key
///
/// Says "listening on ADDRESS" when it does. Without TLS it is HTTP/2 alone.

namespace {

std::string_view value_of(int count, char** arguments, std::string_view flag) {
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument.starts_with(flag) && argument.substr(flag.size()).starts_with('=')) {
      return argument.substr(flag.size() + 1);
    }
  }
  return {};
}

int usage() {
  std::fputs("usage: rpc_interop_server --port=N [--use_tls=true --cert=FILE --key=FILE]\n",
             stderr);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string port(value_of(count, arguments, "--port"));
  const std::string cert(value_of(count, arguments, "--cert"));
  const std::string key(value_of(count, arguments, "--key"));
  const bool tls = value_of(count, arguments, "--use_tls") == "true";
  if (port.empty() || cert.empty() || key.empty()) return usage();

  tern::http::Router router;
  router.mount("/", tern::rpc::serve(std::make_shared<tern::rpc_interop::TestService>()));
  tern::ServerOptions options;
  options.certificate(cert, key);
  if (tls) {
    options.listen("[::]:" + port);
  } else {
    options.listen("[::1]:0").cleartext("[::]:" + port);
  }
  tern::Server server(std::move(options));
  const auto started = server.start(router);
  if (!started) {
    std::fprintf(stderr, "rpc_interop_server: %s\n", started.error().to_string().c_str());
    return 1;
  }
  std::printf("listening on port %s\n", port.c_str());
  std::fflush(stdout);
  server.wait();
  return 0;
}
