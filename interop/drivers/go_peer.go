// Go's net/http, quic-go, and the WebSocket libraries of Gorilla and Coder, as client and server of tern:
//
//	go_peer client '{"version", "url", "ca"}'      version: h3, h2, h1; h2c, h1c in clear text
//	go_peer websocket '{"library", "url", "ca"}'   library: gorilla, coder
//	go_peer server '{"port", "clear", "cert", "key", "root"}'
//
// The clients talk to tern's demo site, and print one JSON object with what came back, as node_client.mjs and
// conversations.py have it. They decide nothing, interop/run compares. The server has HTTP/3 (with 0-RTT), HTTP/2
// and HTTP/1.1 at `port`, at `clear` HTTP/1.1 and HTTP/2 without TLS, and answers:
//
//	files of `root`, /bytes/N, POST to /echo and /upload with the request's body
//	/old        redirects to /small.txt
//	/refuse     403 at once, without reading the request
//	/hints      103 (Early Hints), a body of unknown length, trailers
//	/trailers   the request's trailers, in the body
//	/abort      breaks off in the middle of a body
//	/gorilla/…, /coder/…   WebSockets: echo, fragments, close
// Patterns with wildcards, which are off where there is no go.mod.
//
//go:debug httpmuxgo121=0
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/coder/websocket"
)

type options struct {
	Version, Library, URL, CA string
	Port, Clear               int
	Cert, Key, Root           string
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go_peer:", err)
		os.Exit(1)
	}
}

func main() {
	var given options
	fatal(json.Unmarshal([]byte(os.Args[2]), &given))
	switch os.Args[1] {
	case "client":
		client(given)
	case "websocket":
		talk(given)
	case "server":
		serve(given)
	}
}

func pattern(count int) []byte {
	body := make([]byte, count)
	for i := range body {
		body[i] = byte(i % 251)
	}
	return body
}

func say(seen any) {
	text, err := json.Marshal(seen)
	fatal(err)
	fmt.Println(string(text))
}

func trust(ca string) *tls.Config {
	config := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	if ca != "" {
		text, err := os.ReadFile(ca)
		fatal(err)
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(text)
	}
	return config
}

// ---- HTTP client ---------------------------------------------------------------------------------

func transport(version string, config *tls.Config) http.RoundTripper {
	if version == "h3" {
		return &http3.Transport{TLSClientConfig: config}
	}
	one := &http.Transport{TLSClientConfig: config, ExpectContinueTimeout: 20 * time.Second, MaxConnsPerHost: 6}
	one.Protocols = new(http.Protocols)
	switch version {
	case "h2":
		one.Protocols.SetHTTP2(true)
	case "h2c":
		one.Protocols.SetUnencryptedHTTP2(true)
	default:
		one.Protocols.SetHTTP1(true)
	}
	return one
}

type answer struct {
	Status    int               `json:"status"`
	Length    int64             `json:"length"`
	SHA256    string            `json:"sha256"`
	Type      string            `json:"type"`
	Declared  string            `json:"declared"`
	AltSvc    string            `json:"altSvc"`
	Protocol  string            `json:"protocol"`
	Continued bool              `json:"continued"`
	Resumed   bool              `json:"resumed"`
}

type peer struct {
	http.RoundTripper
	url string
}

func (p peer) request(method, path string, body io.Reader, change func(*http.Request)) answer {
	request, err := http.NewRequest(method, p.url+path, body)
	fatal(err)
	var seen answer
	request = request.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got100Continue: func() { seen.Continued = true }}))
	if change != nil {
		change(request)
	}
	response, err := p.RoundTrip(request)
	if err != nil {
		fatal(fmt.Errorf("%s %s: %w", method, path, err))
	}
	hash := sha256.New()
	seen.Length, err = io.Copy(hash, response.Body)
	if err != nil {
		fatal(fmt.Errorf("%s %s after %d bytes: %w", method, path, seen.Length, err))
	}
	response.Body.Close()
	seen.SHA256 = hex.EncodeToString(hash.Sum(nil))
	seen.Status = response.StatusCode
	seen.Protocol = map[int]string{1: "http/1.1", 2: "h2", 3: "h3"}[response.ProtoMajor]
	seen.Type, seen.Declared = response.Header.Get("content-type"), response.Header.Get("content-length")
	seen.AltSvc = response.Header.Get("alt-svc")
	seen.Resumed = response.TLS != nil && response.TLS.DidResume
	return seen
}

