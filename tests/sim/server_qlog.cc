#include "tests/sim/server_qlog.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace tern::sim {

namespace {

class TextSink final : public quic::QlogSink {
 public:
  explicit TextSink(std::shared_ptr<std::string> text) : text_(std::move(text)) {}
  void write(std::string_view bytes) override { text_->append(bytes); }

 private:
  std::shared_ptr<std::string> text_;
};

/// What follows `begin` in `text`, up to `end`; empty if it is not there.
std::string_view between(std::string_view text, std::string_view begin, std::string_view end) {
  const std::size_t first = text.find(begin);
  if (first == std::string_view::npos) return {};
  text.remove_prefix(first + begin.size());
  return text.substr(0, text.find(end));
}

std::uint64_t number_in(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// Calls `visit` with each record of that name.
template <typename Visit>
void for_each_record(std::string_view log, std::string_view name, Visit&& visit) {
  while (!log.empty()) {
    const std::size_t end = std::min(log.find('\x1e', 1), log.size());
    const std::string_view record = log.substr(0, end);
    if (between(record, "\"name\":\"", "\"") == name) visit(record);
    log.remove_prefix(end);
  }
}

/// A long header of version 0 (RFC 9000 §17.2.1): the answer to a client that looks for a spare
/// path, which belongs to no connection and is in no qlog.
bool is_version_negotiation(ByteView datagram) {
  return datagram.size() >= 5 && (datagram[0] & 0x80) != 0 && datagram[1] == 0 &&
         datagram[2] == 0 && datagram[3] == 0 && datagram[4] == 0;
}

}  // namespace

Result<std::unique_ptr<udp::Socket>> WatchedNetwork::open(const udp::SocketOptions& options,
                                                          udp::Sink& sink) {
  sink_ = &sink;
  return beneath().open(options, *this);
}

void WatchedNetwork::submit(udp::Slab* slab) {
  for (const udp::Slab::Entry& entry : slab->entries()) {
    const udp::Transmit& transmit = entry.transmit;
    std::size_t count = 0;
    for (std::uint32_t at = 0; at < transmit.length; at += transmit.segment_size, ++count) {
      const ByteView bytes = slab->space().subspan(transmit.offset + at);
      if (is_version_negotiation(bytes)) continue;
      SentDatagram& datagram = sent_.emplace_back();
      datagram.when = now();
      datagram.path = transmit.path;
      datagram.size = std::min(transmit.segment_size, transmit.length - at);
      datagram.handshake = (bytes[0] & 0x80) != 0;
    }
    largest_batch_ = std::max(largest_batch_, count);
  }
  beneath().submit(slab);
}

void WatchedNetwork::receive(udp::Socket& socket, const udp::Arrival& arrival) {
  for (std::size_t at = 0; at < arrival.bytes.size(); at += arrival.segment_size) {
    received_.push_back(
        {now(), arrival.path, std::min(arrival.segment_size, arrival.bytes.size() - at)});
  }
  sink_->receive(socket, arrival);
}

quic::QlogOpener ServerQlog::opener() {
  return [text = text_](std::string_view) { return std::make_unique<TextSink>(text); };
}

std::vector<SentDatagram> ServerQlog::explain(std::vector<SentDatagram> sent) const {
  struct SentPacket {
    std::size_t size;
    std::string_view frames;
  };
  std::vector<SentPacket> packets;
  for_each_record(*text_, "transport:packet_sent", [&](std::string_view record) {
    const std::string_view raw = between(record, "\"raw\":{", "}");
    packets.push_back({number_in(between(raw, "\"length\":", ",")),
                       between(record, "\"frames\":[", "\"header\"")});
  });
  auto packet = packets.begin();
  for (SentDatagram& datagram : sent) {
    // What the connection held back was logged and not sent.
    while (!datagram.handshake && packet != packets.end() && packet->size != datagram.size) {
      ++packet;
    }
    std::size_t size = 0;
    for (; packet != packets.end() && size < datagram.size; ++packet) {
      size += packet->size;
      datagram.frames += packet->frames;
    }
    if (size != datagram.size) throw std::runtime_error("qlog and network do not fit together");
  }
  return sent;
}

std::vector<ServerQlog::Metric> ServerQlog::metric(std::string_view name) const {
  std::vector<Metric> values;
  const std::string begin = "\"" + std::string(name) + "\":";
  for_each_record(*text_, "recovery:metrics_updated", [&](std::string_view record) {
    const std::string_view value = between(record, begin, ",");
    if (value.empty()) return;
    values.push_back({std::chrono::milliseconds(number_in(between(record, "\"time\":", ","))),
                      number_in(value)});
  });
  return values;
}

}  // namespace tern::sim
