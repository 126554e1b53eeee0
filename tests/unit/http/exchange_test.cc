#include "http/exchange.h"

#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/http/recording_carrier.h"

namespace tern::http {
namespace {

using test::answer;
using test::get;
using test::RecordingCarrier;
using test::request;
using test::with;
using test::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Task<void> hello(Exchange& exchange) { co_await exchange.respond(Status::ok, "hello"); }

TEST(Exchange, RespondsWithLengthTypeAndDate) {
  World world;
  const auto sent = answer(world, hello, get("/"));
  EXPECT_EQ(sent->status, 200);
  EXPECT_EQ(sent->body, "hello");
  EXPECT_EQ(sent->field("content-length"), "5");
  EXPECT_EQ(sent->field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(sent->field("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_TRUE(sent->ended);
  EXPECT_TRUE(sent->detached);
  EXPECT_EQ(sent->aborted, std::nullopt);
  EXPECT_EQ(sent->stopped, std::nullopt);
  EXPECT_EQ(sent->broken, "");
}

TEST(Exchange, LeavesTheBodyOutForHead) {
  World world;
  const auto sent = answer(world, hello, request("HEAD", "/"));
  EXPECT_EQ(sent->field("content-length"), "5");
  EXPECT_EQ(sent->body, "");
  EXPECT_TRUE(sent->ended);
}

TEST(Exchange, LeavesTheBodyOutWhereTheStatusHasNone) {
  for (const int status : {204, 205, 304}) {
    World world;
    const Handler handler = [status](Exchange& exchange) -> Task<void> {
      co_await exchange.respond(static_cast<Status>(status), "no");
    };
    const auto sent = answer(world, handler, get("/"));
    EXPECT_EQ(sent->status, status);
    EXPECT_EQ(sent->body, "");
    EXPECT_TRUE(sent->ended);
    EXPECT_EQ(sent->field("content-length"), status == 205 ? "0" : "(none)");
  }
}

Task<void> in_pieces(Exchange& exchange) {
  co_await exchange.start(Response(Status::ok).body(Bytes::copy("one ")));
  co_await exchange.write(Bytes::copy("two "));
  co_await exchange.write(Bytes());
  Fields trailers;
  trailers.add("x-sum", "7");
  co_await exchange.finish(trailers);
}

TEST(Exchange, StreamsWithTrailers) {
  World world;
  const auto sent = answer(world, in_pieces, get("/"));
  EXPECT_EQ(sent->body, "one two ");
  EXPECT_THAT(sent->pieces, SizeIs(2));
  ASSERT_TRUE(sent->trailers);
  EXPECT_EQ(sent->trailers->find("x-sum"), "7");
  EXPECT_EQ(sent->field("content-length"), "(none)");
  EXPECT_EQ(sent->broken, "");
}

TEST(Exchange, AStreamedResponseToHeadIsItsHead) {
  World world;
  const auto sent = answer(world, in_pieces, request("HEAD", "/"));
  EXPECT_EQ(sent->body, "");
  EXPECT_EQ(sent->trailers, std::nullopt);
  EXPECT_TRUE(sent->ended);
  EXPECT_EQ(sent->aborted, std::nullopt);
  EXPECT_EQ(sent->broken, "");
}

TEST(Exchange, AnswersForAHandlerThatDoesNot) {
  World world;
  const Handler silent = [](Exchange&) -> Task<void> { co_return; };
  EXPECT_EQ(answer(world, silent, get("/a\nb"))->status, 500);
  EXPECT_THAT(world.log.lines, ElementsAre("handler of GET /a\\x0ab returned without a response"));

  const Handler throwing = [](Exchange&) -> Task<void> {
    throw std::runtime_error("out of luck");
    co_return;
  };
  EXPECT_EQ(answer(world, throwing, get("/"))->status, 500);
  EXPECT_THAT(world.log.lines.back(), HasSubstr("threw: out of luck"));
}

TEST(Exchange, ResetsWhatAHandlerLeavesUnfinished) {
  World world;
  const Handler quits = [](Exchange& exchange) -> Task<void> {
    co_await exchange.start(Response(Status::ok));
    co_await exchange.write(Bytes::copy("half"));
  };
  const auto sent = answer(world, quits, get("/"));
  EXPECT_EQ(sent->aborted, Abort::internal);
  EXPECT_FALSE(sent->ended);

  const Handler throws = [](Exchange& exchange) -> Task<void> {
    co_await exchange.start(Response(Status::ok));
    throw 1;
  };
  EXPECT_EQ(answer(world, throws, get("/"))->aborted, Abort::internal);
}

TEST(Exchange, ATunnelEndsWithItsHandler) {
  World world;
  RequestHead connect = request("CONNECT", "/tunnel");
  connect.protocol = "test";
  const Handler handler = [](Exchange& exchange) -> Task<void> {
    Response response(Status::ok);
    response.field("content-length", "9");
    co_await exchange.start(std::move(response));
    co_await exchange.write(Bytes::copy("bytes"));
  };
  const auto sent = answer(world, handler, connect);
  EXPECT_EQ(sent->field("content-length"), "(none)");
  EXPECT_EQ(sent->body, "bytes");
  EXPECT_TRUE(sent->ended);
  EXPECT_EQ(sent->aborted, std::nullopt);
}

TEST(Exchange, RefusesWhatIsMalformedAndStaysUsable) {
  World world;
  std::vector<std::string> refusals;
  const Handler handler = [&refusals](Exchange& exchange) -> Task<void> {
    for (const std::string_view bad : {"a b", "Upper ok", ":status", ""}) {
      Response response;
      response.field(bad, "x");
      const Result<void> sent = co_await exchange.respond(std::move(response));
      refusals.push_back(sent.error().detail);
    }
    const Result<void> split =
        co_await exchange.respond(Response().field("x-a", "1\r\nset-cookie: evil"));
    refusals.push_back(split.error().detail);
    const Result<void> interim = co_await exchange.respond(static_cast<Status>(103));
    refusals.push_back(interim.error().detail);
    const Result<void> length = co_await exchange.respond(Response().field("content-length", "9"));
    refusals.push_back(length.error().detail);
    const Result<void> early = co_await exchange.write(Bytes::copy("x"));
    refusals.push_back(early.error().detail);
    const Fields none;
    const Result<void> upgrade = co_await exchange.inform(Status::switching_protocols, none);
    refusals.push_back(upgrade.error().detail);
    const Result<void> good = co_await exchange.respond(Status::ok, "fine");
    EXPECT_TRUE(good);
    const Result<void> again = co_await exchange.respond(Status::ok, "again");
    refusals.push_back(again.error().detail);
    const Result<void> more = co_await exchange.write(Bytes::copy("x"));
    refusals.push_back(more.error().detail);
    const Result<void> late = co_await exchange.inform(Status::early_hints, none);
    refusals.push_back(late.error().detail);
  };
  const auto sent = answer(world, handler, get("/"));
  EXPECT_EQ(sent->status, 200);
  EXPECT_EQ(sent->body, "fine");
  EXPECT_EQ(sent->broken, "");
  EXPECT_THAT(refusals, SizeIs(12));
  for (const std::string& refusal : refusals) EXPECT_NE(refusal, "");
}

TEST(Exchange, HoldsItsBodyToTheContentLength) {
  World world;
  const Handler too_long = [](Exchange& exchange) -> Task<void> {
    co_await exchange.start(Response().field("content-length", "5"));
    const Result<void> more = co_await exchange.write(Bytes::copy("123456"));
    EXPECT_TRUE(!more && more.error().is(Code::invalid));
    co_await exchange.write(Bytes::copy("12345"));
    co_await exchange.finish();
  };
  auto sent = answer(world, too_long, get("/"));
  EXPECT_EQ(sent->body, "12345");
  EXPECT_TRUE(sent->ended);

  const Handler too_short = [](Exchange& exchange) -> Task<void> {
    co_await exchange.start(Response().field("content-length", "5"));
    co_await exchange.write(Bytes::copy("1234"));
    const Result<void> end = co_await exchange.finish();
    EXPECT_TRUE(!end && end.error().is(Code::invalid));
  };
  sent = answer(world, too_short, get("/"));
  EXPECT_FALSE(sent->ended);
  EXPECT_EQ(sent->aborted, Abort::internal);
}

TEST(Exchange, InterimResponsesComeFirst) {
  World world;
  const Handler handler = [](Exchange& exchange) -> Task<void> {
    Fields hints;
    hints.add("link", "</a.css>; rel=preload");
    co_await exchange.inform(Status::early_hints, hints);
    co_await exchange.respond(Status::ok, "x");
  };
  const auto sent = answer(world, handler, get("/"));
  EXPECT_THAT(sent->interim, ElementsAre(103));
  EXPECT_EQ(sent->status, 200);
}

TEST(Exchange, AReadAnswersTheExpectation) {
  World world;
  const Handler reading = [](Exchange& exchange) -> Task<void> {
    const Result<std::string> body = co_await exchange.read_all();
    co_await exchange.respond(Status::ok, *body);
  };
  const auto interim_of = [&](std::string_view expect, bool body_first) {
    RecordingCarrier carrier;
    auto exchange = std::make_unique<Exchange>(world.runtime, carrier,
                                               with(request("POST", "/"), "expect", expect));
    Incoming& incoming = exchange->incoming();
    if (body_first) incoming.push(Bytes::copy("x"));
    world.runtime.spawn(serve(reading, std::move(exchange), nullptr));
    world.runtime.turn();
    incoming.finish();
    world.runtime.turn();
    EXPECT_EQ(carrier.status, 200);
    return carrier.interim;
  };
  EXPECT_THAT(interim_of("100-continue", false), ElementsAre(100));
  EXPECT_THAT(interim_of("100-Continue", false), ElementsAre(100));
  EXPECT_THAT(interim_of("100-continue", true), ElementsAre());
  EXPECT_THAT(interim_of("more", false), ElementsAre());
  EXPECT_THAT(answer(world, hello, with(get("/"), "expect", "100-continue"))->interim,
              ElementsAre());
}

/// A handler that reads while it answers: the client keeps its body until it hears that it may
/// come.
TEST(Exchange, AResponseThatBeginsAnswersTheExpectation) {
  World world;
  const auto interim_of = [&](const Handler& handler, bool body_first = false) {
    RecordingCarrier carrier;
    auto exchange = std::make_unique<Exchange>(
        world.runtime, carrier, with(request("POST", "/"), "expect", "100-continue"));
    if (body_first) exchange->incoming().push(Bytes::copy("x"));
    world.run(serve(handler, std::move(exchange), nullptr));
    return carrier.interim;
  };
  const auto starting = [](Status status) -> Handler {
    return [status](Exchange& exchange) -> Task<void> {
      co_await exchange.start(Response(status));
      co_await exchange.finish();
    };
  };
  EXPECT_THAT(interim_of(starting(Status::ok)), ElementsAre(100));
  EXPECT_THAT(interim_of(starting(Status::ok), true), ElementsAre());
  EXPECT_THAT(interim_of(starting(Status::forbidden)), ElementsAre());
  EXPECT_THAT(interim_of(starting(Status::no_content)), ElementsAre());
  EXPECT_THAT(interim_of(hello), ElementsAre());
}

TEST(Exchange, ReadingOpensFlowControl) {
  World world;
  RecordingCarrier carrier;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, request("POST", "/"));
  Incoming& incoming = exchange->incoming();
  incoming.push(Bytes::copy("12345"));
  std::vector<std::string> pieces;
  bool finished = false;
  const Handler handler = [&](Exchange& it) -> Task<void> {
    for (;;) {
      const Result<Bytes> piece = co_await it.read();
      if (!piece || piece->empty()) break;
      pieces.emplace_back(piece->text());
    }
    co_await it.respond(Status::ok);
    finished = true;
  };
  world.runtime.spawn(serve(handler, std::move(exchange), nullptr));
  world.runtime.turn();
  EXPECT_THAT(pieces, ElementsAre("12345"));
  EXPECT_EQ(carrier.credited, 5u);
  incoming.push(Bytes::copy("678"));
  EXPECT_EQ(carrier.credited, 5u);
  EXPECT_EQ(incoming.buffered(), 3u);
  world.runtime.turn();
  EXPECT_EQ(carrier.credited, 8u);
  EXPECT_FALSE(finished);
  incoming.finish();
  world.runtime.turn();
  EXPECT_TRUE(finished);
}

TEST(Exchange, GivesBackWhatWasNotRead) {
  World world;
  RecordingCarrier carrier;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, request("POST", "/"));
  exchange->incoming().push(Bytes::copy("12345"));
  world.run(serve(hello, std::move(exchange), nullptr));
  EXPECT_EQ(carrier.credited, 5u);
  EXPECT_EQ(carrier.stopped, Abort::no_error);
  EXPECT_TRUE(carrier.ended);
  EXPECT_TRUE(carrier.detached);
}

TEST(Exchange, StopReadingDropsTheRest) {
  World world;
  RecordingCarrier carrier;
  Exchange exchange(world.runtime, carrier, request("POST", "/"));
  exchange.incoming().push(Bytes::copy("123"));
  exchange.stop_reading(Abort::too_much);
  EXPECT_EQ(carrier.credited, 3u);
  EXPECT_EQ(carrier.stopped, Abort::too_much);
  EXPECT_FALSE(exchange.incoming().push(Bytes::copy("456")));  // the carrier credits it
  EXPECT_TRUE(exchange.incoming().take().error().is(Code::cancelled));
}

TEST(Exchange, AnErrorComesAfterWhatArrivedBefore) {
  World world;
  RecordingCarrier carrier;
  Exchange exchange(world.runtime, carrier, request("POST", "/"));
  exchange.incoming().push(Bytes::copy("123"));
  exchange.incoming().fail(Error::closed("reset"));
  exchange.incoming().finish();  // too late
  EXPECT_EQ(exchange.incoming().take()->text(), "123");
  EXPECT_EQ(exchange.incoming().take().error().detail, "reset");
}

TEST(Exchange, AResetAfterTheEndChangesNothing) {
  World world;
  RecordingCarrier carrier;
  Exchange exchange(world.runtime, carrier, request("POST", "/"));
  exchange.incoming().push(Bytes::copy("123"));
  exchange.incoming().finish();
  exchange.incoming().fail(Error::closed("reset"));
  EXPECT_EQ(exchange.incoming().take()->text(), "123");
  EXPECT_TRUE(exchange.incoming().take()->empty());
}

TEST(Exchange, BytesThatComeOneByOneShareAPiece) {
  World world;
  RecordingCarrier carrier;
  Exchange exchange(world.runtime, carrier, request("POST", "/"));
  ChunkArena arena;
  std::string sent;
  for (int i = 0; i < 5000; ++i) {
    const std::string byte(1, static_cast<char>('a' + i % 26));
    EXPECT_TRUE(exchange.incoming().push(arena, as_bytes(byte)));
    sent += byte;
  }
  EXPECT_EQ(exchange.incoming().buffered(), 5000u);
  EXPECT_EQ(exchange.incoming().take()->text(), sent);
  EXPECT_EQ(exchange.incoming().buffered(), 0u);
}

TEST(Exchange, AWriterWaitsUntilTheQueueHasDrained) {
  World world;
  RecordingCarrier carrier;
  carrier.hold = true;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, get("/"));
  Outgoing& outgoing = exchange->outgoing();
  const std::string piece(100 * 1024, 'x');
  int writes = 0;
  const Handler handler = [&](Exchange& it) -> Task<void> {
    co_await it.start(Response(Status::ok));
    for (; writes < 6; ++writes) co_await it.write(Bytes::copy(piece));
    co_await it.finish();
  };
  world.runtime.spawn(serve(handler, std::move(exchange), nullptr));
  world.runtime.turn();
  EXPECT_EQ(writes, 2);  // the third is queued, and waits
  EXPECT_EQ(carrier.queued, 300u * 1024);
  carrier.queued = Outgoing::kLowWater + 1;
  outgoing.drained();
  EXPECT_TRUE(world.runtime.ready().empty());
  carrier.queued = Outgoing::kLowWater;
  outgoing.drained();
  world.runtime.turn();
  EXPECT_EQ(writes, 4);
  carrier.hold = false;
  carrier.queued = 0;
  outgoing.drained();
  world.runtime.turn();
  EXPECT_TRUE(carrier.ended);
  EXPECT_EQ(carrier.body.size(), 6 * piece.size());
}

TEST(Exchange, AWriterLearnsThatThePeerHasGone) {
  World world;
  RecordingCarrier carrier;
  carrier.hold = true;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, get("/"));
  Exchange& ends = *exchange;
  std::optional<Error> seen;
  bool done = false;
  const Handler handler = [&](Exchange& it) -> Task<void> {
    co_await it.start(Response(Status::ok));
    const Result<void> written = co_await it.write(Bytes::copy(std::string(300 * 1024, 'x')));
    if (!written) seen = written.error();
    EXPECT_EQ(it.protocol(), "h3");
    EXPECT_EQ(it.path().remote.to_string(), "192.0.2.1:4000");
  };
  const auto finished = [&done](const Exchange& it) {
    done = true;
    EXPECT_EQ(it.status(), 200);
    EXPECT_EQ(it.sent_bytes(), 300u * 1024);
  };
  world.runtime.spawn(serve(handler, std::move(exchange), finished));
  world.runtime.turn();
  EXPECT_FALSE(seen);
  ends.carrier_gone(Error::closed("idle timeout"));
  world.runtime.turn();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->detail, "idle timeout");
  EXPECT_TRUE(done);
  EXPECT_FALSE(carrier.detached);  // it was not called any more
  EXPECT_EQ(carrier.aborted, std::nullopt);
}

