#include "gateway/server_options.h"

#include <utility>

namespace tern {

ServerOptions& ServerOptions::certificate(std::string chain_file, std::string key_file) {
  certificates_.push_back({std::move(chain_file), std::move(key_file), std::nullopt});
  return *this;
}

ServerOptions& ServerOptions::certificate(tls::Certificate certificate) {
  certificates_.push_back({{}, {}, std::move(certificate)});
  return *this;
}

ServerOptions& ServerOptions::client_ca(std::string pem_file, tls::ClientCertificate mode) {
  client_ca_file_ = std::move(pem_file);
  client_certificate_ = mode;
  return *this;
}

ServerOptions& ServerOptions::listen(std::string address) {
  listen_.push_back(std::move(address));
  return *this;
}

ServerOptions& ServerOptions::workers(std::size_t count) {
  workers_ = count;
  return *this;
}

ServerOptions& ServerOptions::engine(engine::EngineOptions options) {
  engine_ = options;
  return *this;
}

ServerOptions& ServerOptions::transport(quic::TransportOptions options) {
  transport_ = std::move(options);
  return *this;
}

ServerOptions& ServerOptions::congestion(quic::Congestion algorithm) {
  transport_.congestion = algorithm;
  return *this;
}

ServerOptions& ServerOptions::idle_timeout(Duration silence) {
  transport_.idle_timeout = silence;
  return *this;
}

ServerOptions& ServerOptions::versions(std::vector<std::uint32_t> versions) {
  transport_.versions = std::move(versions);
  return *this;
}

ServerOptions& ServerOptions::preferred_address(std::string address) {
  preferred_addresses_.push_back(std::move(address));
  return *this;
}

ServerOptions& ServerOptions::retry(quic::RetryPolicy policy) {
  retry_ = policy;
  return *this;
}

ServerOptions& ServerOptions::max_connections(std::size_t count) {
  max_connections_ = count;
  return *this;
}

ServerOptions& ServerOptions::http3(http3::SessionOptions options) {
  http3_ = std::move(options);
  return *this;
}

ServerOptions& ServerOptions::tcp(bool on) {
  tcp_ = on;
  return *this;
}

ServerOptions& ServerOptions::cleartext(std::string address) {
  cleartext_.push_back(std::move(address));
  return *this;
}

ServerOptions& ServerOptions::alt_svc(std::string value) {
  alt_svc_ = std::move(value);
  return *this;
}

ServerOptions& ServerOptions::fallback(fallback::SessionOptions options) {
  fallback_ = std::move(options);
  return *this;
}

ServerOptions& ServerOptions::hq_interop(bool on) {
  hq_interop_ = on;
  return *this;
}

ServerOptions& ServerOptions::early_data(bool on) {
  early_data_ = on;
  return *this;
}

ServerOptions& ServerOptions::chacha20_only(bool on) {
  chacha20_only_ = on;
  return *this;
}

ServerOptions& ServerOptions::state_dir(std::string folder) {
  state_dir_ = std::move(folder);
  return *this;
}

ServerOptions& ServerOptions::key_rotation(Duration period) {
  key_rotation_ = period;
  return *this;
}

ServerOptions& ServerOptions::cids(quic::CidConfig config) {
  cids_ = std::move(config);
  return *this;
}

ServerOptions& ServerOptions::qlog_dir(std::string folder) {
  qlog_dir_ = std::move(folder);
  return *this;
}

ServerOptions& ServerOptions::qlog(quic::QlogOpener opener) {
  qlog_ = std::move(opener);
  return *this;
}

ServerOptions& ServerOptions::key_log(std::shared_ptr<tls::KeyLog> log) {
  key_log_ = std::move(log);
  return *this;
}

ServerOptions& ServerOptions::access_log(std::function<void(const http::Exchange&)> log) {
  access_log_ = std::move(log);
  return *this;
}

ServerOptions& ServerOptions::log(LogSink& sink) {
  log_ = &sink;
  return *this;
}

ServerOptions& ServerOptions::drain_timeout(Duration limit) {
  drain_timeout_ = limit;
  return *this;
}

ServerOptions& ServerOptions::max_connection_age(Duration age) {
  age_.limit = age;
  return *this;
}

ServerOptions& ServerOptions::max_connection_age_grace(Duration grace) {
  age_.grace = grace;
  return *this;
}

ServerOptions& ServerOptions::handover(std::string path) {
  handover_ = std::move(path);
  return *this;
}

ServerOptions& ServerOptions::handover_drain(Duration limit) {
  handover_drain_ = limit;
  return *this;
}

}  // namespace tern
