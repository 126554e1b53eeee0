// What becomes of a send for each answer the kernel may give, including those that no loopback
// device gives. The kernel's answer is scripted; the rest is the engines' own code and real
// sockets.

#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <sys/socket.h>

#include "tests/unit/engine/engine_fixture.h"
#include "transport/engine/engine_network.h"

namespace tern::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// An engine whose kernel says what the test says.
class ScriptedNetwork final : public EngineNetwork {
 public:
  struct State final : SocketState {
    explicit State(UdpSocket&& opened) : descriptor(std::move(opened)) {}
    UdpSocket descriptor;
  };

  ScriptedNetwork() : EngineNetwork(EngineOptions().slabs(1), "scripted") {
    EXPECT_TRUE(open_shared());
  }
  Duration wait(Timestamp) override { return {}; }
  void reap(Timestamp) override { run_callbacks(); }
  Result<std::unique_ptr<udp::Socket>> take_in(UdpSocket&& opened, udp::Sink& sink, bool) override {
    state = std::make_unique<State>(std::move(opened));
    state->sink = &sink;
    state->fd = state->descriptor.fd();
    state->local = state->descriptor.local();
    auto handle = std::make_unique<SocketHandle>(*this, *state);
    state->handle = handle.get();
    return handle;
  }
  /// Only prepares: the test decides about each operation.
  void submit(udp::Slab* slab) override { static_cast<SendSlab*>(slab)->prepare(); }
  Result<void> poll_interfaces(int) override { return {}; }
  tcp::Network& tcp() override { throw std::logic_error("only datagrams are scripted"); }
  void close(SocketState& socket) override {
    socket.sink = nullptr;
    drop_backlog(socket);
    forget_failures(socket);
  }
  void pause(SocketState&) override {}
  void resume(SocketState&) override {}

  void give_back(udp::Slab* slab) { pool_.release(*static_cast<SendSlab*>(slab)); }

  using EngineNetwork::complete;
  using EngineNetwork::Next;
  using EngineNetwork::send_held;

  std::unique_ptr<State> state;
};

class SendFateTest : public testing::Test {
 protected:
  SendFateTest() {
    udp::SocketOptions options;
    options.bind = udp::Address::v4(INADDR_LOOPBACK, 0);
    socket = std::move(*network.open(options, recorder));
    auto opened = UdpSocket::open(options, EngineOptions().offload(false));
    EXPECT_TRUE(opened);
    receiver.emplace(std::move(*opened));
  }

  /// A Transmit of each text, in datagrams of two bytes.
  std::vector<SendOperation>& submit(std::initializer_list<std::string_view> texts) {
    auto* slab = static_cast<SendSlab*>(network.acquire());
    EXPECT_NE(slab, nullptr);
    std::uint32_t used = 0;
    for (const std::string_view text : texts) {
      std::memcpy(slab->space().data() + used, text.data(), text.size());
      udp::Transmit transmit;
      transmit.path.remote = receiver->local();
      transmit.offset = used;
      transmit.length = static_cast<std::uint32_t>(text.size());
      transmit.segment_size = 2;
      slab->add(*socket, transmit);
      used += transmit.length;
    }
    network.submit(slab);
    return slab->operations();
  }
  std::vector<std::string> received() {
    std::vector<std::string> datagrams;
    char buffer[64];
    for (ssize_t size = 0;
         (size = ::recv(receiver->fd(), buffer, sizeof buffer, MSG_DONTWAIT)) >= 0;) {
      datagrams.emplace_back(buffer, static_cast<std::size_t>(size));
    }
    return datagrams;
  }
  /// The only slab: with anything unfinished it is not to be had.
  bool slab_is_free() {
    udp::Slab* slab = network.acquire();
    if (slab == nullptr) return false;
    network.give_back(slab);
    return true;
  }
  std::vector<int> failures() {
    network.reap(Timestamp());
    std::vector<int> errors;
    for (const auto& failure : recorder.failures) errors.push_back(failure.error);
    return errors;
  }

  ScriptedNetwork network;
  Recorder recorder;
  std::unique_ptr<udp::Socket> socket;
  std::optional<UdpSocket> receiver;
};

using Next = ScriptedNetwork::Next;

TEST_F(SendFateTest, SuccessFreesTheSlabWithTheLastOperation) {
  auto& operations = submit({"aabb", "cc"});
  EXPECT_EQ(network.complete(operations[1], 0, false), Next::nothing);
  EXPECT_EQ(network.acquire(), nullptr);
  EXPECT_EQ(network.complete(operations[0], 0, false), Next::nothing);
  EXPECT_TRUE(slab_is_free());
  EXPECT_THAT(failures(), IsEmpty());
}

