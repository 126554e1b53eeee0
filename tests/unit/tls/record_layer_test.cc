#include "transport/tls/record_layer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "transport/tls/boringssl.h"
#include "transport/tls/development.h"

namespace tern::tls {
namespace {

using Kind = RecordLayer::Step::Kind;
using ::testing::HasSubstr;

std::string text(std::size_t size, char first = 'a') {
  std::string made(size, '\0');
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<char>(first + i % 23);
  return made;
}

// ---- two of ours --------------------------------------------------------------------------------

struct Suite {
  Aead aead;
  Hash hash;
};

class RecordLayerTest : public ::testing::TestWithParam<Suite> {
 protected:
  const std::vector<std::uint8_t> up = std::vector<std::uint8_t>(secret_size(), 1);
  const std::vector<std::uint8_t> down = std::vector<std::uint8_t>(secret_size(), 2);
  RecordLayer client{true, GetParam().aead, GetParam().hash, {down, 5}, {up, 7}};
  RecordLayer server{false, GetParam().aead, GetParam().hash, {up, 7}, {down, 5}};
  /// Makes what a client of ours never would.
  RecordKey forger{GetParam().aead, GetParam().hash, up, 7};

  static std::size_t secret_size() { return GetParam().hash == Hash::sha256 ? 32 : 48; }

  static Bytes seal(RecordLayer& from, std::vector<std::string> texts) {
    std::vector<Bytes> pieces;
    for (std::string& piece : texts) pieces.push_back(Bytes::take(std::move(piece)));
    Bytes sealed = from.seal(pieces);
    for (const Bytes& piece : pieces) EXPECT_TRUE(piece.empty());
    return sealed;
  }

  /// Everything, in portions of `portion` bytes; the data together, and the last step that was not
  /// data.
  struct Read {
    std::string data;
    RecordLayer::Step last;
  };
  static Read read(RecordLayer& to, ByteView bytes, std::size_t portion = SIZE_MAX) {
    Read result;
    while (!bytes.empty()) {
      std::vector<std::uint8_t> part(
          bytes.begin(),
          bytes.begin() + static_cast<std::ptrdiff_t>(std::min(portion, bytes.size())));
      bytes = bytes.subspan(part.size());
      MutableBytes input = part;
      while (true) {
        const RecordLayer::Step step = to.next(input);
        if (step.kind == Kind::data) result.data += as_text(step.data);
        if (step.kind == Kind::nothing) break;
        if (step.kind != Kind::data) result.last = step;
        if (step.kind != Kind::data && step.kind != Kind::other) return result;
      }
      EXPECT_TRUE(input.empty());
    }
    return result;
  }

  /// A record with any content, sealed as the client's next one.
  std::vector<std::uint8_t> record(std::string content, std::uint8_t type,
                                   std::size_t padding = 0) {
    return record(forger, std::move(content), type, padding);
  }
  static std::vector<std::uint8_t> record(RecordKey& key, std::string content, std::uint8_t type,
                                          std::size_t padding = 0) {
    content += static_cast<char>(type);
    content.append(padding, '\0');
    std::vector<std::uint8_t> made(RecordLayer::kHeader + content.size() + kAeadTagLength);
    const std::size_t length = content.size() + kAeadTagLength;
    made[0] = 23;
    made[1] = made[2] = 3;
    made[3] = static_cast<std::uint8_t>(length >> 8);
    made[4] = static_cast<std::uint8_t>(length);
    std::memcpy(made.data() + RecordLayer::kHeader, content.data(), content.size());
    const std::array<std::uint8_t, 5> header{made[0], made[1], made[2], made[3], made[4]};
    key.seal({made.data() + RecordLayer::kHeader, content.size()}, header);
    return made;
  }

