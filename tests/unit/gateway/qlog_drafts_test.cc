#include "gateway/qlog_drafts.h"

#include <string>

#include <gtest/gtest.h>

namespace tern {
namespace {

std::string event(const std::string& name, const std::string& data) {
  return "\x1e{\"time\":7,\"name\":\"" + name + "\",\"data\":{" + data + "}}\n";
}

std::string frame(const std::string& members) {
  return event("transport:packet_sent",
               "\"frames\":[{" + members +
                   "}],\"header\":{\"packet_type\":\"1RTT\",\"packet_number\":3},"
                   "\"raw\":{\"length\":1200}");
}

std::string frame_now(const std::string& members) {
  return event("quic:packet_sent",
               "\"frames\":[{" + members +
                   "}],\"header\":{\"packet_type\":\"1RTT\",\"packet_number\":3},"
                   "\"raw\":{\"length\":1200}");
}

TEST(QlogDrafts, HeaderNamesTheSchemas) {
  const std::string header = qlog_in_drafts(
      "\x1e{\"qlog_format\":\"JSON-SEQ\",\"qlog_version\":\"0.3\",\"trace\":{\"vantage_point\":{"
      "\"name\":\"ngtcp2\",\"type\":\"server\"},\"common_fields\":{\"protocol_type\":[\"QUIC\"],"
      "\"time_format\":\"relative\",\"reference_time\":0,\"group_id\":\"00ff\"}}}\n");
  EXPECT_EQ(header,
            "\x1e{\"file_schema\":\"urn:ietf:params:qlog:file:sequential\","
            "\"serialization_format\":\"application/qlog+json-seq\",\"trace\":{"
            "\"common_fields\":{\"group_id\":\"00ff\",\"time_format\":\"relative_to_epoch\","
            "\"reference_time\":{\"clock_type\":\"monotonic\",\"epoch\":\"unknown\"}},"
            "\"vantage_point\":{\"name\":\"tern\",\"type\":\"server\"},"
            "\"event_schemas\":[\"urn:ietf:params:qlog:events:quic\","
            "\"urn:ietf:params:qlog:events:http3\"]}}\n");
}

TEST(QlogDrafts, EventsHaveTheirNewNames) {
  EXPECT_EQ(qlog_in_drafts(event("recovery:metrics_updated", "\"min_rtt\":1")),
            event("quic:recovery_metrics_updated", "\"min_rtt\":1"));
  EXPECT_EQ(qlog_in_drafts(event("recovery:packet_lost", "\"header\":{}")),
            event("quic:packet_lost", "\"header\":{}"));
  EXPECT_EQ(
      qlog_in_drafts(event("transport:parameters_set",
                           "\"owner\":\"remote\",\"stateless_reset_token\":{\"data\":\"0a0b\"},"
                           "\"max_ack_delay\":25")),
      event("quic:parameters_set",
            "\"initiator\":\"remote\",\"stateless_reset_token\":\"0a0b\",\"max_ack_delay\":25"));
  // Whatever a peer writes into a field of HTTP/3's.
  const std::string http3 = event("http3:frame_created", R"("value":"x,\"length\":3")");
  EXPECT_EQ(qlog_in_drafts(http3), http3);
}

TEST(QlogDrafts, FramesHaveTheirNewMembers) {
  EXPECT_EQ(qlog_in_drafts(frame(R"("frame_type":"crypto","offset":0,"length":246)")),
            frame_now(R"("frame_type":"crypto","offset":0,"raw":{"length":246})"));
  EXPECT_EQ(
      qlog_in_drafts(
          frame(R"("frame_type":"stream","stream_id":0,"offset":5,"length":41,"fin":true)")),
      frame_now(
          R"("frame_type":"stream","stream_id":0,"offset":5,"raw":{"length":41},"fin":true)"));
  EXPECT_EQ(
      qlog_in_drafts(frame(R"("frame_type":"new_token","length":2,"token":{"data":"0a0b"})")),
      frame_now(R"("frame_type":"new_token","raw":{"length":2},"token":{"raw":{"data":"0a0b"}})"));
  EXPECT_EQ(qlog_in_drafts(frame(
                R"("frame_type":"new_connection_id","stateless_reset_token":{"data":"0a0b"})")),
            frame_now(R"("frame_type":"new_connection_id","stateless_reset_token":"0a0b")"));
}

TEST(QlogDrafts, ARetrysTokenIsInItsHeader) {
  EXPECT_EQ(
      qlog_in_drafts(event(
          "transport:packet_received",
          R"("header":{"packet_type":"retry","packet_number":0},"retry_token":{"data":"0a"})")),
      event(
          "quic:packet_received",
          R"("header":{"packet_type":"retry","packet_number":0,"token":{"type":"retry","raw":{"data":"0a"}}})"));
}

TEST(QlogDrafts, ErrorsHaveNames) {
  const auto close = [](const std::string& space, const std::string& code) {
    return R"("frame_type":"connection_close","error_space":")" + space + R"(",)" + code;
  };
  EXPECT_EQ(qlog_in_drafts(frame(close("transport", R"("error_code":10,"raw_error_code":10)"))),
            frame_now(close("transport", R"("error":"protocol_violation","error_code":10)")));
  EXPECT_EQ(qlog_in_drafts(frame(close("transport", R"("error_code":376,"raw_error_code":376)"))),
            frame_now(close("transport", R"("error":"crypto_error_0x178","error_code":376)")));
  EXPECT_EQ(qlog_in_drafts(frame(close("transport", R"("error_code":999,"raw_error_code":999)"))),
            frame_now(close("transport", R"("error":"unknown","error_code":999)")));
  EXPECT_EQ(qlog_in_drafts(frame(close("application", R"("error_code":256,"raw_error_code":256)"))),
            frame_now(close("application", R"("error":"unknown","error_code":256)")));
  EXPECT_EQ(
      qlog_in_drafts(frame(R"("frame_type":"stop_sending","stream_id":0,"error_code":268)")),
      frame_now(R"("frame_type":"stop_sending","stream_id":0,"error":"unknown","error_code":268)"));
}

}  // namespace
}  // namespace tern
