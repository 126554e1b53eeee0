#include "transport/quic/cid.h"

#include <openssl/aes.h>
#ifndef OPENSSL_IS_BORINGSSL
#error "tern needs BoringSSL's headers; OpenSSL's were found"
#endif
#include <openssl/mem.h>

#include "base/check.h"

namespace tern::quic {
namespace {

constexpr std::size_t kBlockLength = 16;
constexpr std::uint8_t kRotationShift = 5;
constexpr std::uint8_t kLowBits = 0x1f;

using Block = std::array<std::uint8_t, kBlockLength>;

/// The four-pass algorithm's two halves, each kept in the low end of a block.
struct Halves {
  Block left{}, right{};
  std::size_t length = 0;  // of each, rounded up
  bool odd = false;        // the middle byte is split between them

  explicit Halves(ByteView text) noexcept
      : length((text.size() + 1) / 2), odd(text.size() % 2 != 0) {
    std::memcpy(left.data(), text.data(), length);
    std::memcpy(right.data(), text.data() + text.size() - length, length);
    trim_left();
    trim_right();
  }
  void trim_left() noexcept {
    if (odd) left[length - 1] &= 0xf0;
  }
  void trim_right() noexcept {
    if (odd) right[0] &= 0x0f;
  }
  void join(MutableBytes text) const noexcept {
    std::memcpy(text.data(), left.data(), length);
    std::memcpy(text.data() + text.size() - length + (odd ? 1 : 0), right.data() + (odd ? 1 : 0),
                length - (odd ? 1 : 0));
    if (odd) text[length - 1] = static_cast<std::uint8_t>(left[length - 1] | right[0]);
  }
};

}  // namespace

struct CidCodec::Cipher {
  AES_KEY encrypt;
  AES_KEY decrypt;

  explicit Cipher(const Key& key) noexcept {
    TERN_CHECK(AES_set_encrypt_key(key.data(), 128, &encrypt) == 0);
    TERN_CHECK(AES_set_decrypt_key(key.data(), 128, &decrypt) == 0);
  }
  ~Cipher() {
    OPENSSL_cleanse(&encrypt, sizeof(encrypt));
    OPENSSL_cleanse(&decrypt, sizeof(decrypt));
  }

  /// One pass: xors AES(expand(length, pass, from)) into `into`.
  /// expand = half ‖ zeros ‖ length of the whole text ‖ pass number.
  void pass(std::uint8_t number, std::size_t text_length, const Block& from, Block& into,
            std::size_t half_length) const noexcept {
    Block block{};
    std::memcpy(block.data(), from.data(), half_length);
    block[kBlockLength - 2] = static_cast<std::uint8_t>(text_length);
    block[kBlockLength - 1] = number;
    AES_encrypt(block.data(), block.data(), &encrypt);
    for (std::size_t i = 0; i < half_length; ++i) into[i] ^= block[i];
  }

  void odd_pass(std::uint8_t number, std::size_t text_length, Halves& halves) const noexcept {
    pass(number, text_length, halves.left, halves.right, halves.length);
    halves.trim_right();
  }
  void even_pass(std::uint8_t number, std::size_t text_length, Halves& halves) const noexcept {
    pass(number, text_length, halves.right, halves.left, halves.length);
    halves.trim_left();
  }

  void seal(MutableBytes text) const noexcept {
    if (text.size() == kBlockLength) {
      AES_encrypt(text.data(), text.data(), &encrypt);
      return;
    }
    Halves halves(text);
    odd_pass(1, text.size(), halves);
    even_pass(2, text.size(), halves);
    odd_pass(3, text.size(), halves);
    even_pass(4, text.size(), halves);
    halves.join(text);
  }

  void open(MutableBytes text) const noexcept {
    if (text.size() == kBlockLength) {
      AES_decrypt(text.data(), text.data(), &decrypt);
      return;
    }
    Halves halves(text);
    even_pass(4, text.size(), halves);
    odd_pass(3, text.size(), halves);
    even_pass(2, text.size(), halves);
    odd_pass(1, text.size(), halves);
    halves.join(text);
  }
};

std::string ConnectionId::to_string() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size_);
  for (const std::uint8_t byte : view()) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