func client(given options) {
	config := trust(given.CA)
	p := peer{transport(given.Version, config), strings.TrimSuffix(given.URL, "/")}
	posted := make([]byte, 300_000)
	for i := range posted {
		posted[i] = byte(i*7 + (i >> 8))
	}
	typed := func(r *http.Request) { r.Header.Set("content-type", "application/x-tern-interop") }
	seen := map[string]any{
		"small":   p.request("GET", "/hello", nil, nil),
		"large":   p.request("GET", "/bytes/20000000", nil, nil),
		"post":    p.request("POST", "/echo", bytes.NewReader(posted), typed),
		"head":    p.request("HEAD", "/bytes/1000", nil, nil),
		"missing": p.request("GET", "/no-such-page", nil, nil),
		"range":   p.request("GET", "/", nil, func(r *http.Request) { r.Header.Set("range", "bytes=10-109") }),
		// A reader of a type that net/http does not know: no length is declared.
		"upload": p.request("POST", "/echo", io.MultiReader(bytes.NewReader(pattern(10_000_000))), nil),
		"expect": p.request("POST", "/echo", bytes.NewReader(posted), func(r *http.Request) {
			r.Header.Set("expect", "100-continue")
		}),
		"trailers": p.request("POST", "/echo", io.MultiReader(bytes.NewReader(posted)), func(r *http.Request) {
			r.Trailer = http.Header{"X-Checksum": {"0815"}}
		}),
	}
	parallel := make([]answer, 100)
	var all sync.WaitGroup
	for i := range parallel {
		all.Add(1)
		go func() {
			defer all.Done()
			parallel[i] = p.request("GET", fmt.Sprintf("/bytes/%d", 1000+i), nil, nil)
		}()
	}
	all.Wait()
	seen["parallel"] = parallel
	seen["cancelled"] = p.cancelled()
	// What resumes: a transport of its own, and the tickets of the first one.
	again := peer{transport(given.Version, config), p.url}
	method := "GET"
	if given.Version == "h3" {
		method = http3.MethodGet0RTT
	}
	seen["again"] = again.request(method, "/hello", nil, nil)
	say(seen)
}

// A download and an upload that are given up in the middle; then another request.
func (p peer) cancelled() answer {
	for _, method := range []string{"GET", "POST"} {
		ctx, cancel := context.WithCancel(context.Background())
		path, body := "/bytes/1000000000", io.Reader(nil)
		if method == "POST" {
			path, body = "/echo", io.MultiReader(bytes.NewReader(pattern(50_000_000)))
		}
		request, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
		fatal(err)
		response, err := p.RoundTrip(request)
		fatal(err)
		_, err = io.CopyN(io.Discard, response.Body, 1_000_000)
		fatal(err)
		cancel()
		response.Body.Close()
	}
	return p.request("GET", "/hello", nil, nil)
}

// ---- server --------------------------------------------------------------------------------------

