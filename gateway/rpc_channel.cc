#include "gateway/rpc_channel.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/recycled_memory.h"
#include "gateway/host_addresses.h"
#include "http/uri.h"
#include "rpc/server_source.h"
#include "rpc/wire.h"

namespace tern {

namespace {

class ClientWireStream final : public rpc::WireStream, public Recycled {
 public:
  explicit ClientWireStream(ClientStream stream) : stream_(std::move(stream)) {}
  http::ClientExchange& exchange() noexcept override { return stream_.exchange(); }

 private:
  ClientStream stream_;
};

class BareWireStream final : public rpc::WireStream, public Recycled {
 public:
  explicit BareWireStream(BareStream stream) noexcept : stream_(std::move(stream)) {}
  http::ClientExchange& exchange() noexcept override { return *stream_.exchange; }

 private:
  BareStream stream_;
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
        url_(url),
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

  std::optional<Result<std::unique_ptr<rpc::WireStream>>> try_open(
      const http::RequestHead& head) override {
    std::optional<Result<BareStream>> stream = client_.try_open(url_, origin_, head);
    if (!stream) return std::nullopt;
    if (!*stream) return fail(std::move(*stream).error());
    return std::make_unique<BareWireStream>(std::move(**stream));
  }

 private:
  Runtime& runtime_;
  Client& client_;
  http::Url url_;
  std::string scheme_;
  std::string authority_;
  std::string origin_;
};

/// The same with a client for it alone.
class OwnClientWire final : public rpc::Wire {
 public:
  OwnClientWire(Runtime& runtime, udp::Network& network, ClientOptions options,
                const http::Url& url)
      : client_(runtime, network, std::move(options)), wire_(runtime, client_, url) {}
  Runtime& runtime() noexcept override { return wire_.runtime(); }
  std::string_view scheme() const noexcept override { return wire_.scheme(); }
  std::string_view authority() const noexcept override { return wire_.authority(); }
  Task<Result<std::unique_ptr<rpc::WireStream>>> open(http::RequestHead head) override {
    return wire_.open(std::move(head));
  }

 private:
  Client client_;
  ClientWire wire_;
};

/// The addresses of a name.
class AddressSource final : public rpc::ServerSource {
 public:
  AddressSource(Runtime& runtime, udp::Network& network, http::Url url, ClientOptions options)
      : runtime_(runtime), network_(network), url_(std::move(url)), options_(std::move(options)) {}

  Runtime& runtime() noexcept override { return runtime_; }
  Task<Result<std::vector<std::string>>> find() override {
    Result<std::vector<udp::Address>> found =
        co_await resolve(runtime_, network_, url_.host(), url_.port());
    if (!found) co_return fail(std::move(found).error());
    addresses_ = std::move(*found);
    std::vector<std::string> names;
    for (const udp::Address& address : addresses_) {
      std::string name = address.to_string();
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(std::move(name));
      }
    }
    co_return names;
  }
  std::unique_ptr<rpc::Wire> wire(const std::string& server) override {
    ClientOptions options = options_;
    for (const udp::Address& address : addresses_) {
      if (address.to_string() != server) continue;
      options.resolve(url_.host(), url_.port(), address);
      break;
    }
    return std::make_unique<OwnClientWire>(runtime_, network_, std::move(options), url_);
  }

 private:
  Runtime& runtime_;
  udp::Network& network_;
  http::Url url_;
  ClientOptions options_;
  std::vector<udp::Address> addresses_;  // what was found last
};

}  // namespace

Result<std::unique_ptr<rpc::Channel>> rpc_channel_by_address(Runtime& runtime,
                                                             udp::Network& network,
                                                             const std::string& url,
                                                             ClientOptions client,
                                                             rpc::ChannelOptions options) {
  Result<http::Url> parsed = http::Url::parse(url);
  if (!parsed) return fail(parsed.error());
  if (!client.addresses_for(parsed->host(), parsed->port()).empty()) {
    return fail(Error::invalid("the client's options have addresses for " + parsed->authority()));
  }
  auto source =
      std::make_unique<AddressSource>(runtime, network, std::move(*parsed), std::move(client));
  return std::make_unique<rpc::Channel>(std::move(source), std::move(options));
}

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