/// Waits until an exchange's message fails, without writing.
class Failure {
 public:
  explicit Failure(Exchange& exchange) : exchange_(exchange) {}
  bool await_ready() const noexcept { return exchange_.outgoing().failed(); }
  void await_suspend(std::coroutine_handle<> handle) noexcept {
    waiter_.suspend(handle);
    exchange_.outgoing().watcher = &waiter_;
  }
  void await_resume() noexcept { exchange_.outgoing().watcher = nullptr; }

 private:
  Exchange& exchange_;
  Waiter waiter_;
};

TEST(Exchange, WhoeverWatchesLearnsThatThePeerHasGone) {
  World world;
  RecordingCarrier carrier;
  auto exchange = std::make_unique<Exchange>(world.runtime, carrier, get("/"));
  Exchange& ends = *exchange;
  bool seen = false;
  const Handler handler = [&](Exchange& it) -> Task<void> {
    Failure failure(it);
    co_await failure;
    seen = it.outgoing().failed();
  };
  world.runtime.spawn(serve(handler, std::move(exchange), nullptr));
  world.runtime.turn();
  EXPECT_FALSE(seen);
  ends.outgoing().fail(Error(Code::cancelled, "the peer does not want it", Origin::remote));
  world.runtime.turn();
  EXPECT_TRUE(seen);
}

