#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "rpc/status.h"

namespace google::protobuf {
class Message;
}

namespace tern::rpc {

/// How messages become bytes.
enum class Codec : std::uint8_t {
  proto,  ///< protobuf's binary format
  json,   ///< proto3 JSON (json.h)
};
/// "proto", "json": what follows the '+' of a content type.
std::string_view name_of(Codec codec) noexcept;

/// Writes what stands before a message of `size` bytes: an envelope's header.
using WriteHeader = void (*)(std::uint8_t* out, std::size_t size, std::uint8_t flags);
struct Header {
  WriteHeader write = nullptr;
  std::uint8_t size = 0;
  std::uint8_t flags = 0;
};

/// `header` goes in front, in the same block. INTERNAL when the message has no such form (JSON: an
/// Any of an unknown type); RESOURCE_EXHAUSTED when it takes more than `limit` bytes, or 2 GiB.
Result<Bytes> encode(Codec codec, const google::protobuf::Message& message, std::size_t limit,
                     Header header = Header());
/// Replaces `message`. INTERNAL (proto) or INVALID_ARGUMENT (JSON, which people write) when the
/// bytes are not such a message.
Status decode(Codec codec, ByteView bytes, google::protobuf::Message& message);

}  // namespace tern::rpc
