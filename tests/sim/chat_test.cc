#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "examples/chat/site.h"
#include "examples/chat/visit.h"
#include "tests/sim/scene.h"
#include "webtransport/client.h"
#include "webtransport/session.h"

/// The chat's room between the public `Server` and `Client`, over networks, on different carriers.

namespace tern::sim {
namespace {

using testing::Contains;
using testing::HasSubstr;
using webtransport::Session;
using webtransport::Stream;

webtransport::Carrier carrier_named(std::string_view name) {
  if (name == "h3") return webtransport::Carrier::http3;
  return name == "h2" ? webtransport::Carrier::http2 : webtransport::Carrier::websocket;
}

/// Somebody in the room.
class Person {
 public:
  Person(Scene& scene, std::string carrier, bool reads = true)
      : runtime_(scene.client_host.runtime()), reads_(reads), scope_(runtime_.ready()) {
    scope_.spawn(stay(scene.client(), std::move(carrier)));
  }

  void say(std::string what) { scope_.spawn(send(std::move(what))); }
  void type() { session->send_datagram(Bytes::literal("typing")); }
  bool heard(std::string_view what) const { return text.find(what) != std::string::npos; }

  std::unique_ptr<Session> session;
  std::string text;  // all lines
  std::vector<std::string> datagrams;
  std::optional<webtransport::SessionClose> close;

 private:
  Task<void> stay(Client& client, std::string carrier) {
    ClientRequest request("https://server/chat/room");
    webtransport::ClientOptions options;
    options.carrier(carrier_named(carrier));
    Result<std::unique_ptr<Session>> entered =
        co_await client.webtransport(std::move(request), std::move(options));
    if (!entered) co_return;
    session = std::move(*entered);
    if (reads_) {
      scope_.spawn(listen());
      scope_.spawn(watch());
    }
    co_await session->wait_until_ended();
    close = *session->closed();
  }
  Task<void> listen() {
    const std::unique_ptr<Stream> stream = co_await session->accept_unidirectional();
    if (stream == nullptr) co_return;
    for (;;) {
      const Result<Bytes> piece = co_await stream->read();
      if (!piece || piece->empty()) break;
      text += piece->text();
    }
  }
  Task<void> watch() {
    for (;;) {
      const std::optional<Bytes> datagram = co_await session->receive_datagram();
      if (!datagram) break;
      datagrams.emplace_back(datagram->text());
    }
  }
  Task<void> send(std::string what) {
    const Result<std::unique_ptr<Stream>> stream = co_await session->open_unidirectional();
    if (!stream) co_return;
    co_await (*stream)->finish(Bytes::take(std::move(what)));
  }

  Runtime& runtime_;
  bool reads_;
  Scope scope_;
};

class Chat : public testing::Test {
 public:
  Chat() {
    scene.link(LinkOptions().delay(20ms).mbps(20));
    scene.use_client(scene.client_options().protocols(ClientProtocols::automatic));
    chat::add_chat(scene.router, room);
    scene.serve();
  }
  bool wait(const std::function<bool()>& condition) {
    return scene.world.run_until(condition, 60s);
  }