  void expect_failure(const Read& got, std::uint8_t alert, const char* words) {
    EXPECT_EQ(got.last.kind, Kind::failed);
    EXPECT_EQ(got.last.alert, alert);
    EXPECT_THAT(got.last.reason, HasSubstr(words));
  }
};

TEST_P(RecordLayerTest, PutsPiecesIntoAsFewRecordsAsPossible) {
  for (const std::size_t size : {1u, 100u, 16383u, 16384u, 16385u, 32768u, 50000u}) {
    SCOPED_TRACE(size);
    const Bytes sealed = seal(client, {text(size)});
    const std::size_t records = (size + 16383) / 16384;
    EXPECT_EQ(sealed.size(), size + records * RecordLayer::kOverhead);
    EXPECT_EQ(read(server, sealed).data, text(size));
  }
  const Bytes joined = seal(server, {"", "one", "", text(16384), "two", ""});
  EXPECT_EQ(joined.size(), 16390 + 2 * RecordLayer::kOverhead);
  EXPECT_EQ(read(client, joined).data, "one" + text(16384) + "two");
  EXPECT_TRUE(seal(server, {"", ""}).empty());
}

TEST_P(RecordLayerTest, TakesRecordsInPortionsOfAnySize) {
  for (const std::size_t portion : {1u, 2u, 4u, 5u, 6u, 21u, 22u, 23u, 1000u, 16406u, 16407u}) {
    SCOPED_TRACE(portion);
    std::string sent;
    std::string bytes;
    for (int i = 0; i < 5; ++i) {
      const std::string piece = text(static_cast<std::size_t>(1 + 5000 * i));
      sent += piece;
      bytes += as_text(seal(client, {piece}));
    }
    EXPECT_EQ(read(server, as_bytes(bytes), portion).data, sent);
  }
}

TEST_P(RecordLayerTest, PaddingIsTakenOff) {
  EXPECT_EQ(read(server, record("padded", 23, 300)).data, "padded");
  const Read empty = read(server, record("", 23, 300));
  EXPECT_EQ(empty.last.kind, Kind::other);
}

TEST_P(RecordLayerTest, AlertsEndTheConnection) {
  EXPECT_EQ(read(server, client.alert(0)).last.kind, Kind::closed);
  const Read fatal = read(client, server.alert(80));
  EXPECT_EQ(fatal.last.kind, Kind::alert);
  EXPECT_EQ(fatal.last.alert, 80);
}

TEST_P(RecordLayerTest, UserCanceledIsNoEnd) {
  EXPECT_EQ(read(server, record(std::string("\1\x5a", 2), 21)).last.kind, Kind::other);
}

TEST_P(RecordLayerTest, MalformedAlert) {
  expect_failure(read(server, record("\1", 21)), 50, "alert");
}

TEST_P(RecordLayerTest, ForgedRecords) {
  for (const std::size_t place : {5u, 20u, 40u}) {
    SCOPED_TRACE(place);
    RecordLayer fresh{false, GetParam().aead, GetParam().hash, {up, 7}, {down, 5}};
    RecordLayer from{true, GetParam().aead, GetParam().hash, {down, 5}, {up, 7}};
    std::string bytes(as_text(seal(from, {text(30)})));
    bytes[place] = static_cast<char>(bytes[place] ^ 1);
    const Read got = read(fresh, as_bytes(bytes));
    expect_failure(got, 20, "forged");
    EXPECT_EQ(got.data, "");
  }
}

TEST_P(RecordLayerTest, ARecordTwiceOrOutOfOrderIsForged) {
  const Bytes first = seal(client, {"first"});
  EXPECT_EQ(read(server, first).data, "first");
  expect_failure(read(server, first), 20, "forged");
}

TEST_P(RecordLayerTest, HeadersThatCannotBe) {
  const std::string too_long("\x17\3\3\x41\1", 5);  // 16641
  expect_failure(read(server, as_bytes(too_long)), 22, "too long");
  RecordLayer other{false, GetParam().aead, GetParam().hash, {up, 7}, {down, 5}};
  expect_failure(read(other, as_bytes(too_long), 1), 22, "too long");
  RecordLayer third{false, GetParam().aead, GetParam().hash, {up, 7}, {down, 5}};
  expect_failure(read(third, as_bytes(std::string("\x15\3\3\0\2\2\x28", 7))), 10, "not protected");
  RecordLayer fourth{false, GetParam().aead, GetParam().hash, {up, 7}, {down, 5}};
  expect_failure(read(fourth, as_bytes(std::string("\x17\3\3\0\2\2\x28", 7))), 20, "forged");
}

TEST_P(RecordLayerTest, ContentThatCannotBe) {
  expect_failure(read(server, record("", 0, 20)), 10, "no content type");
}

TEST_P(RecordLayerTest, PlaintextBeyondTheLimit) {
  EXPECT_EQ(read(server, record(text(16384), 23)).data.size(), 16384u);
  expect_failure(read(server, record(text(16385), 23)), 22, "too long");
}

TEST_P(RecordLayerTest, UnknownTypes) { expect_failure(read(server, record("x", 20)), 10, "type"); }

TEST_P(RecordLayerTest, RecordsThatSayNothingHaveALimit) {
  for (std::size_t i = 0; i < RecordLayer::kMaxIdleRecords; ++i) {
    EXPECT_EQ(read(server, record("", 23)).last.kind, Kind::other);
  }
  EXPECT_EQ(read(server, record("x", 23)).data, "x");
  for (std::size_t i = 0; i < RecordLayer::kMaxIdleRecords; ++i) {
    EXPECT_EQ(read(server, record("", 23)).last.kind, Kind::other);
  }
  expect_failure(read(server, record("", 23)), 10, "too many");
}

TEST_P(RecordLayerTest, KeyUpdates) {
  EXPECT_EQ(read(server, client.key_update()).last.kind, Kind::other);
  EXPECT_FALSE(server.owes_update());
  EXPECT_EQ(read(server, seal(client, {"new key"})).data, "new key");

  // One that asks for ours, too: it goes in front of what is sent next.
  EXPECT_EQ(read(server, record(std::string("\x18\0\0\1\1", 5), 22)).last.kind, Kind::failed)
      << "the forger still has the old key";
}

TEST_P(RecordLayerTest, AKeyUpdateThatAsksForOursIsAnswered) {
  EXPECT_EQ(read(server, record(std::string("\x18\0\0\1\1", 5), 22)).last.kind, Kind::other);
  EXPECT_TRUE(server.owes_update());
  const Bytes answer = seal(server, {"data"});
  EXPECT_FALSE(server.owes_update());
  const Read got = read(client, answer);
  EXPECT_EQ(got.last.kind, Kind::other);
  EXPECT_EQ(got.data, "data");
  EXPECT_EQ(read(client, seal(server, {"more"})).data, "more");
  forger.update();
  EXPECT_EQ(read(server, record("with the new key", 23)).data, "with the new key");
}

TEST_P(RecordLayerTest, AKeyIsReplacedBeforeItIsWornOut) {
  constexpr std::uint64_t kLast = RecordLayer::kMaxRecords - 1;
  RecordLayer from{true, GetParam().aead, GetParam().hash, {down, 0}, {up, kLast}};
  RecordLayer to{false, GetParam().aead, GetParam().hash, {up, kLast}, {down, 0}};
  const Read last = read(to, seal(from, {"the last of this key"}));
  EXPECT_EQ(last.data, "the last of this key");
  EXPECT_EQ(last.last.kind, Kind::nothing);
  const Read next = read(to, seal(from, {"the first of the next"}));
  EXPECT_EQ(next.last.kind, Kind::other);
  EXPECT_EQ(next.data, "the first of the next");
  EXPECT_EQ(read(to, seal(from, {"and so on"})).last.kind, Kind::nothing);
}

TEST_P(RecordLayerTest, KeyUpdatesThatCannotBe) {
  const struct {
    std::string content;
    std::uint8_t alert;
  } cases[] = {
      {std::string("\x18\0\0\1\2", 5), 47},               // an unknown request
      {std::string("\x18\0\0\2\0\0", 6), 50},             // too long
      {std::string("\x18\0\0\1\0\x18\0\0\1\0", 10), 10},  // not the last of its record
      {std::string("\x08\0\0\0", 4), 10},                 // another message
      {std::string("\x04\0\0\1\0", 5), 10},               // a ticket, from a client
      {"", 10},                                           // none at all
  };
  for (const auto& entry : cases) {
    SCOPED_TRACE(entry.content.size());
    RecordLayer fresh{false, GetParam().aead, GetParam().hash, {up, forger.sequence()}, {down, 0}};
    const Read got = read(fresh, record(entry.content, 22));
    EXPECT_EQ(got.last.kind, Kind::failed);
    EXPECT_EQ(got.last.alert, entry.alert);
  }
}

TEST_P(RecordLayerTest, HandshakeMessagesInParts) {
  EXPECT_EQ(read(server, record(std::string("\x18\0", 2), 22)).last.kind, Kind::other);
  EXPECT_EQ(read(server, record(std::string("\0\1\0", 3), 22)).last.kind, Kind::other);
  forger.update();
  EXPECT_EQ(read(server, record("x", 23)).data, "x");
  EXPECT_EQ(read(server, record(std::string("\x18\0", 2), 22)).last.kind, Kind::other);
  expect_failure(read(server, record("x", 23)), 10, "within");
}

TEST_P(RecordLayerTest, TicketsAreDropped) {
  RecordKey from_server{GetParam().aead, GetParam().hash, down, 5};
  const std::string ticket("\4\0\0\3abc", 7);
  EXPECT_EQ(read(client, record(from_server, ticket + ticket, 22)).last.kind, Kind::other);
  EXPECT_EQ(read(client, record(from_server, "data", 23)).data, "data");
  const std::string endless("\4\xff\0\0", 4);
  EXPECT_EQ(read(client, record(from_server, endless + text(16000), 22)).last.kind, Kind::other);
  for (int i = 0; i < 3; ++i) read(client, record(from_server, text(16000), 22));
  expect_failure(read(client, record(from_server, text(16000), 22)), 47, "too long");
}

INSTANTIATE_TEST_SUITE_P(Suites, RecordLayerTest,
                         ::testing::Values(Suite{Aead::aes_128_gcm, Hash::sha256},
                                           Suite{Aead::aes_256_gcm, Hash::sha384},
                                           Suite{Aead::chacha20_poly1305, Hash::sha256}));

// ---- BoringSSL's records and ours ---------------------------------------------------------------

/// A connection of two BoringSSLs, of which one side's records become ours after the handshake.
class AgainstBoringSsl : public ::testing::Test {
 protected:
  AgainstBoringSsl() {
    const Identity authority = *make_authority(DevelopmentOptions(kNow).days(365));
    const Identity leaf = *make_leaf(authority, DevelopmentOptions(kNow).names({"server"}));
    contexts_[0].reset(SSL_CTX_new(TLS_method()));
    contexts_[1].reset(SSL_CTX_new(TLS_method()));
    EXPECT_TRUE(
        use_certificate(contexts_[1].get(), *Certificate::parse(leaf.certificate, leaf.key)));
    client.reset(SSL_new(contexts_[0].get()));
    server.reset(SSL_new(contexts_[1].get()));
    BIO* ends[2];
    EXPECT_EQ(BIO_new_bio_pair(&ends[0], 1 << 20, &ends[1], 1 << 20), 1);
    SSL_set_bio(client.get(), ends[0], ends[0]);
    SSL_set_bio(server.get(), ends[1], ends[1]);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(server.get());
    for (int i = 0; i < 3; ++i) {
      SSL_do_handshake(client.get());
      SSL_do_handshake(server.get());
    }
    EXPECT_FALSE(SSL_in_init(client.get()));
    EXPECT_FALSE(SSL_in_init(server.get()));
    // The tickets go out with the first data.
    EXPECT_EQ(SSL_write(server.get(), "hello", 5), 5);
    EXPECT_EQ(said(client.get()), "hello");
  }

