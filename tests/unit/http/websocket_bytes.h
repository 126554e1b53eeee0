#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Frames made by hand, so that they can be wrong.

namespace tern::http::test {

struct RawFrame {
  int opcode = 1;
  std::string payload;
  bool fin = true;
  int rsv = 0;  // RSV1 is 4
  bool masked = true;
  int length_bytes = -1;              // 0, 2 or 8 of an extended length; -1: as few as possible
  std::uint64_t length = UINT64_MAX;  // as announced; UINT64_MAX: the payload's
};

inline std::string bytes_of(const RawFrame& frame) {
  std::string out;
  const std::uint64_t length = frame.length == UINT64_MAX ? frame.payload.size() : frame.length;
  int extended = frame.length_bytes;
  if (extended < 0) extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
  out.push_back(static_cast<char>((frame.fin ? 0x80 : 0) | frame.rsv << 4 | frame.opcode));
  const int mask_bit = frame.masked ? 0x80 : 0;
  const int code = extended == 0 ? static_cast<int>(length) : extended == 2 ? 126 : 127;
  out.push_back(static_cast<char>(mask_bit | code));
  for (int i = extended - 1; i >= 0; --i) out.push_back(static_cast<char>(length >> (8 * i)));
  constexpr char kMask[] = {0x37, static_cast<char>(0xfa), 0x21, 0x3d};
  if (frame.masked) out.append(kMask, 4);
  for (std::size_t i = 0; i < frame.payload.size(); ++i) {
    out.push_back(frame.masked ? static_cast<char>(frame.payload[i] ^ kMask[i % 4])
                               : frame.payload[i]);
  }
  return out;
}

/// A client's frames.
inline std::string text(std::string payload, bool fin = true) {
  RawFrame frame;
  frame.payload = std::move(payload);
  frame.fin = fin;
  return bytes_of(frame);
}
inline std::string frame(int opcode, std::string payload, bool fin = true, int rsv = 0) {
  RawFrame frame;
  frame.opcode = opcode;
  frame.payload = std::move(payload);
  frame.fin = fin;
  frame.rsv = rsv;
  return bytes_of(frame);
}
inline std::string more(std::string payload, bool fin) { return frame(0, std::move(payload), fin); }
inline std::string close_frame(int code, std::string_view reason = {}) {
  std::string payload;
  payload.push_back(static_cast<char>(code >> 8));
  payload.push_back(static_cast<char>(code));
  return frame(8, payload.append(reason));
}
/// A server's.
inline std::string bare(int opcode, std::string payload, bool fin = true, int rsv = 0) {
  RawFrame frame;
  frame.opcode = opcode;
  frame.payload = std::move(payload);
  frame.fin = fin;
  frame.rsv = rsv;
  frame.masked = false;
  return bytes_of(frame);
}

}  // namespace tern::http::test
