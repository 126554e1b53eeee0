#include "tools/relay/capture.h"

#include <algorithm>
#include <utility>

namespace tern::relay {

Capture::Capture(PacedWorld& world, std::ostream& out, std::string_view name)
    : world_(world), file_(out), interface_(file_.add_interface(name)) {}

Capture::~Capture() {
  if (tapped_ != nullptr) tapped_->tap(nullptr);
  // What still waits belongs to connections that never were any.
  std::vector<std::pair<udp::Address, Connection*>> waiting;
  for (auto& [inside, connection] : connections_) {
    if (!connection.held.empty()) waiting.emplace_back(inside, &connection);
  }
  std::sort(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) {
    return a.second->held.front().time < b.second->held.front().time;
  });
  for (const auto& [inside, connection] : waiting) release(*connection, inside);
}

void Capture::tap(sim::Host& host, Fallback fallback) {
  tapped_ = &host;
  fallback_ = std::move(fallback);
  host.tap(this);
}

void Capture::write(const udp::Address& source, const udp::Address& destination, udp::Ecn ecn,
                    ByteView payload) {
  sim::PcapngWriter::Datagram datagram;
  datagram.time = world_.unix_nanoseconds();
  datagram.source = source;
  datagram.destination = destination;
  datagram.ecn = ecn;
  datagram.payload = payload;
  file_.write(interface_, datagram);
}

void Capture::show_server(const udp::Address& inside, const udp::Address& server) {
  servers_.insert_or_assign(inside, server);
}

void Capture::show(const udp::Address& inside, const udp::Address& client,
                   const udp::Address& server) {
  const auto found = connections_.find(inside);
  Connection& connection = found == connections_.end() ? begin(inside) : found->second;
  connection.known = true;
  connection.client = client;
  connection.server = server;
  release(connection, inside);
}

Capture::Connection& Capture::begin(const udp::Address& inside) {
  if (connections_.size() >= kMaxConnections) {
    const auto oldest = std::min_element(
        connections_.begin(), connections_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    release(oldest->second, oldest->first);
    connections_.erase(oldest);
  }
  Connection& connection = connections_[inside];
  connection.used = world_.unix_nanoseconds();
  return connection;
}

void Capture::observe(const sim::TraceEvent& event) {
  if (event.tcp == nullptr) return;
  const bool to_server = servers_.contains(event.destination);
  if (!to_server && !servers_.contains(event.source)) return;
  const udp::Address& inside = to_server ? event.source : event.destination;
  Segment segment;
  segment.time = world_.unix_nanoseconds();
  segment.to_server = to_server;
  segment.server = to_server ? event.destination : event.source;
  segment.header = *event.tcp;
  segment.payload.assign(event.payload.begin(), event.payload.end());

  auto found = connections_.find(inside);
  using sim::TcpHeader;
  const bool opens =
      to_server && event.tcp->has(TcpHeader::kSyn) && !event.tcp->has(TcpHeader::kAck);
  if (opens && found != connections_.end() && found->second.known &&
      found->second.opened != event.tcp->sequence) {
    connections_.erase(found);  // another one from the same port
    found = connections_.end();
  }
  if (found == connections_.end()) {
    // Nobody will tell of one that did not begin here: a NAT has moved it to another port.
    if (!opens) return write_segment(nullptr, inside, segment);
    begin(inside);
    found = connections_.find(inside);
  }
  Connection& connection = found->second;
  connection.used = segment.time;
  if (opens) connection.opened = event.tcp->sequence;
  if (connection.known) return write_segment(&connection, inside, segment);
  connection.held.push_back(std::move(segment));
  if (connection.held.size() > kMaxHeld) {
    release(connection, inside);
    connections_.erase(found);
  }
}

void Capture::release(Connection& connection, const udp::Address& inside) {
  for (const Segment& segment : std::exchange(connection.held, {})) {
    write_segment(&connection, inside, segment);
  }
}

void Capture::write_segment(const Connection* connection, const udp::Address& inside,
                            const Segment& segment) {
  const bool known = connection != nullptr && connection->known;
  const udp::Address client = known ? connection->client : fallback_(inside);
  const udp::Address& server = known ? connection->server : servers_.at(segment.server);
  sim::PcapngWriter::Datagram datagram;
  datagram.time = segment.time;
  datagram.source = segment.to_server ? client : server;
  datagram.destination = segment.to_server ? server : client;
  datagram.payload = segment.payload;
  datagram.tcp = &segment.header;
  file_.write(interface_, datagram);
}

}  // namespace tern::relay
