#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "http/escape.h"
#include "rpc/services/debug_record.h"

/// A DebugPage as text.

namespace tern::rpc {

namespace {

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

/// "340 ms", "12.3 s", "4 min".
std::string for_people(Duration duration) {
  const std::int64_t ms = milliseconds(duration);
  if (ms < 1000) return std::to_string(ms) + " ms";
  if (ms < 60'000) return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
  return std::to_string(ms / 60'000) + " min";
}

std::string_view service_of(std::string_view path) { return path.substr(1, path.rfind('/') - 1); }
std::string_view method_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }
std::string_view state_of(const Channel::Load& server) {
  if (server.paused) return "unreachable";
  if (!server.healthy) return "in use";
  return *server.healthy ? "healthy" : "not healthy";
}

// ---- JSON ---------------------------------------------------------------------------------------

/// Objects and arrays, member by member.
class Json {
 public:
  Json& key(std::string_view name) {
    comma();
    quote(name);
    out_.push_back(':');
    first_ = true;
    return *this;
  }
  Json& open(char bracket) {
    comma();
    out_.push_back(bracket);
    first_ = true;
    return *this;
  }
  Json& close(char bracket) {
    out_.push_back(bracket);
    first_ = false;
    return *this;
  }
  Json& value(std::string_view text) {
    comma();
    quote(text);
    return *this;
  }
  Json& number(std::int64_t value) {
    comma();
    out_.append(std::to_string(value));
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  void comma() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  void quote(std::string_view text) {
    out_.push_back('"');
    http::append_json_escaped(out_, text);
    out_.push_back('"');
  }
  std::string out_;
  bool first_ = true;
};

void call_json(Json& json, const CallFigures& call) {
  json.key("method").value(call.method.substr(1));
  json.key("peer").value(call.peer.to_string());
  json.key("dialect").value(name_of(call.dialect));
  json.key("wire").value(call.wire);
}

// ---- HTML ---------------------------------------------------------------------------------------

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>RPC</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; opacity: .75; }
div { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem 1.2rem .3rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; } td.n, th.n { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
</style>
<h1>RPC</h1>
)";

class Html {
 public:
  Html() : out_(kHead) {}
  void heading(std::string_view text) {
    out_.append("<h2>");
    http::append_html_escaped(out_, text);
    out_.append("</h2>\n");
  }
  void note(std::string_view text) {
    out_.append("<p>");
    http::append_html_escaped(out_, text);
    out_.append("</p>\n");
  }
  /// '#' begins the name of a column of numbers.
  void table(std::initializer_list<std::string_view> columns) {
    out_.append("<div><table><tr>");
    for (std::string_view name : columns) {
      const bool numbers = name.starts_with('#');
      if (numbers) name.remove_prefix(1);
      out_.append(numbers ? "<th class=n>" : "<th>");
      http::append_html_escaped(out_, name);
    }
    out_.push_back('\n');
  }
  void row() { out_.append("<tr>"); }
  void cell(std::string_view text) {
    out_.append("<td>");
    http::append_html_escaped(out_, text);
  }
  void cell(std::uint64_t number) { out_.append("<td class=n>").append(std::to_string(number)); }
  void cell(Duration duration) { out_.append("<td class=n>").append(for_people(duration)); }
  void no_number() { out_.append("<td class=n>–"); }
  void end_table() { out_.append("</table></div>\n"); }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

/// "3 NOT_FOUND, 1 INTERNAL".
std::string failures_of(const MethodFigures& method) {
  std::string text;
  for (std::size_t code = 1; code < kCodes; ++code) {
    if (method.ended[code] == 0) continue;
    if (!text.empty()) text.append(", ");
    text.append(std::to_string(method.ended[code])).push_back(' ');
    text.append(upper_name_of(static_cast<Code>(code)));
  }
  return text;
}

void methods_html(Html& html, const DebugFigures& figures) {
  std::string_view service;
  for (const auto& [path, method] : figures.methods) {
    if (service_of(path) != service) {
      if (!service.empty()) html.end_table();
      service = service_of(path);
      html.heading(service);
      html.table({"method", "#started", "#under way", "#OK", "other ends"});
    }
    html.row();
    html.cell(method_of(path));
    html.cell(method.started);
    html.cell(method.under_way());
    html.cell(method.ended[0]);
    html.cell(failures_of(method));
  }
  if (!service.empty()) html.end_table();
}

void calls_html(Html& html, const DebugFigures& figures) {
  html.heading("Calls under way");
  if (figures.calls.empty()) return html.note("None.");
  if (figures.under_way > figures.calls.size()) {
    html.note("The oldest " + std::to_string(figures.calls.size()) + " of " +
              std::to_string(figures.under_way) + ".");
  }
  html.table({"method", "#age", "#left", "peer", "dialect", "wire"});
  for (const CallFigures& call : figures.calls) {
    html.row();
    html.cell(call.method.substr(1));
    html.cell(figures.now - call.begun);
    if (call.deadline) {
      html.cell(std::max(Duration(), *call.deadline - figures.now));
    } else {
      html.no_number();
    }
    html.cell(call.peer.to_string());
    html.cell(name_of(call.dialect));
    html.cell(call.wire);
  }
  html.end_table();
}

void errors_html(Html& html, const DebugFigures& figures) {
  html.heading("Latest errors");
  if (figures.errors.empty()) return html.note("None.");
  html.table({"method", "#ago", "#took", "status", "text", "peer", "wire", "metadata (names)"});
  for (const ErrorFigures& error : figures.errors) {
    html.row();
    html.cell(error.call.method.substr(1));
    html.cell(figures.now - error.ended);
    html.cell(error.ended - error.call.begun);
    html.cell(upper_name_of(error.code));
    html.cell(error.text);
    html.cell(error.call.peer.to_string());
    html.cell(error.call.wire);
    std::string names;
    for (const std::string& name : error.metadata)
      names.append(names.empty() ? "" : ", ").append(name);
    html.cell(names);
  }
  html.end_table();
}

void channels_html(Html& html, const DebugFigures& figures) {
  for (const ChannelFigures& channel : figures.channels) {
    html.heading("Channel " + channel.name);
    if (!channel.servers) {
      html.note("Its thread does not answer.");
      continue;
    }
    html.table({"server", "address", "state", "#calls", "#under way"});
    for (const Channel::Load& server : *channel.servers) {
      html.row();
      html.cell(server.authority);
      html.cell(server.name);
      html.cell(state_of(server));
      html.cell(server.calls);
      html.cell(std::uint64_t{server.outstanding});
    }
    html.end_table();
  }
}

}  // namespace

std::string debug_json(const DebugFigures& figures) {
  Json json;
  json.open('{').key("methods").open('[');
  for (const auto& [path, method] : figures.methods) {
    json.open('{').key("method").value(path.substr(1));
    json.key("started").number(static_cast<std::int64_t>(method.started));
    json.key("under_way").number(static_cast<std::int64_t>(method.under_way()));
    json.key("ended").open('{');
    for (std::size_t code = 0; code < kCodes; ++code) {
      if (method.ended[code] == 0) continue;
      json.key(upper_name_of(static_cast<Code>(code)));
      json.number(static_cast<std::int64_t>(method.ended[code]));
    }
    json.close('}').close('}');
  }
  json.close(']').key("under_way").number(static_cast<std::int64_t>(figures.under_way));
  json.key("calls").open('[');
  for (const CallFigures& call : figures.calls) {
    json.open('{');
    call_json(json, call);
    json.key("age_ms").number(milliseconds(figures.now - call.begun));
    if (call.deadline) json.key("left_ms").number(milliseconds(*call.deadline - figures.now));
    json.close('}');
  }
  json.close(']').key("errors").open('[');
  for (const ErrorFigures& error : figures.errors) {
    json.open('{');
    call_json(json, error.call);
    json.key("ago_ms").number(milliseconds(figures.now - error.ended));
    json.key("took_ms").number(milliseconds(error.ended - error.call.begun));
    json.key("code").value(upper_name_of(error.code));
    json.key("message").value(error.text);
    json.key("metadata").open('[');
    for (const std::string& name : error.metadata) json.value(name);
    json.close(']').close('}');
  }
  json.close(']').key("channels").open('[');
  for (const ChannelFigures& channel : figures.channels) {
    json.open('{').key("channel").value(channel.name);
    if (channel.servers) {
      json.key("servers").open('[');
      for (const Channel::Load& server : *channel.servers) {
        json.open('{').key("authority").value(server.authority);
        json.key("name").value(server.name).key("state").value(state_of(server));
        json.key("calls").number(static_cast<std::int64_t>(server.calls));
        json.key("under_way").number(static_cast<std::int64_t>(server.outstanding));
        json.close('}');
      }
      json.close(']');
    }
    json.close('}');
  }
  json.close(']').close('}');
  return json.take();
}

std::string debug_html(const DebugFigures& figures) {
  Html html;
  methods_html(html, figures);
  calls_html(html, figures);
  errors_html(html, figures);
  channels_html(html, figures);
  return html.take();
}

}  // namespace tern::rpc
