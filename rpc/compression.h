#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "http/content_coding.h"
#include "rpc/codec.h"
#include "rpc/status.h"

/// Compression of single messages; no context goes from one to the next. Which codings there are:
/// gRPC and gRPC-Web identity and gzip, Connect also br and zstd.

namespace tern::rpc {

using http::Coding;

/// What `grpc-accept-encoding` says on our behalf.
inline constexpr std::string_view kGrpcAcceptEncoding = "identity,gzip";
/// What `accept-encoding` and `connect-accept-encoding` say.
inline constexpr std::string_view kConnectAcceptEncoding = "gzip, br, zstd";

/// "identity", "gzip", "zstd", "br", as header lines and queries of all dialects name them; nothing
/// for another name.
std::optional<Coding> coding_named(std::string_view name) noexcept;
std::string_view coding_name(Coding coding) noexcept;

/// Whether a comma-separated list, e.g. of grpc-accept-encoding, names the coding. Identity always.
bool lists(std::string_view accepted, Coding coding) noexcept;

/// `header` goes in front, in the same block.
Bytes compress(Coding coding, ByteView message, Header header = Header());

/// RESOURCE_EXHAUSTED when more than `limit` bytes come out (no more are held); INTERNAL when the
/// bytes are malformed or cut short.
Result<Bytes> decompress(Coding coding, ByteView bytes, std::size_t limit);

}  // namespace tern::rpc
