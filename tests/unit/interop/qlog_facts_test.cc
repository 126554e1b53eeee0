#include "tools/interop/qlog_facts.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace tern::interop {
namespace {

std::string record(std::string_view name, std::string_view data) {
  return "\x1e{\"time\":1,\"name\":\"" + std::string(name) + "\",\"data\":" + std::string(data) +
         "}\n";
}

TEST(QlogFacts, CountsPacketsAndFramesByDirection) {
  QlogFacts facts;
  facts.take(record("transport:packet_sent",
                    R"({"frames":[{"frame_type":"crypto"},{"frame_type":"padding"}],
                        "header":{"packet_type":"initial","packet_number":0}})"));
  facts.take(record("transport:packet_received",
                    R"({"frames":[{"frame_type":"path_challenge"},{"frame_type":"path_challenge"}],
                        "header":{"packet_type":"1RTT"}})") +
             record("transport:packet_received", R"({"header":{"packet_type":"retry"}})"));
  EXPECT_EQ(facts.packets_sent("initial"), 1u);
  EXPECT_EQ(facts.packets_received("initial"), 0u);
  EXPECT_EQ(facts.packets_received("1RTT"), 1u);
  EXPECT_EQ(facts.packets_received("retry"), 1u);
  EXPECT_EQ(facts.frames_received("path_challenge"), 2u);
  EXPECT_EQ(facts.frames_sent("path_challenge"), 0u);
}

TEST(QlogFacts, KeepsTheLargestEcnCounts) {
  QlogFacts facts;
  EXPECT_FALSE(facts.ecn_reported().any());
  for (const char* counts : {"5", "3"}) {
    facts.take(record(
        "transport:packet_received",
        R"({"frames":[{"frame_type":"ack","ect1":0,"ce":1,"ect0":)" + std::string(counts) + "}]}"));
  }
  EXPECT_EQ(facts.ecn_reported().ect0, 5u);
  EXPECT_EQ(facts.ecn_reported().ce, 1u);
  EXPECT_FALSE(facts.ecn_seen().any());
}

TEST(QlogFacts, MeasuresTheQpackStreams) {
  QlogFacts facts;
  facts.take(record("http3:stream_type_set",
                    R"({"initiator":"remote","stream_id":7,"stream_type":"qpack_encode"})"));
  facts.take(record("http3:stream_type_set",
                    R"({"initiator":"local","stream_id":6,"stream_type":"qpack_encode"})"));
  facts.take(record("transport:packet_received",
                    R"({"frames":[{"frame_type":"stream","stream_id":7,"offset":0,"length":1}]})"));
  EXPECT_EQ(facts.peer_stream_bytes("qpack_encode"), 0u) << "the type byte alone";
  facts.take(record("transport:packet_received",
                    R"({"frames":[{"frame_type":"stream","stream_id":7,"offset":1,"length":9}]})"));
  EXPECT_EQ(facts.peer_stream_bytes("qpack_encode"), 9u);
  EXPECT_EQ(facts.own_stream_bytes("qpack_encode"), 0u);
  EXPECT_EQ(facts.peer_stream_bytes("qpack_decode"), 0u);
}

TEST(QlogFacts, KeepsThePeersParametersAlone) {
  QlogFacts facts;
  facts.take(record("transport:parameters_set", R"({"owner":"local","max_idle_timeout":1})"));
  EXPECT_EQ(facts.peer_parameters(), nullptr);
  facts.take(record("transport:parameters_set", R"({"owner":"remote","max_idle_timeout":2})"));
  ASSERT_NE(facts.peer_parameters(), nullptr);
  EXPECT_EQ(facts.peer_parameters()->count_of("max_idle_timeout"), 2u);
}

TEST(QlogFacts, IgnoresWhatItCannotRead) {
  QlogFacts facts;
  facts.take("\x1e{\"name\":\x1e\x1e{}\n\x1e[]\n");
  facts.take(record("transport:packet_sent", "{\"frames\":7}"));
  EXPECT_EQ(facts.packets_sent(""), 0u);
}

}  // namespace
}  // namespace tern::interop