  Scene scene;
  std::shared_ptr<chat::Room> room = chat::Room::make();
};

TEST_F(Chat, CarriersShareARoom) {
  Person ada(scene, "h3");
  ASSERT_TRUE(wait([&] { return ada.heard("welcome"); }));
  Person bob(scene, "websocket");
  ASSERT_TRUE(wait([&] { return bob.heard("welcome") && ada.heard("joined"); }));
  Person cleo(scene, "h2");
  ASSERT_TRUE(wait([&] { return cleo.heard("welcome") && bob.heard(R"("id":3)"); }));
  for (const char* carrier : {"h3", "h2", "websocket"}) {
    EXPECT_TRUE(cleo.heard(R"("carrier":")" + std::string(carrier) + "\"")) << cleo.text;
  }
  EXPECT_TRUE(ada.heard(R"({"type":"joined","id":3,"name":"guest 3","carrier":"h2"})")) << ada.text;
  const std::vector<Person*> all = {&ada, &bob, &cleo};
  bob.say("/name Bob");
  ada.say("hello over QUIC");
  bob.say("hello over a WebSocket");
  cleo.say("hello over HTTP/2");
  for (Person* person : all) {
    ASSERT_TRUE(wait([&] {
      return person->heard("hello over QUIC") && person->heard("hello over a WebSocket") &&
             person->heard("hello over HTTP/2") && person->heard(R"("name":"Bob")");
    }));
  }
  for (Person* person : all) person->type();
  ASSERT_TRUE(wait([&] {
    return ada.datagrams.size() == 2 && bob.datagrams.size() == 2 && cleo.datagrams.size() == 2;
  }));
  EXPECT_THAT(ada.datagrams, Contains(R"({"type":"typing","id":2})"));
  EXPECT_THAT(bob.datagrams, Contains(R"({"type":"typing","id":3})"));
  EXPECT_THAT(cleo.datagrams, Contains(R"({"type":"typing","id":1})"));
  bob.session->close();
  ASSERT_TRUE(wait([&] { return ada.heard(R"({"type":"left","id":2})"); }));
  ada.session->close();
  cleo.session->close();
  ASSERT_TRUE(wait([&] { return room->seats() == 0; }));
}

TEST_F(Chat, MessagesThatAreNoneAreToldToTheirWriterAlone) {
  Person ada(scene, "h3");
  Person bob(scene, "websocket");
  ASSERT_TRUE(wait([&] { return ada.heard("welcome") && bob.heard("welcome"); }));
  for (Person* person : {&ada, &bob}) {
    person->say(std::string(100'000, 'x'));
    ASSERT_TRUE(wait([&] { return person->heard("up to 2000 bytes"); }));
    person->text.clear();
    person->say("\xff\xfe");
    ASSERT_TRUE(wait([&] { return person->heard("up to 2000 bytes"); }));
  }
  ada.say("fine");
  ASSERT_TRUE(wait([&] { return bob.heard("fine"); }));
  EXPECT_FALSE(bob.heard("xxxx"));
}

TEST_F(Chat, AFloodEndsTheSession) {
  for (const char* carrier : {"h3", "h2", "websocket"}) {
    Person ada(scene, carrier);
    ASSERT_TRUE(wait([&] { return ada.heard("welcome"); }));
    for (int i = 0; i < 60; ++i) ada.say("flood");
    ASSERT_TRUE(wait([&] { return ada.close.has_value(); })) << carrier;
    EXPECT_EQ(ada.close->code, chat::kFlooding) << carrier;
    EXPECT_EQ(ada.close->by, Origin::remote);
  }
}

TEST_F(Chat, WhoDoesNotReadIsSentAway) {
  for (const char* carrier : {"h3", "h2", "websocket"}) {
    Person slow(scene, carrier, false);
    Person ada(scene, "h3");
    ASSERT_TRUE(wait([&] { return ada.heard("welcome") && slow.session != nullptr; }));
    const std::string text(2000, 'x');
    // Windows, the stream's queue, and then what may wait.
    int sent = 0;
    for (; !slow.close && sent < 2000; ++sent) {
      ada.say(text);
      scene.world.run_for(chat::Seat::kInterval);
    }
    ASSERT_TRUE(slow.close) << carrier;
    EXPECT_EQ(slow.close->code, chat::kTooSlow) << carrier;
    EXPECT_LT(sent * 2000, 2 * 1024 * 1024) << carrier;
    EXPECT_FALSE(ada.close);
  }
}

class Sitter final : public chat::Guest {
 public:
  void datagram(Bytes) override {}
  void dismiss(Dismissal) override {}
};

TEST_F(Chat, AFullRoomSaysSo) {
  Sitter sitter;
  std::vector<std::unique_ptr<chat::Seat>> seats;
  while (room->seats() < chat::Room::kMaxSeats) {
    auto seat = room->join(scene.client_host.runtime(), "h3", sitter);
    ASSERT_TRUE(seat);
    seats.push_back(std::move(*seat));
  }
  Person late(scene, "h3");
  ASSERT_TRUE(wait([&] { return late.close.has_value(); }));
  EXPECT_EQ(late.close->code, chat::kRoomFull);
  seats.pop_back();
  Person lucky(scene, "websocket");
  ASSERT_TRUE(wait([&] { return lucky.heard("welcome"); }));
}

TEST_F(Chat, ItsPageIsThere) {
  EXPECT_EQ(scene.fetch("/chat/").status, 200);
  EXPECT_THAT(scene.fetch("/chat/chat.js").text, HasSubstr("mount"));
  EXPECT_EQ(scene.fetch("/chat").status, 302);
  EXPECT_EQ(scene.fetch("/chat/settings").text, "{\"certificates\":[]}\n");
}

}  // namespace
}  // namespace tern::sim
