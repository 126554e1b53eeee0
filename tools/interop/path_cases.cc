#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "gateway/within.h"
#include "tools/interop/case_groups.h"
#include "tools/interop/local_addresses.h"
#include "tools/interop/probe.h"

/// What changes under a connection: keys, connection IDs, addresses, marks.

namespace tern::interop {

using namespace std::chrono_literals;

namespace {

/// How long a server may take to follow to another path. Three tries of a PATH_CHALLENGE and the
/// answer fit, on paths up to a second long.
constexpr Duration kPathPatience = 4s;

udp::Address wildcard_like(const udp::Address& address) noexcept {
  return address.is_v4() ? udp::Address::v4(INADDR_ANY, 0) : udp::Address::v6(in6addr_any, 0);
}

/// A connection that is confirmed and has served a request: from here on paths and keys may change
/// (RFC 9000 §9, RFC 9001 §6).
Task<Result<Link*>> settled(Probe& probe) {
  Result<Link*> connected = co_await probe.connect();
  if (!connected) co_return connected;
  Link& link = **connected;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return fail(answer.error());
  const std::function<bool()> confirmed = [&link] { return link.confirmed(); };
  const bool done = co_await link.until(confirmed, probe.limit() / 2);
  if (done) co_return &link;
  co_return fail(link.end() ? *link.end()
                            : Error(Code::timed_out, "the handshake was not confirmed"));
}

void note_path(Probe& probe, const Link& link) {
  probe.note("PATH_CHALLENGE received", link.qlog().frames_received("path_challenge"));
  probe.note("PATH_RESPONSE received", link.qlog().frames_received("path_response"));
  probe.note("connection IDs the server sent to", link.wire().cids.size());
  probe.note("new connection IDs from it", link.qlog().frames_received("new_connection_id"));
}

Task<Result<Answer>> get_within(Probe& probe, Link& link, Duration limit) {
  Task<Result<Answer>> request = link.get(probe.target().url.target());
  std::string late = "no answer came there";
  Result<Answer> answer =
      co_await within(probe.runtime(), limit, std::move(late), std::move(request));
  co_return answer;
}

bool forbids_migration(const Link& link) noexcept {
  const JsonValue* peer = link.qlog().peer_parameters();
  const JsonValue* flag = peer != nullptr ? peer->find("disable_active_migration") : nullptr;
  return flag != nullptr && flag->flag().value_or(false);
}

/// Why the client may not leave its path, from Connection::migrate.
Verdict cannot_move(const Error& error) {
  if (error.is(Code::unsupported)) {
    return Verdict::unsupported("the server forbids it: disable_active_migration");
  }
  if (error.is(Code::limit)) {
    return Verdict::unsupported("the server gave no spare connection ID");
  }
  return Verdict::because("migration", error);
}

/// Moves to a new socket on `ip`, with validation first, and goes on there. Empty when all is well.
Task<std::optional<Verdict>> move_to(Probe& probe, Link& link, udp::Address ip) {
  const unsigned before = link.path_changes();
  const auto local = link.bind(ip);
  if (!local) co_return Verdict::because("a second socket", local.error());
  const udp::Address old = link.path().local;
  const std::function<bool()> spare = [&link] {
    return link.qlog().frames_received("new_connection_id") > 0;
  };
  co_await link.until(spare, 1s);
  if (link.connection() == nullptr) co_return Verdict::because("migration", *link.end());
  const Result<void> begun = link.connection()->migrate(*local);
  if (!begun) co_return cannot_move(begun.error());
  const std::function<bool()> moved = [&link, before] { return link.path_changes() > before; };
  const bool done = co_await link.until(moved, kPathPatience);
  if (!done) {
    if (link.end()) co_return Verdict::because("migration", *link.end());
    co_return Verdict::fail("the new path was not validated: no PATH_RESPONSE came");
  }
  link.unbind(old);
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request on the new path", answer.error());
  co_return std::nullopt;
}

}  // namespace

Task<Verdict> key_update(Probe& probe) {
  Result<Link*> connected = co_await settled(probe);
  if (!connected) co_return Verdict::because("the first request", connected.error());
  Link& link = **connected;
  const Result<void> updated = link.connection()->update_keys();
  if (!updated) co_return Verdict::because("the update", updated.error());
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request with the new keys", answer.error());
  const std::function<bool()> followed = [&link] { return link.stats().peer_key_generation > 0; };
  const bool done = co_await link.until(followed, kPathPatience);
  probe.note("newest keys of the server's packets", link.stats().peer_key_generation);
  if (!done) {
    co_return Verdict::fail("it took our new keys, and went on with its old ones (RFC 9001 §6.2)");
  }
  co_return Verdict::pass("the server followed at once");
}

Task<Verdict> cid_change(Probe& probe) {
  Result<Link*> connected = co_await settled(probe);
  if (!connected) co_return Verdict::because("the first request", connected.error());
  Link& link = **connected;
  const std::size_t cids = link.wire().cids.size();
  std::optional<Verdict> problem = co_await move_to(probe, link, wildcard_like(probe.remote()));
  note_path(probe, link);
  if (problem) co_return std::move(*problem);
  if (link.wire().cids.size() <= cids) {
    co_return Verdict::fail(
        "the server followed, and kept sending to the old connection ID "
        "(RFC 9000 §9.5)");
  }
  co_return Verdict::pass("the server followed to a new port, with a new connection ID");
}

Task<Verdict> nat_rebinding(Probe& probe) {
  Result<Link*> connected = co_await settled(probe);
  if (!connected) co_return Verdict::because("the first request", connected.error());
  Link& link = **connected;
  const std::uint64_t challenges = link.qlog().frames_received("path_challenge");
  const udp::Address old = link.path().local;
  const auto local = link.bind(wildcard_like(probe.remote()));
  if (!local) co_return Verdict::because("a second socket", local.error());
  link.connection()->rebind_local(*local);
  link.unbind(old);
  Result<Answer> answer = co_await get_within(probe, link, kPathPatience);
  const std::function<bool()> challenged = [&link, challenges] {
    return link.qlog().frames_received("path_challenge") > challenges;
  };
  const Duration patience = answer ? 1s : 0s;
  const bool validated = co_await link.until(challenged, patience);
  note_path(probe, link);
  if (!answer && answer.error().is(Code::timed_out) && forbids_migration(link)) {
    // RFC 9000 §9 leaves such a server the choice to drop them; a reset would be wrong.
    co_return Verdict::unsupported(
        "it drops what comes from the new port, as disable_active_migration allows");
  }
  if (!answer && answer.error().is(Code::stateless_reset)) {
    co_return Verdict::fail("a stateless reset came to the new port (RFC 9000 §9 forbids it)");
  }
  if (!answer) co_return Verdict::because("a request from the new port", answer.error());
  if (!validated) {
    co_return Verdict::fail("it answered to the new port without a PATH_CHALLENGE (RFC 9000 §9.3)");
  }
  co_return Verdict::pass("the server validated the new port and went on");
}

Task<Verdict> address_mobility(Probe& probe) {
  const std::vector<udp::Address> others = other_local_addresses(probe.network(), probe.remote());
  if (others.empty()) {
    co_return Verdict::not_applicable("not possible here: this host has one address towards it");
  }
  Result<Link*> connected = co_await settled(probe);
  if (!connected) co_return Verdict::because("the first request", connected.error());
  Link& link = **connected;
  probe.note("new local address", others.front().ip_string());
  std::optional<Verdict> problem = co_await move_to(probe, link, others.front());
  note_path(probe, link);
  if (problem && problem->outcome == Outcome::fail && link.connection() != nullptr) {
    co_return Verdict::not_applicable("not possible here: nothing came back to " +
                                      others.front().ip_string());
  }
  if (problem) co_return std::move(*problem);
  co_return Verdict::pass("the server followed to " + others.front().ip_string());
}

Task<Verdict> preferred_address(Probe& probe) {
  Result<Link*> connected = co_await settled(probe);
  if (!connected) co_return Verdict::because("the first request", connected.error());
  Link& link = **connected;
  const JsonValue* peer = link.qlog().peer_parameters();
  const JsonValue* preferred = peer != nullptr ? peer->find("preferred_address") : nullptr;
  if (preferred == nullptr) co_return Verdict::unsupported("the server has none");
  for (const auto& [name, value] : preferred->members()) {
    if (const auto text = value.text()) probe.note(name, std::string(*text));
    if (const auto number = value.number()) probe.note(name, static_cast<std::uint64_t>(*number));
  }
  const std::function<bool()> moved = [&link, &probe] {
    return !(link.path().remote == probe.remote());
  };
  const bool done = co_await link.until(moved, kPathPatience);
  note_path(probe, link);
  if (!done) {
    co_return Verdict::fail("the preferred address did not answer a PATH_CHALLENGE");
  }
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request to it", answer.error());
  co_return Verdict::pass("moved to " + link.path().remote.to_string());
}

Task<Verdict> ecn(Probe& probe) {
  Result<Link*> connected = co_await settled(probe);
  if (!connected) co_return Verdict::because("the first request", connected.error());
  Link& link = **connected;
  Result<Answer> answer = co_await link.get(probe.target().url.target());
  if (!answer) co_return Verdict::because("a request", answer.error());
  const QlogFacts::EcnCounts reported = link.qlog().ecn_reported();
  probe.note("datagrams sent with a mark", link.wire().marked);
  probe.note("ECT(0) the server reports", reported.ect0);
  probe.note("CE the server reports", reported.ce);
  probe.note("datagrams of the server's with a mark", link.wire().received_marked);
  if (link.wire().marked == 0) co_return Verdict::not_applicable("this host sends no marks");
  const bool marks = link.wire().received_marked > 0;
  if (!reported.any()) {
    co_return Verdict::unsupported(marks ? "it marks its packets, and reports none of ours"
                                         : "it reports no marks, or the way loses them");
  }
  co_return Verdict::pass(marks ? "it reports our marks, and marks its own packets"
                                : "it reports our marks");
}

}  // namespace tern::interop