TEST_F(SendFateTest, AFullSocketKeepsTheOrder) {
  auto& operations = submit({"aabb", "cc", "ddee"});
  for (SendOperation& operation : operations) {
    EXPECT_EQ(network.complete(operation, EAGAIN, false), Next::wait_until_writable);
  }
  EXPECT_TRUE(network.state->blocked());
  EXPECT_TRUE(network.send_held(*network.state));
  EXPECT_THAT(received(), ElementsAre("aa", "bb", "cc", "dd", "ee"));
  EXPECT_TRUE(slab_is_free());
}

TEST_F(SendFateTest, ADeviceThatCannotSegmentIsRememberedAndNothingIsLost) {
  auto& operations = submit({"aabbc", "dd", "eeff"});
  EXPECT_EQ(network.complete(operations[0], EIO, false), Next::send_held);
  EXPECT_FALSE(network.state->segmentation);
  EXPECT_EQ(network.complete(operations[1], EAGAIN, false), Next::wait_until_writable);
  EXPECT_EQ(network.complete(operations[2], EIO, false), Next::send_held);
  EXPECT_TRUE(network.send_held(*network.state));
  EXPECT_THAT(received(), ElementsAre("aa", "bb", "c", "dd", "ee", "ff"));
  EXPECT_TRUE(slab_is_free());
  EXPECT_THAT(failures(), IsEmpty());
}

TEST_F(SendFateTest, AKernelThatCannotSegmentIsRemembered) {
  auto& operations = submit({"aabbc"});
  EXPECT_EQ(network.complete(operations[0], EINVAL, false), Next::send_held);
  EXPECT_TRUE(network.send_held(*network.state));
  EXPECT_THAT(received(), ElementsAre("aa", "bb", "c"));
  EXPECT_FALSE(network.state->segmentation);
}

/// The kernel says the same of segments that are larger than the device takes; that the last one,
/// which is shorter, goes through says nothing of segmentation.
TEST_F(SendFateTest, OneThatCannotSegmentSoLargeIsNot) {
  auto& operations = submit({"aabbc"});
  EXPECT_EQ(network.complete(operations[0], EINVAL, false), Next::send_held);
  for (const int error : {EMSGSIZE, EMSGSIZE, 0}) {
    network.complete(network.state->next_held(), error, true);
  }
  EXPECT_FALSE(network.state->blocked());
  EXPECT_TRUE(network.state->segmentation);
  EXPECT_THAT(failures(), ElementsAre(EMSGSIZE, EMSGSIZE));
  EXPECT_TRUE(slab_is_free());
}

TEST_F(SendFateTest, FromThenOnEachDatagramIsAnOperation) {
  network.state->segmentation = false;
  auto& operations = submit({"aabbc", "dd"});
  EXPECT_EQ(operations.size(), 4U);
  for (SendOperation& operation : operations) network.complete(operation, 0, false);
  EXPECT_TRUE(slab_is_free());
}

TEST_F(SendFateTest, EioForOneDatagramIsAFailure) {
  auto& operations = submit({"aa"});
  EXPECT_EQ(network.complete(operations[0], EIO, false), Next::nothing);
  EXPECT_TRUE(network.state->segmentation);
  EXPECT_THAT(failures(), ElementsAre(EIO));
  EXPECT_TRUE(slab_is_free());
}

TEST_F(SendFateTest, NoMemoryIsTriedOnceMore) {
  for (const int error : {ENOBUFS, ENOMEM}) {
    auto& operations = submit({"aa", "bb"});
    EXPECT_EQ(network.complete(operations[0], error, false), Next::wait_until_writable);
    EXPECT_EQ(network.complete(operations[1], 0, false), Next::nothing);
    SendOperation& again = network.state->next_held();
    EXPECT_EQ(&again, &operations[0]);
    EXPECT_EQ(network.complete(again, error, true), Next::nothing);
    EXPECT_TRUE(slab_is_free());
  }
  EXPECT_THAT(failures(), ElementsAre(ENOBUFS, ENOMEM));
}

TEST_F(SendFateTest, EverythingElseIsReportedAndTheRestGoesOn) {
  for (const int error : {EMSGSIZE, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, EPERM, EACCES}) {
    auto& operations = submit({"aa", "bb"});
    EXPECT_EQ(network.complete(operations[0], error, false), Next::nothing);
    EXPECT_EQ(network.complete(operations[1], 0, false), Next::nothing);
    EXPECT_TRUE(slab_is_free());
  }
  EXPECT_THAT(failures(),
              ElementsAre(EMSGSIZE, ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, EPERM, EACCES));
}

TEST_F(SendFateTest, ClosingDropsWhatIsHeldAndForgetsFailures) {
  auto& operations = submit({"aabb", "cc", "dd"});
  network.complete(operations[0], EAGAIN, false);
  network.complete(operations[1], EMSGSIZE, false);
  socket.reset();
  EXPECT_FALSE(network.state->blocked());
  network.complete(operations[2], ECANCELED, false);
  EXPECT_THAT(failures(), IsEmpty());
  EXPECT_THAT(received(), IsEmpty());
  EXPECT_TRUE(slab_is_free());
}

}  // namespace
}  // namespace tern::engine
