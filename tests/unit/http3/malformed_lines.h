#pragma once

#include <map>
#include <string_view>

namespace tern::http3::testing {

using CaseLines = std::map<std::string_view, std::string_view>;

/// What the log, and the error that the application or the peer gets, say of malformed_test.cc's
/// cases: what is wrong, where, and which rule that breaks.

inline std::string_view line_of(const CaseLines& lines, std::string_view name) {
  const auto found = lines.find(name);
  return found == lines.end() ? std::string_view("a case without a line") : found->second;
}

inline const CaseLines& connection_lines() {
  static const CaseLines all{
      {"DataBeforeHeaders", "DATA on stream 0 before the message's head (RFC 9114 section 4.1)"},
      {"SettingsTwice", "SETTINGS on the control stream twice (RFC 9114 section 7.2.4)"},
      {"NoSettingsFirst", "GOAWAY on the control stream before SETTINGS (RFC 9114 section 6.2.1)"},
      {"PushPromiseOnTheControlStream",
       "PUSH_PROMISE on the control stream (RFC 9114 section 7.2.5)"},
      {"GoawayOfTwoIds",
       "GOAWAY of 2 bytes: it has an ID, and nothing else (RFC 9114 section 7.1)"},
      {"PriorityUpdateWithoutAnId", "PRIORITY_UPDATE without a stream ID (RFC 9218 section 7.2)"},
      {"HeadersInATunnel", "HEADERS on stream 0 within a tunnel (RFC 9114 section 4.4)"},
      {"WebTransportStreamOfNoRequest",
       "stream 2: of a WebTransport session 3, which is no request (draft-ietf-webtrans-http3 "
       "section 4)"},
      {"SettingsOnARequestStream",
       "SETTINGS on stream 0: it is the control stream's (RFC 9114 section 7.2)"},
      {"HeadersOnTheControlStream", "HEADERS on the control stream (RFC 9114 section 7.2.2)"},
      {"DataOnTheControlStream", "DATA on the control stream (RFC 9114 section 7.2.1)"},
      {"Http2PriorityFrame", "HTTP/2's PRIORITY on stream 0 (RFC 9114 section 7.2.8)"},
      {"Http2PingFrame", "HTTP/2's PING on stream 0 (RFC 9114 section 7.2.8)"},
      {"Http2WindowUpdateOnControl",
       "HTTP/2's WINDOW_UPDATE on the control stream (RFC 9114 section 7.2.8)"},
      {"Http2ContinuationOnControl",
       "HTTP/2's CONTINUATION on the control stream (RFC 9114 section 7.2.8)"},
      {"DuplicateSetting", "SETTINGS: 0x6 twice (RFC 9114 section 7.2.4)"},
      {"DuplicateUnknownSetting", "SETTINGS: 0x4242 twice (RFC 9114 section 7.2.4)"},
      {"Http2Setting", "SETTINGS: 0x3, which is HTTP/2's (RFC 9114 section 7.2.4.1)"},
      {"ConnectProtocolTwo",
       "SETTINGS: ENABLE_CONNECT_PROTOCOL is 2, neither 0 nor 1 (RFC 8441 section 3)"},
      {"DatagramTwo", "SETTINGS: H3_DATAGRAM is 2, neither 0 nor 1 (RFC 9297 section 2.1.1)"},
      {"TruncatedSetting", "SETTINGS that ends within a setting (RFC 9114 section 7.1)"},
      {"SettingWithoutValue", "SETTINGS that ends within a setting (RFC 9114 section 7.1)"},
      {"TooManySettings", "SETTINGS with more than 64 settings"},
      {"SecondControlStream",
       "stream 6: the control stream (RFC 9114 section 6.2.1), a second time"},
      {"SecondQpackEncoderStream",
       "stream 6: the QPACK encoder stream (RFC 9204 section 4.2), a second time"},
      {"PushStreamFromAClient", "stream 2: a push stream, from a client (RFC 9114 section 6.2.2)"},
      {"ControlStreamEnds", "the control stream (RFC 9114 section 6.2.1) has ended"},
      {"ControlStreamReset", "the control stream (RFC 9114 section 6.2.1) was reset"},
      {"EncoderStreamEnds", "the QPACK encoder stream (RFC 9204 section 4.2) has ended"},
      {"OurControlStreamStopped", "our control stream (RFC 9114 section 6.2.1) was closed"},
      {"BadEncoderInstruction",
       "the QPACK encoder stream has an instruction that cannot be read or followed (RFC 9204 "
       "section 4.3)"},
      {"BadDecoderInstruction",
       "the QPACK decoder stream has an instruction that cannot be read, or that tells of what was "
       "not sent (RFC 9204 section 4.4)"},
      {"BadFieldSection",
       "HEADERS on stream 0, whose field section QPACK cannot decode (RFC 9204 section 6)"},
      {"TruncatedFrame", "HEADERS on stream 0: the stream ended within it (RFC 9114 section 7.1)"},
      {"TruncatedFrameHeader", "stream 0 ended within a frame's type (RFC 9114 section 7.1)"},
      {"HeadersAfterTrailers",
       "HEADERS on stream 0 behind the message's trailers (RFC 9114 section 4.1)"},
      {"DataAfterTrailers",
       "DATA on stream 0 behind the message's trailers (RFC 9114 section 4.1)"},
      {"WebTransportSignalInMidStream",
       "WebTransport's signal on stream 0, which it does not begin (draft-ietf-webtrans-http3 "
       "section 4)"},
      {"CancelPush", "CANCEL_PUSH, but there are no pushes (RFC 9114 section 7.2.3)"},
      {"MaxPushIdShrinks",
       "MAX_PUSH_ID with ID 8, after 9: it only grows (RFC 9114 section 7.2.7)"},
      {"GoawayGrows", "GOAWAY with ID 8, after 4: it only shrinks (RFC 9114 section 5.2)"},
      {"PriorityUpdateForAPush",
       "PRIORITY_UPDATE of a push, but there are no pushes (RFC 9218 section 7.2)"},
      {"PriorityUpdateBeyondTheLimit",
       "PRIORITY_UPDATE for stream 400000, which is above our limit (RFC 9218 section 7.2)"},
      {"PriorityUpdateForAUniStream",
       "PRIORITY_UPDATE for stream 2, which is no request's (RFC 9218 section 7.2)"},
      {"MalformedPriorityUpdate",
       "PRIORITY_UPDATE for stream 0 with a value that is no structured field (RFC 9218 section "
       "7)"},
      {"DatagramWithoutAnId", "a datagram without a quarter stream ID (RFC 9297 section 2.1)"},
      {"DatagramIdTooLarge", "a datagram without a quarter stream ID (RFC 9297 section 2.1)"},
      {"DatagramBeyondTheLimit",
       "a datagram of stream 400000, which is above our limit (RFC 9297 section 2.1)"},
  };
  return all;
}

inline const CaseLines& message_lines() {
  static const CaseLines all{
      {"NoMethod", "RFC 9114: a request without \":method\" (section 4.3.1)"},
      {"NoPath", "RFC 9114: a request without \":path\" (section 4.3.1)"},
      {"NoScheme", "RFC 9114: a request without \":scheme\" (section 4.3.1)"},
      {"NoAuthority", "RFC 9114: a request without \":authority\" or host (section 4.3.1)"},
      {"EmptyPath", "RFC 9114: \":path\" without a value (section 4.3.1)"},
      {"RelativePath", "RFC 9114: a path that does not begin with / (section 4.3.1)"},
      {"TwoPaths", "RFC 9114: \":path\" twice (section 4.3)"},
      {"UnknownPseudo", "RFC 9114: \":foo\", which no request has (section 4.3)"},
      {"ResponsePseudo", "RFC 9114: \":status\", which no request has (section 4.3)"},
      {"PseudoAfterField",
       "RFC 9114: \":scheme\" behind a field that is no pseudo-header (section 4.3)"},
      {"PseudoInTrailers",
       "RFC 9114: \":method\" in trailers, which have fields alone (section 4.3)"},
      {"UpperCaseName", "RFC 9114: the field name \"Foo\": they are in lower case (section 4.2)"},
      {"EmptyName", "RFC 9114: a field without a name (section 10.3)"},
      {"SpaceInName", "RFC 9114: the field name \"a b\", which is no token (section 10.3)"},
      {"ColonInName", "RFC 9114: the field name \"a:b\", which is no token (section 10.3)"},
      {"LineBreakInName",
       "RFC 9114: the field name \"a\\x0d\\x0ab\", which is no token (section 10.3)"},
      {"ObsTextInName", "RFC 9114: the field name \"\xC3\xA4\", which is no token (section 10.3)"},
      {"NulInValue",
       "RFC 9114: the field \"a\" with a control character in its value (section 10.3)"},
      {"CrInValue",
       "RFC 9114: the field \"a\" with a control character in its value (section 10.3)"},
      {"LfInValue",
       "RFC 9114: the field \"a\" with a control character in its value (section 10.3)"},
      {"ControlInValue",
       "RFC 9114: the field \"a\" with a control character in its value (section 10.3)"},
      {"DelInValue",
       "RFC 9114: the field \"a\" with a control character in its value (section 10.3)"},
      {"SpaceBeforeValue",
       "RFC 9114: the field \"a\" with a blank at an end of its value (section 10.3)"},
      {"TabAfterValue",
       "RFC 9114: the field \"a\" with a blank at an end of its value (section 10.3)"},
      {"LfInKnownField",
       "RFC 9114: the field \"user-agent\" with a control character in its value (section 10.3)"},
      {"LfInCookie",
       "RFC 9114: the field \"cookie\" with a control character in its value (section 10.3)"},
      {"LfInPriority",
       "RFC 9114: the field \"priority\" with a control character in its value (section 10.3)"},
      {"BadHost", "RFC 9114: a host that is none, or more than one (section 4.3.1)"},
      {"BadNameInTrailers", "RFC 9114: the field name \"a b\", which is no token (section 10.3)"},
      {"BadValueInTrailers",
       "RFC 9114: the field \"a\" with a control character in its value (section 10.3)"},
      {"Connection",
       "RFC 9114: the field \"connection\", which is HTTP/1.1's: it is to be left out (section "
       "4.2)"},
      {"TransferEncoding",
       "RFC 9114: the field \"transfer-encoding\", which is HTTP/1.1's: it is to be left out "
       "(section 4.2)"},
      {"BadTe", "RFC 9114: \"te\" with anything but \"trailers\" (section 4.2)"},
      {"HostDiffers", "\":authority\" and host differ (RFC 9114 section 4.3.1)"},
      {"UserInfo", "RFC 9114: an authority with a user (RFC 9110 section 4.2.4)"},
      {"PseudoAfterHost",
       "RFC 9114: \":scheme\" behind a field that is no pseudo-header (section 4.3)"},
      {"TwoHosts", "RFC 9114: a host that is none, or more than one (section 4.3.1)"},
      {"UserInHost", "RFC 9114: an authority with a user (RFC 9110 section 4.2.4)"},
      {"BadAuthority", "RFC 9114: \":authority\" with a value that is none (section 4.3.1)"},
      {"BadMethod",
       "RFC 9114: \":method\" with a value that is none: \"G\\x0d\\x0aT\\x1b[1m\" (section 4.3.1)"},
      {"EmptyMethod", "RFC 9114: \":method\" without a value (section 4.3.1)"},
      {"BadScheme", "RFC 9114: \":scheme\" with a value that is none: \"1s\" (section 4.3.1)"},
      {"SpaceInPath", "RFC 9114: \":path\" with a value that is none (section 4.3.1)"},
      {"AsteriskOfGet", "RFC 9114: the path * in a request that is no OPTIONS (section 4.3.1)"},
      {"LongName",
       "RFC 9114: the field name "
       "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\xE2\x80\xA6\": they are "
       "in lower case (section 4.2)"},
      {"QuoteInName",
       "RFC 9114: the field name \"a\\x22\\x5c\\x7f\", which is no token (section 10.3)"},
      {"Upgrade",
       "RFC 9114: the field \"upgrade\", which is HTTP/1.1's: it is to be left out (section 4.2)"},
      {"ConnectWithScheme", "RFC 9114: a CONNECT with \":scheme\" (section 4.4)"},
      {"ConnectWithHost", "RFC 9114: a CONNECT without \":authority\" (section 4.4)"},
      {"ExtendedConnectWithHost",
       "RFC 9114: an extended CONNECT without \":authority\" (RFC 8441 section 4)"},
      {"ExtendedConnectWithoutPath", "RFC 9114: a request without \":path\" (section 4.3.1)"},
      {"TwoProtocols", "RFC 9114: \":protocol\" twice (section 4.3)"},
      {"ConnectWithPath", "RFC 9114: a CONNECT with \":path\" (section 4.4)"},
      {"ConnectWithoutAuthority", "RFC 9114: a CONNECT without \":authority\" (section 4.4)"},
      {"ProtocolWithoutConnect",
       "RFC 9114: \":protocol\" in a request that is no CONNECT (RFC 8441 section 4)"},
      {"BadContentLength", "RFC 9114: a content-length that is no number: \"1x\" (section 4.1.2)"},
      {"TwoContentLengths", "RFC 9114: more than one content-length (section 4.1.2)"},
      {"BodyTooLong",
       "RFC 9114: a body of more than the 3 bytes of its content-length (section 4.1.2)"},
      {"BodyTooLongInSecondFrame",
       "RFC 9114: a body of more than the 3 bytes of its content-length (section 4.1.2)"},
      {"BodyTooShort", "RFC 9114: a body of 2 bytes with a content-length of 3 (section 4.1.2)"},
      {"NoBody", "RFC 9114: a body of 0 bytes with a content-length of 3 (section 4.1.2)"},
      {"NothingAtAll", "the stream ended without a message (RFC 9114 section 4.1)"},
      {"GreaseOnly", "the stream ended without a message (RFC 9114 section 4.1)"},
  };
  return all;
}

inline const CaseLines& server_lines() {
  static const CaseLines all{
      {"PriorityUpdate",
       "PRIORITY_UPDATE on the control stream, from a server (RFC 9218 section 7.2)"},
      {"GoawayGrows", "GOAWAY with ID 4, after 0: it only shrinks (RFC 9114 section 5.2)"},
      {"SettingsEndWithinASetting", "SETTINGS that ends within a setting (RFC 9114 section 7.1)"},
      {"DataBehindTrailers",
       "DATA on stream 0 behind the message's trailers (RFC 9114 section 4.1)"},
      {"PushStream", "stream 3: a push stream, but we allow no pushes (RFC 9114 section 4.6)"},
      {"PushPromise", "PUSH_PROMISE on stream 0, but we allow no pushes (RFC 9114 section 7.2.5)"},
      {"ServerBidiStream", "stream 1: a bidirectional one of the server's (RFC 9114 section 6.1)"},
      {"MaxPushId", "MAX_PUSH_ID on the control stream, from a server (RFC 9114 section 7.2.7)"},
      {"GoawayForAUniStream", "GOAWAY with ID 3, which is no request's (RFC 9114 section 7.2.6)"},
      {"DataBeforeResponse", "DATA on stream 0 before the message's head (RFC 9114 section 4.1)"},
  };
  return all;
}

inline const CaseLines& response_lines() {
  static const CaseLines all{
      {"NoStatus", "RFC 9114: a response without \":status\" (section 4.3.2)"},
      {"BadStatus",
       "RFC 9114: \":status\" with a value that is none: \"20\" "
       "(section 4.3.2)"},
      {"Status101", "RFC 9114: status 101, which is HTTP/1.1's (section 4.5)"},
      {"TwoStatuses", "RFC 9114: \":status\" twice (section 4.3)"},
      {"EmptyStatus", "RFC 9114: \":status\" without a value (section 4.3.2)"},
      {"StatusBelow100",
       "RFC 9114: \":status\" with a value that is none: \"099\" "
       "(section 4.3.2)"},
      {"StatusOfLetters",
       "RFC 9114: \":status\" with a value that is none: \"20x\" "
       "(section 4.3.2)"},
      {"RequestPseudo", "RFC 9114: \":path\", which no response has (section 4.3)"},
      {"UnknownPseudo", "RFC 9114: \":foo\", which no response has (section 4.3)"},
      {"PseudoAfterField",
       "RFC 9114: \":status\" behind a field that is no pseudo-header "
       "(section 4.3)"},
      {"PseudoInTrailers",
       "RFC 9114: \":status\" in trailers, which have fields alone "
       "(section 4.3)"},
      {"LengthOf204",
       "RFC 9114: a content-length with status 204 (RFC 9110 section "
       "8.6)"},
      {"TwoLengths", "RFC 9114: more than one content-length (section 4.1.2)"},
      {"EndBehindInterim",
       "RFC 9114: a body, or the end, behind an interim response (103) "
       "(section 4.1)"},
      {"BadName",
       "RFC 9114: the field name \"a b\", which is no token (section "
       "10.3)"},
      {"EmptyName", "RFC 9114: a field without a name (section 10.3)"},
      {"LineBreakInValue",
       "RFC 9114: the field \"a\" with a control character in its value "
       "(section 10.3)"},
      {"NulInValue",
       "RFC 9114: the field \"a\" with a control character in its value "
       "(section 10.3)"},
      {"BadValueInInterim",
       "RFC 9114: the field \"a\" with a control character in its value "
       "(section 10.3)"},
      {"BadNameInTrailers",
       "RFC 9114: the field name \"a b\", which is no token (section "
       "10.3)"},
      {"BodyTooLong",
       "RFC 9114: a body of more than the 1 bytes of its content-length "
       "(section 4.1.2)"},
      {"BodyTooShort",
       "RFC 9114: a body of 2 bytes with a content-length of 3 (section "
       "4.1.2)"},
      {"BodyOf204", "a body with status 204 (RFC 9110 section 6.4.1)"},
  };
  return all;
}

}  // namespace tern::http3::testing
