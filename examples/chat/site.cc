#include "examples/chat/site.h"

#include <utility>

#include "examples/chat/page_files.h"
#include "examples/chat/visit.h"
#include "http/embedded_files.h"
#include "http/escape.h"
#include "webtransport/server.h"

namespace tern::chat {

namespace {

/// What `serverCertificateHashes` takes.
bool short_lived(const tls::Certificate& certificate) {
  constexpr UnixSeconds kMost = 14 * 24 * 60 * 60;
  return certificate.key_type() == "ECDSA P-256" &&
         certificate.not_after() - certificate.not_before() <= kMost;
}

std::string settings(const Certificates& development) {
  std::string json = R"({"certificates":[)";
  bool first = true;
  for (const tls::Certificate& certificate :
       development ? development() : std::vector<tls::Certificate>()) {
    if (!short_lived(certificate)) continue;
    json += first ? "\"" : ",\"";
    first = false;
    http::append_base64(json, certificate.sha256());
    json.push_back('"');
  }
  return json + "]}\n";
}

}  // namespace

void add_chat(http::Router& router, std::shared_ptr<Room> room, Certificates development,
              webtransport::ServerOptions options) {
  webtransport::route(
      router, "/chat/room",
      [room = std::move(room)](webtransport::Session& session) { return visit(room, session); },
      std::move(options));
  router.get("/chat/settings",
             [development = std::move(development)](http::Exchange& exchange) -> Task<void> {
               http::Response response(http::Status::ok);
               response.field("content-type", "application/json");
               response.field("cache-control", "no-store");
               response.text(settings(development));
               co_await exchange.respond(std::move(response));
             });
  router.get("/chat", [](http::Exchange& exchange) -> Task<void> {
    http::Response response(http::Status::found);
    response.field("location", "/chat/");
    co_await exchange.respond(std::move(response));
  });
  router.mount("/chat/", http::EmbeddedFiles(page_files()));
}

}  // namespace tern::chat
