#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "transport/tls/record_layer.h"

/// TLS records, at once and byte by byte: both must say the same. The first byte says whose they
/// are; then come pieces, each a byte for its kind, one for its length, and the bytes: 0 goes to
/// the wire as it is, others are the content type of a record that is sealed properly.

namespace {

using tern::ByteView;
using tern::MutableBytes;
using tern::tls::Aead;
using tern::tls::Hash;
using tern::tls::RecordKey;
using tern::tls::RecordLayer;

constexpr std::array<std::uint8_t, 32> kIn{1};
constexpr std::array<std::uint8_t, 32> kOut{2};

std::vector<std::uint8_t> wire(ByteView input) {
  RecordKey key(Aead::aes_128_gcm, Hash::sha256, kIn, 0);
  std::vector<std::uint8_t> out;
  while (input.size() >= 2) {
    const std::uint8_t kind = input[0];
    const ByteView content = input.subspan(2, std::min<std::size_t>(input[1], input.size() - 2));
    input = input.subspan(2 + content.size());
    if (kind == 0) {
      out.insert(out.end(), content.begin(), content.end());
      continue;
    }
    const std::size_t length = content.size() + 1 + tern::tls::kAeadTagLength;
    const std::array<std::uint8_t, 5> header{23, 3, 3, static_cast<std::uint8_t>(length >> 8),
                                             static_cast<std::uint8_t>(length)};
    std::vector<std::uint8_t> record(content.begin(), content.end());
    record.push_back(kind);
    record.resize(length);
    key.seal({record.data(), content.size() + 1}, header);
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), record.begin(), record.end());
    // What follows a KeyUpdate has the next key.
    if (kind == 22 && content.size() == 5 && content[0] == 24) key.update();
  }
  return out;
}

std::string read(const std::vector<std::uint8_t>& bytes, bool client, std::size_t piece) {
  using Kind = RecordLayer::Step::Kind;
  RecordLayer layer(client, Aead::aes_128_gcm, Hash::sha256, {kIn, 0}, {kOut, 0});
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<std::uint8_t> part(
        begin, begin + static_cast<std::ptrdiff_t>(std::min(piece, bytes.size() - at)));
    MutableBytes input = part;
    while (true) {
      const RecordLayer::Step step = layer.next(input);
      if (step.kind == Kind::nothing) break;
      out += '<' + std::to_string(static_cast<int>(step.kind)) + ' ' + std::to_string(step.alert) +
             ' ' + step.reason + '>';
      if (step.kind == Kind::data) {
        if (step.data.size() > RecordLayer::kMaxPlaintext) std::abort();
        out += tern::as_text(step.data);
      } else if (step.kind != Kind::other) {
        return out;
      }
    }
    if (!input.empty()) std::abort();
  }
  if (layer.owes_update()) out += "<owes>";
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool client = (data[0] & 1) != 0;
  const std::vector<std::uint8_t> bytes = wire({data + 1, size - 1});
  if (read(bytes, client, bytes.size() + 1) != read(bytes, client, 1)) std::abort();
  return 0;
}
