#include "tools/tern/exit_code.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "tools/tern/trust_hint.h"

namespace tern::cli {
namespace {

TEST(ExitCode, IsCurls) {
  EXPECT_EQ(exit_code(Error::invalid("url")), ExitCode::bad_url);
  EXPECT_EQ(exit_code(Error(Code::invalid, "no HTTP", Origin::remote)), ExitCode::receive_failed);
  EXPECT_EQ(exit_code(Error(Code::not_found, "name")), ExitCode::cannot_resolve);
  EXPECT_EQ(exit_code(Error::os(ECONNREFUSED, "connect")), ExitCode::cannot_connect);
  EXPECT_EQ(exit_code(Error::os(ECONNRESET, "read")), ExitCode::receive_failed);
  EXPECT_EQ(exit_code(Error::os(EPIPE, "write")), ExitCode::receive_failed);
  EXPECT_EQ(exit_code(Error(Code::timed_out, "late")), ExitCode::timed_out);
  EXPECT_EQ(exit_code(Error(Code::certificate, "who?")), ExitCode::not_trusted);
  EXPECT_EQ(exit_code(Error(Domain::tls, 40, "handshake_failure")), ExitCode::tls_handshake);
  EXPECT_EQ(exit_code(Error(Domain::quic, 0x128, "crypto error")), ExitCode::tls_handshake);
  EXPECT_EQ(exit_code(Error(Domain::quic, 0xa, "protocol violation")), ExitCode::quic_error);
  EXPECT_EQ(exit_code(Error(Code::version, "none in common")), ExitCode::quic_error);
  EXPECT_EQ(exit_code(Error(Domain::application, 0x101, "h3")), ExitCode::http3_error);
  EXPECT_EQ(exit_code(Error::closed()), ExitCode::receive_failed);
  EXPECT_EQ(exit_code(Error(Code::stateless_reset, "reset")), ExitCode::receive_failed);
  EXPECT_EQ(exit_code(Error(Domain::http, 404, "not found")), ExitCode::http_error);
  EXPECT_EQ(exit_code(Error::limit("too much")), ExitCode::failed);
}

TEST(ExitCode, KnowsHowFarARequestCame) {
  const Error odd(Code::invalid, "no HTTP", Origin::remote);
  const Error application(Domain::application, 2, "INTERNAL_ERROR", Origin::remote);
  const auto at = [](const Error& error, Stage stage, bool over_tcp = true, bool open = true) {
    return exit_code(error, stage, over_tcp, open);
  };
  EXPECT_EQ(at(odd, Stage::answer), ExitCode::weird_answer);
  EXPECT_EQ(at(odd, Stage::body), ExitCode::receive_failed);
  EXPECT_EQ(at(Error::invalid("url"), Stage::connecting), ExitCode::bad_url);
  EXPECT_EQ(at(Error::closed(), Stage::connecting), ExitCode::receive_failed);
  EXPECT_EQ(at(Error::closed(), Stage::answer), ExitCode::no_answer);
  EXPECT_EQ(at(Error::closed(), Stage::body), ExitCode::partial_answer);
  EXPECT_EQ(at(Error::os(ECONNRESET, "read"), Stage::body), ExitCode::receive_failed);
  EXPECT_EQ(at(Error::limit("head"), Stage::answer), ExitCode::receive_failed);
  EXPECT_EQ(at(application, Stage::body), ExitCode::http2_stream_error);
  EXPECT_EQ(at(application, Stage::body, true, false), ExitCode::http2_error);
  EXPECT_EQ(at(application, Stage::body, false), ExitCode::http3_error);
  EXPECT_EQ(describe(application), "HTTP error 0x2 from the server: INTERNAL_ERROR");
}

TEST(ExitCode, NoCaHelpsAgainstAnotherNameOrAge) {
  EXPECT_NE(trust_hint("self signed certificate").find("--cacert"), std::string_view::npos);
  for (const char* text : {"Hostname mismatch", "certificate has expired", "not yet valid"}) {
    EXPECT_EQ(trust_hint(text).find("--cacert"), std::string_view::npos) << text;
  }
}

TEST(ExitCode, FailuresCarryOneLine) {
  try {
    fail_with(Error::os(ENOENT, "open cert.pem"), "thing");
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, ExitCode::cannot_connect);
    EXPECT_EQ(failure.message.rfind("thing: ", 0), 0u);
    EXPECT_EQ(failure.message.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace tern::cli