TEST(Exchange, CancellingTheTaskResetsTheStream) {
  RecordingCarrier carrier;
  {
    World world;
    auto exchange = std::make_unique<Exchange>(world.runtime, carrier, request("POST", "/"));
    const Handler handler = [](Exchange& it) -> Task<void> {
      const Result<Bytes> piece = co_await it.read();
      ADD_FAILURE() << "was not cancelled";
    };
    world.runtime.spawn(serve(handler, std::move(exchange), nullptr));
    world.runtime.turn();
  }
  EXPECT_EQ(carrier.aborted, Abort::cancelled);
  EXPECT_TRUE(carrier.detached);
}

TEST(Exchange, DatagramsKeepTheLatest) {
  World world;
  RecordingCarrier carrier;
  Exchange exchange(world.runtime, carrier, get("/"));
  for (std::size_t i = 0; i < Incoming::kMaxDatagrams + 2; ++i) {
    exchange.incoming().push_datagram(Bytes::copy(std::to_string(i)));
  }
  EXPECT_EQ(exchange.incoming().take_datagram()->text(), "2");
  EXPECT_TRUE(exchange.send_datagram(as_bytes("x")));
  EXPECT_EQ(exchange.max_datagram(), 1200u);
  exchange.carrier_gone(Error::closed());
  EXPECT_FALSE(exchange.send_datagram(as_bytes("x")));
  EXPECT_EQ(exchange.max_datagram(), 0u);
}

