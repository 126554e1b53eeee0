#pragma once

/// Fields of google.api.HttpBody, which may be of a pool that the program has not compiled in.

namespace tern::rpc::http_body {

constexpr int kContentType = 1;
constexpr int kData = 2;

}  // namespace tern::rpc::http_body
