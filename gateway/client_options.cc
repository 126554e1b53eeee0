#include "gateway/client_options.h"

#include <string_view>
#include <utility>

#include "base/ascii.h"

namespace tern {

ClientOptions& ClientOptions::ca_file(std::string path) {
  ca_file_ = std::move(path);
  return *this;
}

ClientOptions& ClientOptions::ca_pem(std::string pem) {
  ca_pem_ = std::move(pem);
  return *this;
}

ClientOptions& ClientOptions::insecure(bool on) {
  insecure_ = on;
  return *this;
}

ClientOptions& ClientOptions::certificate(tls::Certificate certificate) {
  certificate_ = std::move(certificate);
  return *this;
}

ClientOptions& ClientOptions::chacha20_only(bool on) {
  chacha20_only_ = on;
  return *this;
}

ClientOptions& ClientOptions::key_log(std::shared_ptr<tls::KeyLog> log) {
  key_log_ = std::move(log);
  return *this;
}

ClientOptions& ClientOptions::transport(quic::TransportOptions options) {
  transport_ = std::move(options);
  return *this;
}

ClientOptions& ClientOptions::http3(http3::SessionOptions options) {
  http3_ = std::move(options);
  return *this;
}

ClientOptions& ClientOptions::fallback(fallback::SessionOptions options) {
  fallback_ = std::move(options);
  return *this;
}

ClientOptions& ClientOptions::protocols(ClientProtocols which) {
  protocols_ = which;
  return *this;
}

ClientOptions& ClientOptions::tcp_delay(Duration delay) {
  tcp_delay_ = delay;
  return *this;
}

std::vector<udp::Address> ClientOptions::addresses_for(const std::string& host,
                                                       std::uint16_t port) const {
  std::vector<udp::Address> addresses;
  for (const std::string_view name : {std::string_view(host), std::string_view("*")}) {
    for (const Override& entry : overrides_) {
      if (entry.host == name && entry.port == port) addresses.push_back(entry.address);
    }
    if (!addresses.empty()) break;
  }
  return addresses;
}

ClientOptions& ClientOptions::only_version(std::uint32_t version) {
  only_version_ = version;
  return *this;
}

ClientOptions& ClientOptions::resolve(std::string_view host, std::uint16_t port,
                                      udp::Address address) {
  overrides_.push_back({ascii::lower_case(host), port, address});
  return *this;
}

ClientOptions& ClientOptions::proxy(ProxyOptions options) {
  proxy_ = std::move(options);
  return *this;
}

ClientOptions& ClientOptions::services(std::shared_ptr<udp::ServiceResolver> resolver) {
  services_ = std::move(resolver);
  return *this;
}

ClientOptions& ClientOptions::service_delay(Duration most) {
  service_delay_ = most;
  return *this;
}

ClientOptions& ClientOptions::local_address(udp::Address address) {
  local_address_ = address;
  return *this;
}

ClientOptions& ClientOptions::network_policy(std::shared_ptr<const NetworkPolicy> policy) {
  network_policy_ = policy != nullptr ? std::move(policy) : NetworkPolicy::never();
  return *this;
}

ClientOptions& ClientOptions::connect_timeout(Duration limit) {
  connect_timeout_ = limit;
  return *this;
}

ClientOptions& ClientOptions::timeout(Duration limit) {
  timeout_ = limit;
  return *this;
}

ClientOptions& ClientOptions::address_delay(Duration delay) {
  address_delay_ = delay;
  return *this;
}

ClientOptions& ClientOptions::max_body(std::size_t bytes) {
  max_body_ = bytes;
  return *this;
}

ClientOptions& ClientOptions::redirects(std::size_t count) {
  redirects_ = count;
  return *this;
}

ClientOptions& ClientOptions::retry_on_close(bool on) {
  retry_.on_close(on);
  return *this;
}

ClientOptions& ClientOptions::retry(const RetryPolicy& policy) {
  retry_ = policy;
  return *this;
}

ClientOptions& ClientOptions::decode(bool on) {
  decode_ = on;
  return *this;
}

ClientOptions& ClientOptions::cookies(std::shared_ptr<http::CookieJar> jar) {
  cookies_ = std::move(jar);
  return *this;
}

ClientOptions& ClientOptions::sessions(std::shared_ptr<SessionCache> cache) {
  sessions_ = std::move(cache);
  return *this;
}

ClientOptions& ClientOptions::early_data(bool on) {
  early_data_ = on;
  return *this;
}

ClientOptions& ClientOptions::qlog(quic::QlogOpener opener) {
  qlog_ = std::move(opener);
  return *this;
}

ClientOptions& ClientOptions::watch(std::function<void(const ClientEvent&)> watcher) {
  watcher_ = std::move(watcher);
  return *this;
}

}  // namespace tern