TEST(Exchange, ReadAllHasALimit) {
  World world;
  const Handler handler = [](Exchange& exchange) -> Task<void> {
    const Result<std::string> body = co_await exchange.read_all(5);
    const Status status = body ? Status::ok : Status::content_too_large;
    const std::string& said = body ? *body : body.error().detail;
    co_await exchange.respond(status, said);
  };
  EXPECT_EQ(answer(world, handler, request("POST", "/"), "12345")->body, "12345");
  EXPECT_EQ(answer(world, handler, request("POST", "/"), "123456")->status, 413);
}

// ---- client -------------------------------------------------------------------------------------

TEST(ClientExchange, WaitsForTheResponse) {
  World world;
  RecordingCarrier carrier;
  ClientExchange exchange(world.runtime, carrier);
  std::string seen;
  const auto client = [&]() -> Task<void> {
    const RequestHead head = get("/x");
    const Result<void> sent = co_await exchange.send(head, true);
    EXPECT_TRUE(sent);
    Result<Response> response = co_await exchange.response();
    if (!response) co_return;
    seen = std::string(response->fields().find("x-a").value_or(""));
    const Result<std::string> body = co_await exchange.read_all();
    seen += *body;
  };
  world.runtime.spawn(client());
  world.runtime.turn();
  ASSERT_TRUE(carrier.request);
  EXPECT_EQ(carrier.request->path, "/x");
  EXPECT_TRUE(carrier.ended);
  Fields fields;
  fields.add("x-a", "1");
  exchange.on_interim(Status::early_hints, fields);
  exchange.on_response(Status::ok, fields);
  exchange.incoming().push(Bytes::copy("23"));
  world.runtime.turn();
  EXPECT_EQ(seen, "1");
  exchange.incoming().finish();
  world.runtime.turn();
  EXPECT_EQ(seen, "123");
  EXPECT_THAT(exchange.interim(), SizeIs(1));
}

