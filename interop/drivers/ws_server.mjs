// npm's ws as a WebSocket server, for `tern ws`: node ws_server.mjs '{"module", "port", "cert", "key"}'
//
// /echo sends back what comes; /fragments does so in three fragments with a ping in between; /close closes with 4002;
// /chat speaks the subprotocol "chat.v1" alone; /refused answers 403. Without cert and key it is ws://.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';

const options = JSON.parse(process.argv[2]);
const { WebSocketServer } = createRequire(import.meta.url)(options.module);
const server = options.cert
  ? https.createServer({ cert: readFileSync(options.cert), key: readFileSync(options.key) })
  : http.createServer();
const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 64 << 20,
  perMessageDeflate: options.deflate === false ? false : { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat.v1') ? 'chat.v1' : false),
});

const handlers = {
  '/echo': (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
  '/fragments': (socket) => socket.on('message', (data, binary) => {
    const third = Math.ceil(data.length / 3);
    socket.send(data.subarray(0, third), { binary, fin: false });
    socket.ping('in between');
    socket.send(data.subarray(third, 2 * third), { binary, fin: false });
    socket.send(data.subarray(2 * third), { binary, fin: true });
  }),
  '/close': (socket) => socket.on('message', () => socket.close(4002, 'the server says so')),
  '/chat': (socket) => socket.send(`you speak ${socket.protocol || 'nothing'}`),
};

server.on('upgrade', (request, socket, head) => {
  const handler = handlers[request.url];
  if (!handler) {
    socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  sockets.handleUpgrade(request, socket, head, handler);
});
server.listen(options.port, '127.0.0.1', () => console.log('READY'));
