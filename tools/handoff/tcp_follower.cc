#include "tools/handoff/tcp_follower.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "tools/handoff/body.h"
#include "tools/handoff/stage.h"
#include "tools/handoff/tcp_wire.h"
#include "tools/handoff/transfer.h"
#include "transport/tls/record_layer.h"

namespace tern::handoff {
namespace {

/// When the last byte of each transfer so far arrived.
class Arrivals {
 public:
  explicit Arrivals(Stage& stage) : stage_(stage) {}
  /// The next bytes of that transfer have arrived then, and can be read now.
  void note(std::uint64_t transfer, Duration arrived) {
    Duration& own = own_[transfer];
    own = std::max(own, arrived);
    const Duration now = stage_.world().elapsed();
    Transfer* const found = stage_.transfer(transfer);
    if (found != nullptr && own < now) found->held_up(own, now);
  }

 private:
  Stage& stage_;
  std::unordered_map<std::uint64_t, Duration> own_;  // looked up only
};

/// tcp_wire.h: readable as it comes.
class ModelFraming final : public TcpFollower::Framing {
 public:
  explicit ModelFraming(Stage& stage)
      : arrivals_(stage),
        reader_([this](const WireFrame& frame, std::size_t) { header(frame); },
                [this](const WireFrame& frame, ByteView, bool) {
                  arrivals_.note(frame.transfer, arrived_);
                }) {}

  void take(ByteView bytes, Duration arrived) override {
    header_arrived_ = reader_.in_header() ? std::max(header_arrived_, arrived) : arrived;
    arrived_ = arrived;
    reader_.read(bytes);
  }

 private:
  /// The first one that ends in a piece may have begun in the piece before.
  void header(const WireFrame& frame) {
    const Duration arrived = std::exchange(header_arrived_, arrived_);
    if (frame.type == WireType::data) arrivals_.note(frame.transfer, arrived);
  }

  Arrivals arrivals_;
  WireReader reader_;
  Duration arrived_{};
  Duration header_arrived_{};
};

constexpr std::size_t kFrameHeader = 9;

/// HTTP/2 in TLS 1.3 (RFC 9113, RFC 8446).
class Http2Framing final : public TcpFollower::Framing {
 public:
  Http2Framing(Stage& stage, const std::vector<std::vector<std::uint8_t>>& secrets)
      : stage_(stage), secrets_(secrets), arrivals_(stage) {}

  void take(ByteView bytes, Duration arrived) override {
    while (!bytes.empty()) {
      arrived_ = record_.empty() ? arrived : std::max(arrived_, arrived);
      const std::size_t wanted = record_size() - record_.size();
      const std::size_t taken = std::min(wanted, bytes.size());
      record_.insert(record_.end(), bytes.begin(),
                     bytes.begin() + static_cast<std::ptrdiff_t>(taken));
      bytes = bytes.subspan(taken);
      if (record_.size() < kHeader || record_.size() < record_size()) continue;
      record();
      record_.clear();
    }
  }

 private:
  static constexpr std::size_t kHeader = tls::RecordLayer::kHeader;
  static constexpr std::uint8_t kApplicationData = 23;

  std::size_t record_size() const {
    if (record_.size() < kHeader) return kHeader;
    return kHeader + (static_cast<std::size_t>(record_[3]) << 8 | record_[4]);
  }

  void record() {
    if (record_[0] != kApplicationData || !open()) return;
    MutableBytes text = MutableBytes(record_).subspan(kHeader);
    text = text.first(text.size() - tls::kAeadTagLength);
    while (!text.empty() && text.back() == 0) text = text.first(text.size() - 1);
    if (!text.empty() && text.back() == kApplicationData) frames(text.first(text.size() - 1));
  }

  /// The first records of this type are the handshake's, with a key that is not in the log.
  bool open() {
    if (key_ != nullptr) return open_with(*key_, record_);
    for (const std::vector<std::uint8_t>& secret : secrets_) {
      const bool sha384 = secret.size() == tls::kMaxSecretLength;
      for (const tls::Aead aead :
           {tls::Aead::aes_128_gcm, tls::Aead::chacha20_poly1305, tls::Aead::aes_256_gcm}) {
        if (sha384 != (aead == tls::Aead::aes_256_gcm)) continue;
        std::vector<std::uint8_t> tried = record_;
        auto key = std::make_unique<tls::RecordKey>(
            aead, sha384 ? tls::Hash::sha384 : tls::Hash::sha256, secret, 0);
        if (!open_with(*key, tried)) continue;
        record_ = std::move(tried);
        key_ = std::move(key);
        return true;
      }
    }
    return false;
  }

  static bool open_with(tls::RecordKey& key, std::vector<std::uint8_t>& record) {
    const MutableBytes bytes(record);
    if (bytes.size() < kHeader + tls::kAeadTagLength) return false;
    return key.open(bytes.subspan(kHeader), bytes.first(kHeader));
  }

