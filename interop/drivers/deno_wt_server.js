// deno (quinn) as WebTransport server, which echoes bidirectional streams and datagrams:
//   deno run --unstable-net --allow-net --allow-read deno_wt_server.js PORT cert.pem key.pem
const [port, cert, key] = Deno.args;
const endpoint = new Deno.QuicEndpoint({ hostname: '::', port: Number(port) });
const listener = endpoint.listen({
  cert: Deno.readTextFileSync(cert), key: Deno.readTextFileSync(key), alpnProtocols: ['h3'],
});

async function echoDatagrams(session) {
  const writer = session.datagrams.writable.getWriter();
  for await (const datagram of session.datagrams.readable) await writer.write(datagram);
}

async function echoBidirectional(session) {
  for await (const { readable, writable } of session.incomingBidirectionalStreams) readable.pipeTo(writable).catch(() => {});
}

async function serve(incoming) {
  const session = await Deno.upgradeWebTransport(await incoming.accept());
  await session.ready;
  await Promise.allSettled([echoDatagrams(session), echoBidirectional(session)]);
}

console.log('listening');
for (;;) serve(await listener.incoming()).catch((error) => console.error(String(error)));
