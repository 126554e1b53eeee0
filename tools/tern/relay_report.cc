#include "tools/tern/relay_report.h"

#include <cstdint>

#include <fmt/format.h>

#include "tools/tern/json_writer.h"
#include "tools/tern/terminal.h"
#include "transport/sim/trace.h"

namespace tern::cli {
namespace {

void write_channel(JsonWriter& json, const char* name, const sim::ChannelStats& stats) {
  json.key(name).begin_object();
  json.member("packets", stats.packets_in).member("bytes", stats.bytes_in);
  json.member("delivered", stats.delivered).member("bytes_delivered", stats.bytes_delivered);
  json.member("duplicated", stats.duplicated).member("corrupted", stats.corrupted);
  json.member("reordered", stats.reordered).member("marked", stats.marked);
  json.member("peak_queue_bytes", stats.peak_queue_bytes);
  json.member("dropped", stats.dropped_total()).key("dropped_by").begin_object();
  for (std::size_t i = 0; i < sim::kVerdicts; ++i) {
    const auto verdict = static_cast<sim::Verdict>(i);
    if (stats.dropped[i] != 0) json.member(sim::verdict_name(verdict), stats.dropped[i]);
  }
  json.end().end();
}

std::string channel_text(const char* name, const sim::ChannelStats& stats) {
  std::string text = fmt::format("  {:<12} {:>12} packets, {:>9}; arrived {}, {}", name,
                                 human_count(stats.packets_in), human_bytes(stats.bytes_in),
                                 human_count(stats.delivered), human_bytes(stats.bytes_delivered));
  std::string lost;
  for (std::size_t i = 0; i < sim::kVerdicts; ++i) {
    if (stats.dropped[i] == 0) continue;
    lost +=
        fmt::format("{}{} {}", lost.empty() ? "" : ", ",
                    sim::verdict_name(static_cast<sim::Verdict>(i)), human_count(stats.dropped[i]));
  }
  if (!lost.empty()) text += fmt::format("\n  {:<12} lost: {}", "", lost);
  std::string changed;
  const auto add = [&](const char* what, std::uint64_t count) {
    if (count == 0) return;
    changed += fmt::format("{}{} {}", changed.empty() ? "" : ", ", what, human_count(count));
  };
  add("corrupted", stats.corrupted);
  add("duplicated", stats.duplicated);
  add("reordered", stats.reordered);
  add("marked CE", stats.marked);
  if (!changed.empty()) text += fmt::format("\n  {:<12} {}", "", changed);
  return text + "\n";
}

}  // namespace

std::string relay_stats_json(const relay::RelayStats& stats, double seconds, const char* event) {
  JsonWriter json;
  json.begin_object().member("event", event).member("seconds", seconds);
  write_channel(json, "to_server", stats.to_server);
  write_channel(json, "to_client", stats.to_client);
  json.member("clients", stats.clients_seen).member("clients_open", stats.clients_open);
  json.member("bindings", stats.bindings_seen).member("bindings_open", stats.bindings_open);
  json.member("rebindings", stats.rebindings).member("nat_dropped", stats.nat_dropped);
  json.member("connections", stats.connections_seen);
  json.member("connections_open", stats.connections_open);
  json.member("connections_refused", stats.connections_refused);
  json.member("segments_retransmitted", stats.segments_retransmitted);
  json.member("refused_clients", stats.refused_clients).member("overload", stats.overload);
  json.member("send_failed", stats.send_failed).member("unreachable", stats.unreachable);
  json.member("strangers", stats.strangers).end();
  return json.text();
}

std::string relay_stats_text(const relay::RelayStats& stats) {
  std::string text = "\n" + channel_text("to server", stats.to_server) +
                     channel_text("to client", stats.to_client);
  text += fmt::format("  {:<12} {} clients, seen by servers at {} addresses and ports", "NAT",
                      human_count(stats.clients_seen), human_count(stats.bindings_seen));
  if (stats.rebindings != 0) {
    text += fmt::format("; {} rebinding{}, {} packets to old ports dropped",
                        human_count(stats.rebindings), stats.rebindings == 1 ? "" : "s",
                        human_count(stats.nat_dropped));
  }
  if (stats.connections_seen != 0) {
    text +=
        fmt::format("\n  {:<12} {} connections, {} segments retransmitted", "TCP",
                    human_count(stats.connections_seen), human_count(stats.segments_retransmitted));
    if (stats.connections_refused != 0) {
      text += fmt::format("; {} not taken by the server", human_count(stats.connections_refused));
    }
  }
  const std::uint64_t beside =
      stats.refused_clients + stats.overload + stats.send_failed + stats.strangers;
  if (beside != 0) {
    text += fmt::format(
        "\n  {:<12} lost beside the model: {} of too many clients, {} overload, {} not sent, "
        "{} from strangers",
        "warning", human_count(stats.refused_clients), human_count(stats.overload),
        human_count(stats.send_failed), human_count(stats.strangers));
  }
  return text;
}

}  // namespace tern::cli
