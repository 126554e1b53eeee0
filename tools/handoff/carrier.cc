#include "tools/handoff/carrier.h"

#include "base/check.h"
#include "tools/handoff/tcp_carrier.h"
#include "tools/handoff/tern_carrier.h"

namespace tern::handoff {
namespace {

constexpr CarrierType kCarriers[] = {
    {CarrierKind::quic, "quic", "QUIC, migrating",
     "tern's client and server as they are: the connection follows the network"},
    {CarrierKind::quic_reconnect, "quic-reconnect", "QUIC, reconnecting",
     "the same without migration: when the network changes, a new connection, resumed with a "
     "ticket, goes on where the transfer stood"},
    {CarrierKind::tcp_reconnect, "tcp-reconnect", "TCP + TLS",
     "HTTP/2 over TLS 1.3 over TCP, modelled on the same links: one byte stream for all requests, "
     "and a new connection when the network changes"},
    {CarrierKind::http2, "http2", "HTTP/2",
     "tern's own HTTP/2 over TLS 1.3 over the simulator's TCP, with the same client and server, "
     "and "
     "a new connection when the network changes"},
    {CarrierKind::webtransport, "webtransport", "WebTransport",
     "QUIC, migrating, with every transfer of a phone a stream of the one session that it opens at "
     "first",
     false, false},
    {CarrierKind::rpc, "rpc", "RPC",
     "QUIC, migrating, with every transfer a gRPC call that streams, and a hundred conversations "
     "at the same time beside them",
     false, false},
};

}  // namespace

std::span<const CarrierType> carriers() noexcept { return kCarriers; }

const CarrierType& type_of(CarrierKind kind) noexcept {
  for (const CarrierType& type : kCarriers) {
    if (type.kind == kind) return type;
  }
  TERN_CHECK(!"a carrier without a type");
  return kCarriers[0];
}

const CarrierType* find_carrier(std::string_view name) noexcept {
  for (const CarrierType& type : kCarriers) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::unique_ptr<CarrierServer> make_server(CarrierKind kind, Stage& stage) {
  switch (kind) {
    case CarrierKind::quic:
    case CarrierKind::quic_reconnect:
    case CarrierKind::http2:
    case CarrierKind::webtransport:
    case CarrierKind::rpc: return make_tern_server(stage);
    case CarrierKind::tcp_reconnect: return make_tcp_server(stage);
  }
  return nullptr;
}

}  // namespace tern::handoff