namespace {

/// The digit's value; 255 if it is none.
std::uint8_t digit(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return 255;
}

/// Empty if the text is anything but pairs of digits.
std::vector<std::uint8_t> from_hex(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  if (text.size() % 2 != 0) return bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::uint8_t high = digit(text[i]);
    const std::uint8_t low = digit(text[i + 1]);
    if (high > 15 || low > 15) return {};
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

}  // namespace

Result<CidCodec::Key> parse_cid_key(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(first);
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  const std::vector<std::uint8_t> bytes = from_hex(text);
  CidCodec::Key key;
  if (bytes.size() != key.size()) {
    return fail(Error::invalid("a key for connection IDs is 32 hexadecimal digits"));
  }
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

Result<ConnectionId> parse_machine_id(std::string_view text) {
  const std::vector<std::uint8_t> bytes = from_hex(text);
  if (bytes.empty() || bytes.size() > kMaxMachineId) {
    return fail(Error::invalid("a machine id is 2 to 24 hexadecimal digits"));
  }
  return ConnectionId(bytes);
}

Result<CidCodec> CidCodec::create(std::uint8_t rotation, std::size_t server_id_length,
                                  std::size_t nonce_length, const Key* key, bool encode_length) {
  if (rotation >= kUnroutable) return fail(Error::invalid("the CID config rotation is 0 to 6"));
  if (server_id_length == 0) return fail(Error::invalid("a CID's server ID has at least one byte"));
  if (nonce_length < kMinNonceLength) {
    return fail(Error::invalid("a CID's nonce has at least 4 bytes"));
  }
  if (1 + server_id_length + nonce_length > kMaxCidLength) {
    return fail(Error::invalid("a CID's server ID and nonce have at most 19 bytes together"));
  }
  CidCodec codec;
  codec.rotation_ = rotation;
  codec.encode_length_ = encode_length;
  codec.server_id_length_ = server_id_length;
  codec.nonce_length_ = nonce_length;
  if (key != nullptr) codec.cipher_ = std::make_shared<const Cipher>(*key);
  return codec;
}

void CidCodec::encode(ByteView server_id, ByteView nonce, std::uint8_t filler,
                      MutableBytes out) const noexcept {
  TERN_CHECK(server_id.size() == server_id_length_ && nonce.size() == nonce_length_);
  TERN_CHECK(out.size() == cid_length());
  const std::size_t low = encode_length_ ? out.size() - 1 : filler & kLowBits;
  out[0] = static_cast<std::uint8_t>(rotation_ << kRotationShift | low);
  std::memcpy(&out[1], server_id.data(), server_id.size());
  std::memcpy(&out[1 + server_id.size()], nonce.data(), nonce.size());
  if (cipher_ != nullptr) cipher_->seal(out.subspan(1));
}

bool CidCodec::decode(ByteView cid, MutableBytes server_id, MutableBytes nonce) const noexcept {
  TERN_CHECK(server_id.size() == server_id_length_ && nonce.size() == nonce_length_);
  if (cid.size() < cid_length() || cid[0] >> kRotationShift != rotation_) return false;
  std::array<std::uint8_t, kMaxCidLength> text;
  const MutableBytes plain(text.data(), cid_length() - 1);
  std::memcpy(plain.data(), cid.data() + 1, plain.size());
  if (cipher_ != nullptr) cipher_->open(plain);
  std::memcpy(server_id.data(), plain.data(), server_id.size());
  std::memcpy(nonce.data(), plain.data() + server_id.size(), nonce.size());
  return true;
}

Result<CidGenerator> CidGenerator::create(const CidConfig& config) {
  std::vector<std::uint8_t> server_id{config.worker_};
  server_id.insert(server_id.end(), config.machine_id_.begin(), config.machine_id_.end());
  TERN_TRY(CidCodec codec,
           CidCodec::create(config.rotation_, server_id.size(), config.nonce_length_,
                            config.key_.get(), config.encode_length_));
  return CidGenerator(std::move(codec), std::move(server_id));
}

ConnectionId CidGenerator::generate(Random& random) const noexcept {
  std::array<std::uint8_t, kMaxCidLength> noise;  // one byte for the first octet, then the nonce
  const std::size_t nonce_length = codec_.nonce_length();
  random.fill(MutableBytes(noise).first(1 + nonce_length));
  std::array<std::uint8_t, kMaxCidLength> cid;
  const MutableBytes out = MutableBytes(cid).first(codec_.cid_length());
  codec_.encode(server_id_, ByteView(noise).subspan(1, nonce_length), noise[0], out);
  return ConnectionId(out);
}

Result<CidGenerator::Decoded> CidGenerator::decode(ByteView cid) const {
  std::array<std::uint8_t, kMaxCidLength> server_id, nonce;
  const MutableBytes server_id_out = MutableBytes(server_id).first(codec_.server_id_length());
  const MutableBytes nonce_out = MutableBytes(nonce).first(codec_.nonce_length());
  if (!codec_.decode(cid, server_id_out, nonce_out)) {
    return fail(Error(Code::not_found, "the connection ID is not of this configuration"));
  }
  Decoded decoded;
  decoded.worker = server_id_out[0];
  decoded.machine_id = ConnectionId(server_id_out.subspan(1));
  decoded.nonce = ConnectionId(nonce_out);
  return decoded;
}

int CidGenerator::worker_of(ByteView cid) const noexcept {
  std::array<std::uint8_t, kMaxCidLength> server_id, nonce;
  const MutableBytes server_id_out = MutableBytes(server_id).first(codec_.server_id_length());
  if (cid.size() != cid_length() ||
      !codec_.decode(cid, server_id_out, MutableBytes(nonce).first(codec_.nonce_length())) ||
      !std::equal(server_id_out.begin() + 1, server_id_out.end(), server_id_.begin() + 1)) {
    return -1;
  }
  return server_id_out[0];
}

}  // namespace tern::quic
