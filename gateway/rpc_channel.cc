#include "gateway/rpc_channel.h"

#include <utility>

#include "http/uri.h"
#include "rpc/wire.h"

namespace tern {

namespace {

class ClientWireStream final : public rpc::WireStream {
 public:
  explicit ClientWireStream(ClientStream stream) : stream_(std::move(stream)) {}
  http::ClientExchange& exchange() noexcept override { return stream_.exchange(); }

 private:
  ClientStream stream_;
};

Task<Result<std::unique_ptr<rpc::WireStream>>> open_stream(Client& client, ClientRequest request) {
  Result<ClientStream> stream = co_await client.open(std::move(request));
  if (!stream) co_return fail(std::move(stream).error());
  co_return std::make_unique<ClientWireStream>(std::move(*stream));
}

/// One origin of a client.
class ClientWire final : public rpc::Wire {
 public:
  ClientWire(Runtime& runtime, Client& client, const http::Url& url)
      : runtime_(runtime),
        client_(client),
        scheme_(url.scheme()),
        authority_(url.authority()),
        origin_(url.origin()) {}

  Runtime& runtime() noexcept override { return runtime_; }
  std::string_view scheme() const noexcept override { return scheme_; }
  std::string_view authority() const noexcept override { return authority_; }

  Task<Result<std::unique_ptr<rpc::WireStream>>> open(http::RequestHead head) override {
    ClientRequest request(origin_ + head.path);
    request.method(std::move(head.method)).streaming();
    for (const http::Field field : head.fields) request.field(field.name, field.value);
    return open_stream(client_, std::move(request));
  }

 private:
  Runtime& runtime_;
  Client& client_;
  std::string scheme_;
  std::string authority_;
  std::string origin_;
};

}  // namespace

std::unique_ptr<rpc::Wire> rpc_wire(Runtime& runtime, Client& client, const http::Url& url) {
  return std::make_unique<ClientWire>(runtime, client, url);
}

Result<std::unique_ptr<rpc::Channel>> rpc_channel(Runtime& runtime, Client& client,
                                                  const std::vector<std::string>& urls,
                                                  rpc::ChannelOptions options) {
  if (urls.empty()) return fail(Error::invalid("a channel without a URL"));
  std::vector<std::unique_ptr<rpc::Wire>> wires;
  for (const std::string& url : urls) {
    const Result<http::Url> parsed = http::Url::parse(url);
    if (!parsed) return fail(parsed.error());
    wires.push_back(rpc_wire(runtime, client, *parsed));
  }
  return std::make_unique<rpc::Channel>(std::move(wires), std::move(options));
}

}  // namespace tern