func serve(given options) {
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(given.Root)))
	mux.HandleFunc("/bytes/{count}", func(w http.ResponseWriter, r *http.Request) {
		count, err := strconv.Atoi(r.PathValue("count"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("content-length", strconv.Itoa(count))
		w.Write(pattern(count))
	})
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/upload", echo)
	mux.Handle("/old", http.RedirectHandler("/small.txt", http.StatusFound))
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		w.Write([]byte("no\n"))
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("link", "</a.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("trailer", "x-checksum")
		w.Write([]byte("some "))
		w.(http.Flusher).Flush()
		w.Write([]byte("words\n"))
		w.Header().Set("x-checksum", "0815")
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		json.NewEncoder(w).Encode(r.Trailer)
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) {
		w.Write(pattern(100_000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/gorilla/{what}", gorillaServer)
	mux.HandleFunc("/coder/{what}", coderServer)

	certificate, err := tls.LoadX509KeyPair(given.Cert, given.Key)
	fatal(err)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	address := fmt.Sprintf(":%d", given.Port)
	quiet := log.New(io.Discard, "", 0)

	overQUIC := &http3.Server{Addr: address, Handler: mux, TLSConfig: http3.ConfigureTLSConfig(config),
		QUICConfig: &quic.Config{Allow0RTT: true, Versions: []quic.Version{quic.Version2, quic.Version1}}}
	udp, err := net.ListenPacket("udp", address)
	fatal(err)
	go func() { fatal(overQUIC.Serve(udp)) }()

	overTCP := &http.Server{Addr: address, Handler: mux, TLSConfig: config, ErrorLog: quiet}
	tcp, err := net.Listen("tcp", address)
	fatal(err)
	go func() { fatal(overTCP.ServeTLS(tcp, "", "")) }()

	if given.Clear != 0 {
		plain := &http.Server{Handler: mux, ErrorLog: quiet, Protocols: new(http.Protocols)}
		plain.Protocols.SetHTTP1(true)
		plain.Protocols.SetUnencryptedHTTP2(true)
		tcp, err := net.Listen("tcp", fmt.Sprintf(":%d", given.Clear))
		fatal(err)
		go func() { fatal(plain.Serve(tcp)) }()
	}
	fmt.Println("READY")
	select {}
}

func echo(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).EnableFullDuplex()
	if kind := r.Header.Get("content-type"); kind != "" {
		w.Header().Set("content-type", kind)
	}
	io.Copy(w, r.Body)
}

var upgrader = gorilla.Upgrader{EnableCompression: true, WriteBufferSize: 1024,
	CheckOrigin: func(*http.Request) bool { return true }}

func gorillaServer(w http.ResponseWriter, r *http.Request) {
	socket, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	for {
		kind, message, err := socket.ReadMessage()
		if err != nil {
			return
		}
		switch r.PathValue("what") {
		case "close":
			socket.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(4002, "the server says so"),
				time.Now().Add(time.Second))
			socket.ReadMessage() // their answer
			return
		case "fragments": // a frame each time that its buffer of 1 kB is full, pings in between
			writer, err := socket.NextWriter(kind)
			if err != nil {
				return
			}
			half := len(message) / 2
			writer.Write(message[:half])
			socket.WriteControl(gorilla.PingMessage, []byte("between"), time.Now().Add(time.Second))
			writer.Write(message[half:])
			writer.Close()
		default:
			socket.WriteMessage(kind, message)
		}
	}
}

func coderServer(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true,
		CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return
	}
	defer socket.CloseNow()
	socket.SetReadLimit(-1)
	for ctx := context.Background(); ; {
		kind, message, err := socket.Read(ctx)
		if err != nil {
			return
		}
		switch r.PathValue("what") {
		case "close":
			socket.Close(4002, "the server says so")
			return
		case "fragments": // a frame for each Write
			writer, err := socket.Writer(ctx, kind)
			if err != nil {
				return
			}
			third := (len(message) + 2) / 3
			for at := 0; at < len(message); at += third {
				writer.Write(message[at:min(at+third, len(message))])
			}
			writer.Close()
		default:
			socket.Write(ctx, kind, message)
		}
	}
}

// ---- WebSocket clients ---------------------------------------------------------------------------

type conversation struct {
	Messages   int    `json:"messages"`
	Wrong      int    `json:"wrong"`
	Code       int    `json:"code"`
	Extensions string `json:"extensions"`
	Error      string `json:"error,omitempty"`
}

type message struct {
	text bool
	data []byte
}

// What a library has to do: open a socket, or tell the status that it was refused with.
type library interface {
	open(given options, compressed bool, origin string) (socket, int, error)
}

type socket interface {
	send(message) error
	receive() (message, error)
	// The close frame's code that came back.
	end(code int, reason string) int
	extensions() string
}

type gorillaSocket struct {
	*gorilla.Conn
	offered string
}

type gorillaLibrary struct{}

func (gorillaLibrary) open(given options, compressed bool, origin string) (socket, int, error) {
	dialer := gorilla.Dialer{TLSClientConfig: trust(given.CA), EnableCompression: compressed}
	headers := http.Header{}
	if origin != "" {
		headers.Set("origin", origin)
	}
	conn, response, err := dialer.Dial(given.URL, headers)
	if err != nil {
		if response != nil {
			return nil, response.StatusCode, err
		}
		return nil, 0, err
	}
	return gorillaSocket{conn, response.Header.Get("sec-websocket-extensions")}, response.StatusCode, nil
}

func (s gorillaSocket) send(m message) error {
	if m.text {
		return s.WriteMessage(gorilla.TextMessage, m.data)
	}
	return s.WriteMessage(gorilla.BinaryMessage, m.data)
}

func (s gorillaSocket) receive() (message, error) {
	kind, data, err := s.ReadMessage()
	return message{kind == gorilla.TextMessage, data}, err
}

func (s gorillaSocket) end(code int, reason string) int {
	s.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
	_, _, err := s.ReadMessage()
	s.Close()
	var closed *gorilla.CloseError
	if errors.As(err, &closed) {
		return closed.Code
	}
	return 0
}

func (s gorillaSocket) extensions() string { return s.offered }

type coderSocket struct {
	*websocket.Conn
	offered string
}

type coderLibrary struct{}

func (coderLibrary) open(given options, compressed bool, origin string) (socket, int, error) {
	mode := websocket.CompressionDisabled
	if compressed {
		mode = websocket.CompressionContextTakeover
	}
	headers := http.Header{}
	if origin != "" {
		headers.Set("origin", origin)
	}
	conn, response, err := websocket.Dial(context.Background(), given.URL, &websocket.DialOptions{
		HTTPClient:      &http.Client{Transport: &http.Transport{TLSClientConfig: trust(given.CA)}},
		CompressionMode: mode, HTTPHeader: headers})
	if err != nil {
		if response != nil {
			return nil, response.StatusCode, err
		}
		return nil, 0, err
	}
	conn.SetReadLimit(-1)
	return coderSocket{conn, response.Header.Get("sec-websocket-extensions")}, response.StatusCode, nil
}

func (s coderSocket) send(m message) error {
	kind := websocket.MessageBinary
	if m.text {
		kind = websocket.MessageText
	}
	return s.Write(context.Background(), kind, m.data)
}

func (s coderSocket) receive() (message, error) {
	kind, data, err := s.Read(context.Background())
	return message{kind == websocket.MessageText, data}, err
}

func (s coderSocket) end(code int, reason string) int {
	if err := s.Close(websocket.StatusCode(code), reason); err != nil {
		return int(websocket.CloseStatus(err))
	}
	return code // it has compared them
}

func (s coderSocket) extensions() string { return s.offered }

func hold(one library, given options, messages []message, code int, compressed bool) conversation {
	s, status, err := one.open(given, compressed, "")
	if err != nil {
		return conversation{Error: fmt.Sprintf("%d: %v", status, err)}
	}
	go func() {
		for _, each := range messages {
			if s.send(each) != nil {
				return
			}
		}
	}()
	seen := conversation{Extensions: s.extensions()}
	for _, each := range messages {
		got, err := s.receive()
		if err != nil {
			seen.Error = err.Error()
			return seen
		}
		seen.Messages++
		if got.text != each.text || !bytes.Equal(got.data, each.data) {
			seen.Wrong++
		}
	}
	seen.Code = s.end(code, "")
	return seen
}

func talk(given options) {
	libraries := map[string]library{"gorilla": gorillaLibrary{}, "coder": coderLibrary{}}
	one := libraries[given.Library]
	text := make([]message, 200)
	for i := range text {
		text[i] = message{true, []byte(fmt.Sprintf("message %d – %s", i, strings.Repeat("ä", i)))}
	}
	mebibyte := make([]byte, 1<<20)
	for i := range mebibyte {
		mebibyte[i] = byte(i*31 + (i >> 7))
	}
	binary := []message{{false, mebibyte}, {false, nil}, {false, mebibyte[1:70000]}, {false, mebibyte}}
	many := make([]conversation, 20)
	var all sync.WaitGroup
	for i := range many {
		all.Add(1)
		go func() {
			defer all.Done()
			many[i] = hold(one, given, text[i:i+10], 1000, true)
		}()
	}
	all.Wait()
	_, refused, _ := one.open(given, true, "https://evil.example")
	seen := map[string]any{
		"version":  given.Library,
		"text":     hold(one, given, text, 1000, true),
		"plain":    hold(one, given, text, 1000, false),
		"binary":   hold(one, given, binary, 1000, true),
		"own_code": hold(one, given, text[:1], 4321, true),
		"many":     many,
		"stranger": map[string]int{"status": refused},
	}
	say(seen)
}

