// A tunnel through a proxy that the test plays.

#include "http/fallback/tunnel.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/fallback/hand_stream.h"
#include "transport/sim/world.h"

namespace tern::fallback {
namespace {

using testing::HandStream;
using testing::Wire;

struct Heard final : tcp::StreamSink {
  void connected(tcp::Stream& stream) override {
    is_connected = true;
    if (on_connected) on_connected(stream);
  }
  void receive(tcp::Stream&, MutableBytes bytes) override { received += as_text(bytes); }
  void end_of_stream(tcp::Stream&) override { ended = true; }
  void failed(tcp::Stream&, const Error& failure) override { error = failure; }
  std::function<void(tcp::Stream&)> on_connected;
  bool is_connected = false;
  bool ended = false;
  std::string received;
  std::optional<Error> error;
};

class TunnelTest : public ::testing::Test {
 protected:
  void open(std::string authorization = {}) {
    TunnelRequest request;
    request.authority = "example.org:443";
    request.authorization = std::move(authorization);
    TunnelNetwork network(
        host_.runtime(),
        [this](const tcp::ConnectOptions&,
               tcp::StreamSink& sink) -> Result<std::unique_ptr<tcp::Stream>> {
          auto stream = std::make_unique<HandStream>(wire_);
          stream->attach(sink);
          return stream;
        },
        std::move(request));
    auto made = network.connect(tcp::ConnectOptions(), heard_);
    ASSERT_TRUE(made);
    stream_ = std::move(*made);
    wire_->sink->connected(*wire_->stream);
  }
  void answer(std::string text) {
    wire_->sink->receive(*wire_->stream,
                         MutableBytes(reinterpret_cast<std::uint8_t*>(text.data()), text.size()));
  }

  sim::World world_{1};
  sim::Host& host_ = world_.host("client");
  std::shared_ptr<Wire> wire_ = std::make_shared<Wire>();
  Heard heard_;
  std::unique_ptr<tcp::Stream> stream_;
};

TEST_F(TunnelTest, AsksAndThenCarries) {
  open("Basic eDp5");
  EXPECT_EQ(wire_->sent,
            "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n"
            "proxy-authorization: Basic eDp5\r\n\r\n");
  wire_->sent.clear();
  ASSERT_TRUE(stream_->write(Bytes::copy("early")));
  EXPECT_EQ(wire_->sent, "") << "it waits for the tunnel";
  answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nproxy-agent: x\r\n");
  EXPECT_FALSE(heard_.is_connected);
  answer("content-length: 3\r\n\r\nabcdef");
  EXPECT_TRUE(heard_.is_connected);
  EXPECT_EQ(heard_.received, "abcdef") << "a 2xx answer to CONNECT has no body";
  EXPECT_EQ(wire_->sent, "early");
  answer("more");
  EXPECT_EQ(heard_.received, "abcdefmore");
  ASSERT_TRUE(stream_->write(Bytes::copy(" and late")));
  EXPECT_EQ(wire_->sent, "early and late");
  stream_->finish();
  EXPECT_TRUE(wire_->finished);
  wire_->sink->end_of_stream(*wire_->stream);
  EXPECT_TRUE(heard_.ended);
  EXPECT_FALSE(heard_.error);
}

TEST_F(TunnelTest, WhatWaitedGoesBeforeWhatTheSinkWritesWhenItStands) {
  heard_.on_connected = [](tcp::Stream& stream) {
    ASSERT_TRUE(stream.write(Bytes::copy(" late")));
    stream.finish();
  };
  open();
  ASSERT_TRUE(stream_->write(Bytes::copy("early")));
  wire_->sent.clear();
  answer("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(wire_->sent, "early late");
  EXPECT_TRUE(wire_->finished);
}

TEST_F(TunnelTest, WhatFollowsAtOnceWaitsForAReaderThatPauses) {
  heard_.on_connected = [](tcp::Stream& stream) { stream.pause(); };
  open();
  answer("HTTP/1.1 200 OK\r\n\r\nhello");
  EXPECT_TRUE(heard_.is_connected);
  EXPECT_TRUE(wire_->paused);
  EXPECT_EQ(heard_.received, "");
  stream_->resume();
  EXPECT_EQ(heard_.received, "") << "not from inside the call";
  world_.run_for(std::chrono::milliseconds(1));
  EXPECT_EQ(heard_.received, "hello");
  EXPECT_FALSE(wire_->paused);
}

TEST_F(TunnelTest, TheSinkMayEndItWhenItStands) {
  heard_.on_connected = [this](tcp::Stream&) { stream_.reset(); };
  open();
  answer("HTTP/1.1 200 OK\r\n\r\nhello");
  EXPECT_TRUE(wire_->gone);
  EXPECT_EQ(heard_.received, "");
}

TEST_F(TunnelTest, Refusals) {
  open();
  answer("HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n");
  ASSERT_TRUE(heard_.error);
  EXPECT_EQ(heard_.error->domain, Domain::http);
  EXPECT_EQ(heard_.error->code, 407u);
  EXPECT_EQ(heard_.error->origin, Origin::remote);
  EXPECT_NE(heard_.error->detail.find("example.org:443"), std::string::npos);
  EXPECT_TRUE(wire_->reset);
  EXPECT_FALSE(stream_->write(Bytes::copy("x")));
}

TEST_F(TunnelTest, AnswersThatAreNone) {
  std::string many;
  for (int i = 0; i < 20; ++i) many += "HTTP/1.1 102 Wait\r\n\r\n";
  for (const std::string& text :
       {std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"), many,
        std::string("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")}) {
    wire_ = std::make_shared<Wire>();
    heard_.error.reset();
    open();
    answer(text);
    ASSERT_TRUE(heard_.error) << text;
    EXPECT_TRUE(heard_.error->is(Code::invalid)) << heard_.error->to_string();
    EXPECT_TRUE(wire_->reset);
  }
  wire_ = std::make_shared<Wire>();
  open();
  wire_->sink->end_of_stream(*wire_->stream);
  EXPECT_TRUE(heard_.error->is(Code::closed));
}

TEST_F(TunnelTest, TheProxysOwnFailures) {
  open();
  wire_->sink->failed(*wire_->stream, Error(Code::certificate, "self-signed certificate"));
  EXPECT_TRUE(heard_.error->is(Code::certificate));
  EXPECT_EQ(heard_.error->detail, "the proxy: self-signed certificate");
}

}  // namespace
}  // namespace tern::fallback