TEST(ClientExchange, TheConnectionsEndIsTheResponsesError) {
  World world;
  RecordingCarrier carrier;
  ClientExchange exchange(world.runtime, carrier);
  std::string seen;
  const auto client = [&]() -> Task<void> {
    const Result<Response> response = co_await exchange.response();
    seen = response ? "a response" : response.error().detail;
  };
  world.runtime.spawn(client());
  world.runtime.turn();
  exchange.carrier_gone(Error::closed("lost"));
  world.runtime.turn();
  EXPECT_EQ(seen, "lost");
}

TEST(ClientExchange, DroppingItCancelsTheRequest) {
  World world;
  RecordingCarrier carrier;
  {
    ClientExchange exchange(world.runtime, carrier);
    exchange.incoming().push(Bytes::copy("12"));
  }
  EXPECT_EQ(carrier.aborted, Abort::cancelled);
  EXPECT_EQ(carrier.credited, 2u);
  EXPECT_TRUE(carrier.detached);

  RecordingCarrier complete;
  {
    ClientExchange exchange(world.runtime, complete);
    const auto client = [&]() -> Task<void> {
      const RequestHead head = get("/");
      co_await exchange.send(head, true);
    };
    world.run(client());
    exchange.on_response(Status::ok, Fields());
    exchange.incoming().finish();
  }
  EXPECT_EQ(complete.aborted, std::nullopt);
  EXPECT_TRUE(complete.detached);
}