  void frames(ByteView text) {
    constexpr std::uint8_t kData = 0;
    while (!text.empty()) {
      if (frame_.size() < kFrameHeader) {
        const std::size_t taken = std::min(kFrameHeader - frame_.size(), text.size());
        frame_.insert(frame_.end(), text.begin(),
                      text.begin() + static_cast<std::ptrdiff_t>(taken));
        text = text.subspan(taken);
        if (frame_.size() < kFrameHeader) return;
        rest_ = static_cast<std::size_t>(frame_[0]) << 16 |
                static_cast<std::size_t>(frame_[1]) << 8 | frame_[2];
      }
      const std::size_t taken = std::min(rest_, text.size());
      if (frame_[3] == kData && taken > 0) data(text.first(taken));
      rest_ -= taken;
      text = text.subspan(taken);
      if (rest_ == 0) frame_.clear();
    }
  }

  void data(ByteView body) {
    const std::uint32_t stream = static_cast<std::uint32_t>(frame_[5] & 0x7F) << 24 |
                                 static_cast<std::uint32_t>(frame_[6]) << 16 |
                                 static_cast<std::uint32_t>(frame_[7]) << 8 | frame_[8];
    Stream& of = streams_[stream];
    if (of.transfer == 0 && body.size() >= kTelling) of.transfer = transfer_of(of.offset, body);
    if (of.transfer == 0 && body.size() >= kTelling) {
      stage_.violate(fmt::format("HTTP/2 stream {} is none that can be followed", stream));
    }
    of.offset += body.size();
    if (of.transfer != 0) arrivals_.note(of.transfer, arrived_);
  }

  /// HEADERS say it too, but the bytes are enough. 0: none.
  std::uint64_t transfer_of(std::uint64_t offset, ByteView body) const {
    for (const Transfer& transfer : stage_.transfers()) {
      if (offset + body.size() > transfer.size()) continue;
      if (is_body(transfer.id(), offset, body)) return transfer.id();
    }
    return 0;
  }

  struct Stream {
    std::uint64_t transfer = 0;  // 0: not known yet
    std::uint64_t offset = 0;
  };
  static constexpr std::size_t kTelling = 16;  // bytes that are one transfer's alone

  Stage& stage_;
  const std::vector<std::vector<std::uint8_t>>& secrets_;
  Arrivals arrivals_;
  std::vector<std::uint8_t> record_;
  Duration arrived_{};  // the last byte of the record
  std::unique_ptr<tls::RecordKey> key_;
  std::vector<std::uint8_t> frame_;                    // its header
  std::size_t rest_ = 0;                               // of its payload
  std::unordered_map<std::uint32_t, Stream> streams_;  // looked up only
};

/// "SERVER_TRAFFIC_SECRET_0 <client random> <secret>"; nothing: another line.
std::optional<std::vector<std::uint8_t>> server_secret(std::string_view line) {
  if (!line.starts_with("SERVER_TRAFFIC_SECRET_0 ")) return std::nullopt;
  const std::string_view hex = line.substr(line.rfind(' ') + 1);
  const auto digit = [](char c) {
    return static_cast<std::uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  };
  std::vector<std::uint8_t> secret;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    secret.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }
  return secret;
}

}  // namespace

TcpFollower::TcpFollower(Stage& stage)
    : stage_(stage), key_log_(tls::KeyLog::to([this](std::string_view line) {
        if (auto secret = server_secret(line)) secrets_.push_back(std::move(*secret));
      })) {
  stage_.world().observe(*this);
}

TcpFollower::~TcpFollower() { stage_.world().stop_observing(*this); }

void TcpFollower::observe(const sim::TraceEvent& event) {
  constexpr std::uint16_t kServer = 443;
  if (event.tcp == nullptr || event.verdict != sim::Verdict::delivered ||
      event.source.port() != kServer) {
    return;
  }
  const sim::TcpHeader& header = *event.tcp;
  Flow& flow = flows_[event.destination.to_string()];
  if (header.has(sim::TcpHeader::kSyn)) {
    if (flow.framing != nullptr) return;
    flow.first = header.sequence + 1;
    if (stage_.carrier() == CarrierKind::http2) {
      flow.framing = std::make_unique<Http2Framing>(stage_, secrets_);
    } else {
      flow.framing = std::make_unique<ModelFraming>(stage_);
    }
    return;
  }
  if (flow.framing == nullptr || event.payload.empty()) return;
  // A scenario moves far less than 4 GB.
  const std::uint32_t position = header.sequence - flow.first;
  segment(flow, position, event.payload);
}

void TcpFollower::segment(Flow& flow, std::uint64_t position, ByteView bytes) {
  const Duration now = stage_.world().elapsed();
  const auto take = [&](std::uint64_t begin, ByteView piece, Duration arrived) {
    if (begin + piece.size() <= flow.next) return;
    piece = piece.subspan(static_cast<std::size_t>(flow.next - begin));
    flow.next += piece.size();
    flow.framing->take(piece, arrived);
  };
  if (position > flow.next) {
    // The first copy counts. One that begins alike but is longer comes only when segments are cut
    // anew, and then it is as if the longer part had come now.
    Piece& piece = flow.early[position];
    if (piece.bytes.size() < bytes.size()) piece = {{bytes.begin(), bytes.end()}, now};
    return;
  }
  take(position, bytes, now);
  while (!flow.early.empty() && flow.early.begin()->first <= flow.next) {
    const auto piece = flow.early.begin();
    take(piece->first, piece->second.bytes, piece->second.arrived);
    flow.early.erase(piece);
  }
}

}  // namespace tern::handoff
