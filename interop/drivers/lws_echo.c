/* libwebsockets as a server for `tern ws` and tools/bench/websocket: lws_echo PORT DEFLATE [CERT KEY]
 *
 * /echo sends back what comes, fragment by fragment as libwebsockets hands it out; /close closes with 4002. DEFLATE: 0 or 1.
 * interop/peers compiles it against Debian's libwebsockets; nothing of it goes into tern.
 */
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece {
  struct piece *next;
  size_t size;
  int flags;
  unsigned char bytes[]; /* LWS_PRE bytes of room first */
};

struct session {
  struct piece *first, *last;
  size_t waiting; /* bytes */
  int closing;    /* /close */
};

/* What waits for one client before nothing more is read from it. */
static const size_t kMost = 1 << 20;

static void keep(struct lws *wsi, struct session *session, const void *bytes, size_t size) {
  struct piece *piece = malloc(sizeof *piece + LWS_PRE + size);
  if (piece == NULL) abort();
  piece->next = NULL;
  piece->size = size;
  piece->flags = lws_write_ws_flags(lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT,
                                    lws_is_first_fragment(wsi), lws_is_final_fragment(wsi));
  memcpy(piece->bytes + LWS_PRE, bytes, size);
  if (session->last != NULL) session->last->next = piece;
  else session->first = piece;
  session->last = piece;
  session->waiting += size;
  if (session->waiting >= kMost) lws_rx_flow_control(wsi, 0);
}

static int send_one(struct lws *wsi, struct session *session) {
  struct piece *piece = session->first;
  if (piece == NULL) return 0;
  const int sent = lws_write(wsi, piece->bytes + LWS_PRE, piece->size, piece->flags);
  session->first = piece->next;
  if (session->first == NULL) session->last = NULL;
  session->waiting -= piece->size;
  free(piece);
  if (session->waiting < kMost / 2) lws_rx_flow_control(wsi, 1);
  if (session->first != NULL) lws_callback_on_writable(wsi);
  return sent < 0 ? -1 : 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
  struct session *session = user;
  char path[64] = "";
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
      if (lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) <= 0)
        lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_HTTP_COLON_PATH); /* HTTP/2 */
      session->closing = strcmp(path, "/close") == 0;
      return 0;
    case LWS_CALLBACK_RECEIVE:
      if (session->closing) {
        lws_close_reason(wsi, 4002, (unsigned char *)"the server says so", 18);
        return -1;
      }
      keep(wsi, session, in, size);
      lws_callback_on_writable(wsi);
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: return send_one(wsi, session);
    case LWS_CALLBACK_CLOSED:
      while (session->first != NULL) {
        struct piece *piece = session->first;
        session->first = piece->next;
        free(piece);
      }
      return 0;
    default: return 0;
  }
}

int main(int count, char **arguments) {
  if (count != 3 && count != 5) return 2;
  const struct lws_protocols protocols[] = {
      {.name = "echo", .callback = on_event, .per_session_data_size = sizeof(struct session),
       .rx_buffer_size = 65536},
      {.name = NULL}};
  const struct lws_extension extensions[] = {
      {"permessage-deflate", lws_extension_callback_pm_deflate,
       "permessage-deflate; client_no_context_takeover; server_no_context_takeover"},
      {NULL, NULL, NULL}};
  struct lws_context_creation_info info;
  memset(&info, 0, sizeof info);
  info.port = atoi(arguments[1]);
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.gid = info.uid = -1;
  if (atoi(arguments[2]) != 0) info.extensions = extensions;
  if (count == 5) {
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.ssl_cert_filepath = arguments[3];
    info.ssl_private_key_filepath = arguments[4];
  }
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context *context = lws_create_context(&info);
  if (context == NULL) return 1;
  puts("READY");
  fflush(stdout);
  while (lws_service(context, 0) >= 0) continue;
  lws_context_destroy(context);
  return 0;
}