TEST(ClientExchange, RefusesAMalformedHead) {
  World world;
  const auto refused = [&world](RequestHead head, bool end = true) {
    RecordingCarrier carrier;
    ClientExchange exchange(world.runtime, carrier);
    bool invalid = false;
    const auto client = [&]() -> Task<void> {
      const Result<void> sent = co_await exchange.send(head, end);
      invalid = !sent && sent.error().is(Code::invalid);
    };
    world.run(client());
    EXPECT_EQ(carrier.request.has_value(), !invalid);
    return invalid;
  };
  EXPECT_FALSE(refused(get("/")));
  EXPECT_TRUE(refused(get("")));
  EXPECT_TRUE(refused(get("/a b")));
  EXPECT_TRUE(refused(get("/a\r\nb")));
  EXPECT_TRUE(refused(request("GE T", "/")));
  EXPECT_TRUE(refused(request("", "/")));
  EXPECT_TRUE(refused(with(get("/"), "a\n", "b")));
  EXPECT_TRUE(refused(with(get("/"), "content-length", "5")));
  EXPECT_FALSE(refused(with(get("/"), "content-length", "5"), false));
  RequestHead connect = request("CONNECT", "");
  EXPECT_FALSE(refused(connect));
  connect.authority.clear();
  EXPECT_TRUE(refused(connect));
  RequestHead protocol = get("/");
  protocol.protocol = "webtransport";
  EXPECT_TRUE(refused(protocol));
}

}  // namespace
}  // namespace tern::http
