// The HTTP client of the JDK against tern's demo site, HTTP and WebSocket:
//
//   java JavaClient h2|h1|h3|websocket URL CA
//
// Prints one JSON object with what came back, as node_client.mjs and conversations.py do; it decides nothing,
// interop/run compares. HTTP/3 needs JDK 26; it is looked up by name, so that older ones can run the rest.
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.StringJoiner;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

class JavaClient {
  static String url;
  static String version;
  static HttpClient client;

  public static void main(String[] given) throws Exception {
    version = given[0];
    url = given[1];
    HttpClient.Builder builder = HttpClient.newBuilder().version(
        HttpClient.Version.valueOf(version.equals("h3") ? "HTTP_3" : version.equals("h2") ? "HTTP_2" : "HTTP_1_1"));
    if (!given[2].isEmpty()) builder.sslContext(trust(given[2]));
    client = builder.build();
    System.out.println(version.equals("websocket") ? conversations() : everything());
    System.exit(0);
  }

  static SSLContext trust(String file) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    try (InputStream in = new FileInputStream(file)) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, factory.getTrustManagers(), null);
    return context;
  }

  static byte[] pattern(int count) {
    byte[] body = new byte[count];
    for (int i = 0; i < count; ++i) body[i] = (byte) (i % 251);
    return body;
  }

  // ---- HTTP --------------------------------------------------------------------------------------

  static HttpRequest.Builder request(String path) throws Exception {
    HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(url + path));
    if (version.equals("h3")) { // at once, without Alt-Svc
      Class<?> option = Class.forName("java.net.http.HttpOption");
      Class<?> mode = Class.forName("java.net.http.HttpOption$Http3DiscoveryMode");
      HttpRequest.Builder.class.getMethod("setOption", option, Object.class).invoke(builder,
          option.getField("H3_DISCOVERY").get(null), mode.getField("HTTP_3_URI_ONLY").get(null));
    }
    return builder;
  }

  static String quoted(String text) { return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\""; }

  static String field(HttpResponse<?> response, String name) {
    return quoted(response.headers().firstValue(name).orElse(""));
  }

  static String answer(HttpResponse<byte[]> response) {
    try {
      String spoken = switch (response.version().name()) {
        case "HTTP_3" -> "h3";
        case "HTTP_2" -> "h2";
        default -> "http/1.1";
      };
      return "{\"status\":" + response.statusCode() + ",\"length\":" + response.body().length + ",\"sha256\":"
          + quoted(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(response.body())))
          + ",\"protocol\":" + quoted(spoken) + ",\"type\":" + field(response, "content-type") + ",\"declared\":"
          + field(response, "content-length") + ",\"altSvc\":" + field(response, "alt-svc") + "}";
    } catch (Exception problem) {
      throw new IllegalStateException(problem);
    }
  }

  static String send(HttpRequest.Builder builder) throws Exception {
    return answer(client.send(builder.build(), BodyHandlers.ofByteArray()));
  }

  static String everything() throws Exception {
    byte[] posted = new byte[300_000];
    for (int i = 0; i < posted.length; ++i) posted[i] = (byte) (i * 7 + (i >> 8));
    StringJoiner seen = new StringJoiner(",", "{", "}");
    seen.add("\"small\":" + send(request("/hello")));
    seen.add("\"large\":" + send(request("/bytes/20000000")));
    seen.add("\"post\":" + send(request("/echo").header("content-type", "application/x-tern-interop")
        .POST(BodyPublishers.ofByteArray(posted))));
    seen.add("\"head\":" + send(request("/bytes/1000").method("HEAD", BodyPublishers.noBody())));
    seen.add("\"missing\":" + send(request("/no-such-page")));
    seen.add("\"range\":" + send(request("/").header("range", "bytes=10-109")));
    // A publisher that knows no length. Over HTTP/1.1 and HTTP/3 nothing is read before all is written.
    int upload = version.equals("h2") ? 10_000_000 : 300_000;
    seen.add("\"upload\":" + send(request("/echo").POST(
        BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(pattern(upload))))));
    seen.add("\"expect\":" + send(request("/echo").expectContinue(true).POST(BodyPublishers.ofByteArray(posted))));
    List<CompletableFuture<String>> parallel = new ArrayList<>();
    for (int i = 0; i < 100; ++i) {
      parallel.add(client.sendAsync(request("/bytes/" + (1000 + i)).build(), BodyHandlers.ofByteArray())
          .thenApply(JavaClient::answer));
    }
    StringJoiner answers = new StringJoiner(",", "[", "]");
    for (CompletableFuture<String> each : parallel) answers.add(each.get(60, TimeUnit.SECONDS));
    seen.add("\"parallel\":" + answers);
    // A download that is given up in the middle leaves the others alone.
    HttpResponse<InputStream> abandoned =
        client.send(request("/bytes/1000000000").build(), BodyHandlers.ofInputStream());
    abandoned.body().readNBytes(1_000_000);
    abandoned.body().close();
    seen.add("\"cancelled\":" + send(request("/hello")));
    return seen.toString();
  }

  // ---- WebSocket ---------------------------------------------------------------------------------

  record Message(boolean text, byte[] data) {}

  static class Listener implements WebSocket.Listener {
    final BlockingQueue<Message> messages = new LinkedBlockingQueue<>();
    final CompletableFuture<Integer> closed = new CompletableFuture<>();
    final CompletableFuture<String> pong = new CompletableFuture<>();
    final StringBuilder text = new StringBuilder();
    final java.io.ByteArrayOutputStream binary = new java.io.ByteArrayOutputStream();

    @Override public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
      text.append(part);
      if (last) {
        messages.add(new Message(true, text.toString().getBytes(StandardCharsets.UTF_8)));
        text.setLength(0);
      }
      socket.request(1);
      return null;
    }

    @Override public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean last) {
      byte[] data = new byte[part.remaining()];
      part.get(data);
      binary.writeBytes(data);
      if (last) {
        messages.add(new Message(false, binary.toByteArray()));
        binary.reset();
      }
      socket.request(1);
      return null;
    }

    @Override public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
      pong.complete(StandardCharsets.UTF_8.decode(payload).toString());
      socket.request(1);
      return null;
    }

    @Override public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
      closed.complete(code);
      return null;
    }

    @Override public void onError(WebSocket socket, Throwable problem) { closed.completeExceptionally(problem); }
  }

  static String hold(List<Message> messages, int code) throws Exception {
    Listener listener = new Listener();
    WebSocket socket = client.newWebSocketBuilder().buildAsync(URI.create(url), listener).get(60, TimeUnit.SECONDS);
    int wrong = 0;
    Thread sender = new Thread(() -> {
      for (Message each : messages) {
        if (each.text()) socket.sendText(new String(each.data(), StandardCharsets.UTF_8), true).join();
        else socket.sendBinary(ByteBuffer.wrap(each.data()), true).join();
      }
    });
    sender.start();
    for (Message each : messages) {
      Message got = listener.messages.poll(60, TimeUnit.SECONDS);
      if (got == null || got.text() != each.text() || !java.util.Arrays.equals(got.data(), each.data())) ++wrong;
    }
    sender.join();
    socket.sendClose(code, "");
    return "{\"messages\":" + messages.size() + ",\"wrong\":" + wrong + ",\"extensions\":[],\"code\":"
        + listener.closed.get(60, TimeUnit.SECONDS) + "}";
  }

  // One text in three fragments, with a ping in between.
  static String fragments() throws Exception {
    Listener listener = new Listener();
    WebSocket socket = client.newWebSocketBuilder().buildAsync(URI.create(url), listener).get(60, TimeUnit.SECONDS);
    socket.sendText("one ä", false).join();
    socket.sendPing(ByteBuffer.wrap("are you there".getBytes(StandardCharsets.UTF_8))).join();
    socket.sendText(" two", false).join();
    socket.sendText(" three", true).join();
    Message got = listener.messages.poll(60, TimeUnit.SECONDS);
    String pong = listener.pong.get(60, TimeUnit.SECONDS);
    socket.sendClose(1000, "").join();
    return "{\"message\":" + quoted(new String(got.data(), StandardCharsets.UTF_8)) + ",\"pong\":" + quoted(pong) + "}";
  }

  static int stranger() throws Exception {
    try {
      client.newWebSocketBuilder().header("origin", "https://evil.example")
          .buildAsync(URI.create(url), new Listener()).join();
      return 101;
    } catch (CompletionException problem) {
      return ((WebSocketHandshakeException) problem.getCause()).getResponse().statusCode();
    }
  }

  static String conversations() throws Exception {
    List<Message> text = new ArrayList<>();
    for (int i = 0; i < 200; ++i) {
      text.add(new Message(true, ("message " + i + " – " + "ä".repeat(i)).getBytes(StandardCharsets.UTF_8)));
    }
    byte[] mebibyte = new byte[1 << 20];
    for (int i = 0; i < mebibyte.length; ++i) mebibyte[i] = (byte) (i * 31 + (i >> 7));
    List<Message> binary = List.of(new Message(false, mebibyte), new Message(false, new byte[0]),
        new Message(false, java.util.Arrays.copyOfRange(mebibyte, 1, 70000)), new Message(false, mebibyte));
    StringJoiner many = new StringJoiner(",", "[", "]");
    for (int i = 0; i < 20; ++i) many.add(hold(text.subList(i, i + 10), 1000));
    return "{\"version\":" + quoted(System.getProperty("java.version")) + ",\"text\":" + hold(text, 1000)
        + ",\"binary\":" + hold(binary, 1000) + ",\"own_code\":" + hold(text.subList(0, 1), 4321) + ",\"many\":" + many
        + ",\"fragments\":" + fragments() + ",\"stranger\":{\"status\":" + stranger() + "}}";
  }
}
