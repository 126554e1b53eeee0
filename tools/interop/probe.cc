#include "tools/interop/probe.h"

#include <utility>

namespace tern::interop {

LinkSettings Probe::settings() const {
  const Target& target = setting_.target;
  LinkSettings settings;
  settings.context = setting_.context;
  settings.remote = setting_.remote;
  settings.server_name = target.url.host();
  settings.authority = target.url.authority();
  settings.alpn = target.alpn;
  settings.user_agent = setting_.user_agent;
  settings.qlog = setting_.qlog;
  // A little before the case's own end, which would not say what it waited for.
  settings.transport.handshake_timeout = setting_.limit * 9 / 10;
  settings.transport.idle_timeout = setting_.limit;
  // Version 1 alone, where a case says nothing else: a server's own preference is case 2's affair.
  settings.transport.versions.assign(1, quic::kVersion1);
  return settings;
}

Task<Result<Link*>> Probe::connect(LinkSettings settings) {
  co_await finish();
  link_ = std::make_unique<Link>(setting_.runtime, setting_.network);
  ++connections_;
  Result<void> connected = co_await link_->connect(std::move(settings));
  if (!connected) co_return fail(std::move(connected).error());
  co_return link_.get();
}

Task<Result<Link*>> Probe::connect() {
  LinkSettings usual = settings();
  Result<Link*> link = co_await connect(std::move(usual));
  co_return link;
}

Task<void> Probe::finish() {
  if (link_ == nullptr) co_return;
  co_await link_->close();
  link_.reset();
}

void Probe::note(std::string_view name, std::string value) {
  facts_.push_back({std::string(name), std::move(value)});
}

}  // namespace tern::interop