  /// The records of `ssl`'s side, which ours are from now on.
  static std::unique_ptr<RecordLayer> take_over(SSL* ssl, bool is_client) {
    bssl::Span<const std::uint8_t> read;
    bssl::Span<const std::uint8_t> write;
    EXPECT_TRUE(bssl::SSL_get_traffic_secrets(ssl, &read, &write));
    const bool small =
        SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)) == 0x1301;  // else 0x1302
    return std::make_unique<RecordLayer>(
        is_client, small ? Aead::aes_128_gcm : Aead::aes_256_gcm,
        small ? Hash::sha256 : Hash::sha384,
        RecordLayer::Start{{read.data(), read.size()}, SSL_get_read_sequence(ssl)},
        RecordLayer::Start{{write.data(), write.size()}, SSL_get_write_sequence(ssl)});
  }

  static std::string said(SSL* ssl) {
    char buffer[16384];
    const int size = SSL_read(ssl, buffer, sizeof buffer);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : "";
  }
  /// Between ours and the wire of `ssl`.
  static void send(SSL* ssl, const Bytes& bytes) {
    EXPECT_EQ(BIO_write(SSL_get_wbio(ssl), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  static std::vector<std::uint8_t> received(SSL* ssl) {
    std::vector<std::uint8_t> bytes(1 << 17);
    const int size = BIO_read(SSL_get_rbio(ssl), bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }
  static Bytes seal(RecordLayer& layer, std::string text) {
    Bytes piece = Bytes::take(std::move(text));
    return layer.seal(std::span<Bytes>(&piece, 1));
  }

  static constexpr UnixSeconds kNow = 1'800'000'000;
  bssl::UniquePtr<SSL_CTX> contexts_[2];
  bssl::UniquePtr<SSL> client, server;
};

TEST_F(AgainstBoringSsl, DataBothWaysAndTheEnd) {
  auto ours = take_over(server.get(), false);
  send(server.get(), seal(*ours, text(16384)));
  EXPECT_EQ(said(client.get()), text(16384));
  EXPECT_EQ(SSL_write(client.get(), "question", 8), 8);
  auto bytes = received(server.get());
  MutableBytes input = bytes;
  EXPECT_EQ(as_text(ours->next(input).data), "question");
  send(server.get(), ours->alert(0));
  EXPECT_EQ(said(client.get()), "");
  EXPECT_NE(SSL_get_shutdown(client.get()) & SSL_RECEIVED_SHUTDOWN, 0);
  EXPECT_EQ(SSL_shutdown(client.get()), 1);
  bytes = received(server.get());
  input = bytes;
  EXPECT_EQ(ours->next(input).kind, Kind::closed);
}

TEST_F(AgainstBoringSsl, AClientsRecords) {
  auto ours = take_over(client.get(), true);
  send(client.get(), seal(*ours, "question"));
  EXPECT_EQ(said(server.get()), "question");
  EXPECT_EQ(SSL_write(server.get(), "answer", 6), 6);
  auto bytes = received(client.get());
  MutableBytes input = bytes;
  EXPECT_EQ(as_text(ours->next(input).data), "answer");
}

TEST_F(AgainstBoringSsl, KeyUpdatesOfBothSides) {
  auto ours = take_over(server.get(), false);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(SSL_key_update(client.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_write(client.get(), "after it", 8), 8);
    auto bytes = received(server.get());
    MutableBytes input = bytes;
    EXPECT_EQ(ours->next(input).kind, Kind::other);
    EXPECT_EQ(as_text(ours->next(input).data), "after it");
    EXPECT_TRUE(ours->owes_update());
    send(server.get(), ours->key_update());
    send(server.get(), seal(*ours, "new key"));
    EXPECT_EQ(said(client.get()), "new key");
  }
}

}  // namespace
}  // namespace tern::tls
