#include <array>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/random.h"
#include "transport/quic/cid.h"
#include "transport/quic/packet_protection.h"
#include "transport/quic/token.h"

/// Packet protection as a connection does it: one small or full-size packet sealed or opened, one
/// header mask; and the stateless pieces that a server computes for strangers.

namespace tern::quic {
namespace {

constexpr std::size_t kMaxPayload = 1350;
constexpr std::uint8_t kHeader[] = {0x40, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1};

CipherSuite suite_of(const benchmark::State& state) {
  return *CipherSuite::from_tls(static_cast<std::uint16_t>(state.range(0)));
}

PacketKeys keys_of(CipherSuite suite) {
  const std::vector<std::uint8_t> secret(suite.secret_length(), 0x42);
  return derive_packet_keys(kVersion1, suite, secret);
}

void suites(benchmark::internal::Benchmark* bench) {
  bench->ArgName("suite")->Arg(0x1301)->Arg(0x1302)->Arg(0x1303);
}

/// A payload of each size, by each library that can: side by side, in one run.
void backends(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"suite", "ipsec_mb", "payload"});
  for (const std::int64_t payload : {40, 1350}) {
    for (const std::int64_t suite : {0x1301, 0x1302, 0x1303}) {
      bench->Args({suite, 0, payload});
      if (suite != 0x1303 && ipsec_mb_available()) bench->Args({suite, 1, payload});
    }
  }
}

AeadBackend backend_of(const benchmark::State& state) {
  return state.range(1) != 0 ? AeadBackend::ipsec_mb : AeadBackend::boringssl;
}

void seal(benchmark::State& state) {
  const CipherSuite suite = suite_of(state);
  const PacketKeys keys = keys_of(suite);
  const AeadKey key(suite.aead, keys.key_view(), backend_of(state));
  const auto payload = static_cast<std::size_t>(state.range(2));
  std::array<std::uint8_t, kMaxPayload + kAeadTagLength> packet{};
  auto nonce = keys.iv;
  for (auto _ : state) {
    ++nonce[11];
    benchmark::DoNotOptimize(
        key.seal(packet.data(), ByteView(packet).first(payload), nonce, kHeader));
  }
  state.SetBytesProcessed(state.iterations() * state.range(2));
}
BENCHMARK(seal)->Apply(backends);

void open(benchmark::State& state) {
  const CipherSuite suite = suite_of(state);
  const PacketKeys keys = keys_of(suite);
  const AeadKey key(suite.aead, keys.key_view(), backend_of(state));
  const auto payload = static_cast<std::size_t>(state.range(2));
  std::array<std::uint8_t, kMaxPayload + kAeadTagLength> sealed{};
  key.seal(sealed.data(), ByteView(sealed).first(payload), keys.iv, kHeader);
  const ByteView packet = ByteView(sealed).first(payload + kAeadTagLength);
  std::array<std::uint8_t, kMaxPayload + kAeadTagLength> opened;
  for (auto _ : state) {
    benchmark::DoNotOptimize(key.open(opened.data(), packet, keys.iv, kHeader));
  }
  state.SetBytesProcessed(state.iterations() * state.range(2));
}
BENCHMARK(open)->Apply(backends);

void header_mask(benchmark::State& state) {
  const CipherSuite suite = suite_of(state);
  const PacketKeys keys = keys_of(suite);
  const HeaderKey key(suite.aead, keys.hp_view());
  std::array<std::uint8_t, kSampleLength> sample{};
  std::uint8_t mask[5];
  for (auto _ : state) {
    key.mask(mask, sample.data());
    benchmark::DoNotOptimize(mask);
    sample[0] = mask[0];  // each depends on the one before: latency, as between packets
  }
}
BENCHMARK(header_mask)->Apply(suites);

void install_keys(benchmark::State& state) {
  const CipherSuite suite = suite_of(state);
  for (auto _ : state) {
    const PacketKeys keys = keys_of(suite);
    const AeadKey key(suite.aead, keys.key_view());
    const HeaderKey header(suite.aead, keys.hp_view());
    benchmark::DoNotOptimize(&key);
    benchmark::DoNotOptimize(&header);
  }
}
BENCHMARK(install_keys)->Apply(suites);

void initial_key_derivation(benchmark::State& state) {
  std::array<std::uint8_t, 8> dcid{};
  for (auto _ : state) {
    ++dcid[0];
    benchmark::DoNotOptimize(initial_secrets(kVersion1, dcid));
  }
}
BENCHMARK(initial_key_derivation);

void retry_token(benchmark::State& state) {
  Random random(std::uint64_t{1});
  const AddressTokens tokens(std::make_shared<tls::KeyRing>(random, 0));
  const std::array<std::uint8_t, 18> address{};
  const ConnectionId cid(ByteView(address).first(8));
  for (auto _ : state) {
    const auto token = tokens.retry(random, kVersion1, address, cid, cid, 0);
    benchmark::DoNotOptimize(tokens.open(token.view(), kVersion1, address, address, cid, 0));
  }
}
BENCHMARK(retry_token);

void stateless_reset_token(benchmark::State& state) {
  Random random(std::uint64_t{1});
  const StatelessResetKey key(random);
  const ConnectionId cid(as_bytes("12345678"));
  for (auto _ : state) benchmark::DoNotOptimize(key.token(cid));
}
BENCHMARK(stateless_reset_token);

void connection_id(benchmark::State& state) {
  Random random(std::uint64_t{1});
  CidConfig config;
  if (state.range(0) != 0) config.key(CidCodec::Key{1});
  const auto generator = CidGenerator::create(config);
  for (auto _ : state) {
    const ConnectionId cid = generator->generate(random);
    benchmark::DoNotOptimize(generator->worker_of(cid));
  }
}
BENCHMARK(connection_id)->ArgName("encrypted")->Arg(0)->Arg(1);

}  // namespace
}  // namespace tern::quic

BENCHMARK_MAIN();
