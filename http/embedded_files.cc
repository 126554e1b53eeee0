#include "http/embedded_files.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "http/content_type.h"
#include "http/representation.h"

namespace tern::http {

namespace {

struct Entry {
  Representation representation;
  Bytes content;
};

/// FNV-1a and the size: tells builds apart, not made to withstand forgery.
std::string hash_of(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3;
  }
  std::array<char, 48> text;
  const int size = std::snprintf(text.data(), text.size(), "\"%llx-%zx\"",
                                 static_cast<unsigned long long>(hash), bytes.size());
  return std::string(text.data(), static_cast<std::size_t>(size));
}

Task<void> send(Exchange& exchange, const Entry& entry) {
  if (wants_whole(exchange.request())) {
    Response response(Status::ok);
    response.fields(entry.representation.fields).body(entry.content);
    co_await exchange.respond(std::move(response));
  } else {
    MemorySource source(entry.content);
    co_await send_representation(exchange, entry.representation, source);
  }
}

Task<void> send(Exchange& exchange, Response response) {
  co_await exchange.respond(std::move(response));
}

}  // namespace

struct EmbeddedFiles::Table {
  std::unordered_map<std::string_view, Entry> entries;
};

EmbeddedFiles::EmbeddedFiles(std::span<const EmbeddedFile> files) {
  constexpr std::string_view kIndex = "index.html";
  auto table = std::make_shared<Table>();
  for (const EmbeddedFile& file : files) {
    Entry entry;
    Representation& representation = entry.representation;
    representation.content_type =
        file.content_type.empty() ? content_type_of(file.path) : file.content_type;
    representation.etag = file.etag.empty() ? hash_of(file.bytes) : std::string(file.etag);
    representation.size = file.bytes.size();
    representation.complete();
    entry.content = Bytes::literal(file.bytes);
    if (file.path.ends_with("/index.html")) {
      table->entries.emplace(file.path.substr(0, file.path.size() - kIndex.size()), entry);
    }
    table->entries.emplace(file.path, std::move(entry));
  }
  table_ = std::move(table);
}

Task<void> EmbeddedFiles::operator()(Exchange& exchange) const {
  const std::string_view method = exchange.method();
  if (method != "GET" && method != "HEAD") {
    Response response(method == "OPTIONS" ? Status::no_content : Status::method_not_allowed);
    response.field("allow", "GET, HEAD, OPTIONS");
    return send(exchange, std::move(response));
  }
  const std::string_view path = exchange.mounted_path();
  const auto found = table_->entries.find(path.empty() ? "/" : path);
  if (found == table_->entries.end()) {
    return send(exchange, Response(Status::not_found).text("Not Found\n"));
  }
  return send(exchange, found->second);
}

}  // namespace tern::http
