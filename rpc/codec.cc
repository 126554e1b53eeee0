#include "rpc/codec.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <string>

#include <google/protobuf/message.h>

#include "rpc/json.h"

namespace tern::rpc {

namespace {

Status too_large(std::size_t size, std::size_t limit) {
  return Status(Code::resource_exhausted, "a message of " + std::to_string(size) +
                                              " bytes is larger than " + std::to_string(limit));
}

}  // namespace

std::string_view name_of(Codec codec) noexcept { return codec == Codec::proto ? "proto" : "json"; }

Result<Bytes> encode(Codec codec, const google::protobuf::Message& message, std::size_t limit,
                     Header header) {
  limit = std::min<std::size_t>(limit, INT_MAX);
  if (codec == Codec::json) {
    auto text = to_json(message);
    if (!text) return fail(std::move(text).error());
    if (text->size() > limit) return fail(too_large(text->size(), limit));
    return Bytes::make(header.size + text->size(), [&](MutableBytes out) {
      if (header.write != nullptr) header.write(out.data(), text->size(), header.flags);
      std::memcpy(out.data() + header.size, text->data(), text->size());
      return out.size();
    });
  }
  const std::size_t size = message.ByteSizeLong();
  if (size > limit) return fail(too_large(size, limit));
  return Bytes::make(header.size + size, [&](MutableBytes out) {
    if (header.write != nullptr) header.write(out.data(), size, header.flags);
    message.SerializeWithCachedSizesToArray(out.data() + header.size);
    return out.size();
  });
}

Status decode(Codec codec, ByteView bytes, google::protobuf::Message& message) {
  if (codec == Codec::json) return from_json(as_text(bytes), message);
  if (bytes.size() > INT_MAX ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Status(Code::internal, "the bytes are no " + message.GetTypeName());
  }
  return Status();
}

}  // namespace tern::rpc
