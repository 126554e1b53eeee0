#include "tools/interop/qlog_facts.h"

#include <algorithm>
#include <utility>

namespace tern::interop {
namespace {

std::uint64_t count_in(const std::map<std::string, std::uint64_t, std::less<>>& counts,
                       std::string_view name) noexcept {
  const auto found = counts.find(name);
  return found != counts.end() ? found->second : 0;
}

void raise(std::uint64_t& count, std::uint64_t to) noexcept { count = std::max(count, to); }

class Collector final : public quic::QlogSink {
 public:
  Collector(std::shared_ptr<QlogFacts> facts, std::unique_ptr<quic::QlogSink> also) noexcept
      : facts_(std::move(facts)), also_(std::move(also)) {}

  void write(std::string_view bytes) override {
    facts_->take(bytes);
    if (also_ != nullptr) also_->write(bytes);
  }

 private:
  std::shared_ptr<QlogFacts> facts_;
  std::unique_ptr<quic::QlogSink> also_;
};

}  // namespace

void QlogFacts::take(std::string_view records) {
  constexpr char kSeparator = '\x1e';
  while (!records.empty()) {
    const std::size_t end = std::min(records.find(kSeparator), records.size());
    const std::string_view text = records.substr(0, end);
    records.remove_prefix(std::min(end + 1, records.size()));
    // The bulk of a download's records, and nothing here asks for them.
    if (text.empty() || text.find("\"recovery:metrics_updated\"") != text.npos) continue;
    if (const auto event = JsonValue::parse(text)) record(*event);
  }
}

void QlogFacts::record(const JsonValue& event) {
  const std::string_view name = event.text_of("name");
  const JsonValue* data = event.find("data");
  if (data == nullptr) return;
  if (name == "transport:packet_sent" || name == "transport:packet_received") {
    packet(*data, name == "transport:packet_sent");
  } else if (name == "transport:parameters_set" && data->text_of("owner") == "remote") {
    peer_parameters_ = std::make_shared<const JsonValue>(*data);
  } else if (name == "http3:stream_type_set") {
    const auto stream = static_cast<quic::StreamId>(data->count_of("stream_id"));
    if (quic::is_unidirectional(stream)) stream_types_[stream] = data->text_of("stream_type");
  }
}

void QlogFacts::packet(const JsonValue& data, bool sent) {
  if (const JsonValue* header = data.find("header")) {
    ++(sent ? sent_packets_ : received_packets_)[std::string(header->text_of("packet_type"))];
  }
  const JsonValue* frames = data.find("frames");
  if (frames == nullptr) return;
  for (const JsonValue& frame : frames->items()) {
    const std::string_view type = frame.text_of("frame_type");
    ++(sent ? sent_frames_ : received_frames_)[std::string(type)];
    if (type == "ack") {
      EcnCounts& ecn = sent ? ecn_seen_ : ecn_reported_;
      raise(ecn.ect0, frame.count_of("ect0"));
      raise(ecn.ect1, frame.count_of("ect1"));
      raise(ecn.ce, frame.count_of("ce"));
    } else if (type == "stream") {
      const auto stream = static_cast<quic::StreamId>(frame.count_of("stream_id"));
      if (!quic::is_unidirectional(stream)) continue;
      raise((sent ? sent_bytes_ : received_bytes_)[stream],
            frame.count_of("offset") + frame.count_of("length"));
    }
  }
}

std::uint64_t QlogFacts::packets_sent(std::string_view type) const noexcept {
  return count_in(sent_packets_, type);
}
std::uint64_t QlogFacts::packets_received(std::string_view type) const noexcept {
  return count_in(received_packets_, type);
}
std::uint64_t QlogFacts::frames_sent(std::string_view type) const noexcept {
  return count_in(sent_frames_, type);
}
std::uint64_t QlogFacts::frames_received(std::string_view type) const noexcept {
  return count_in(received_frames_, type);
}

std::uint64_t QlogFacts::stream_bytes(std::string_view type, bool own) const noexcept {
  const auto& bytes = own ? sent_bytes_ : received_bytes_;
  for (const auto& [stream, known_type] : stream_types_) {
    if (known_type != type || quic::is_server_initiated(stream) == own) continue;
    const auto found = bytes.find(stream);
    if (found != bytes.end() && found->second > 0) return found->second - 1;
  }
  return 0;
}

std::uint64_t QlogFacts::peer_stream_bytes(std::string_view type) const noexcept {
  return stream_bytes(type, false);
}
std::uint64_t QlogFacts::own_stream_bytes(std::string_view type) const noexcept {
  return stream_bytes(type, true);
}

quic::QlogOpener collect_qlog(std::shared_ptr<QlogFacts> facts, const quic::QlogOpener& also) {
  return [facts, also](std::string_view name) -> std::unique_ptr<quic::QlogSink> {
    return std::make_unique<Collector>(facts, also ? also(name) : nullptr);
  };
}

}  // namespace tern::interop
