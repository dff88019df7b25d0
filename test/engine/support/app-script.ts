/**
 * The program of every test app, for `node -e`: no file has to be mounted or copied. Its environment says what it
 * does; see AppOptions. Written for any Node, without types.
 */
export const APP_SCRIPT = `
const { APP_MODE = 'http', APP_PORT = '80', APP_DELAY_MS = '0', APP_STOP_DELAY_MS = '0' } = process.env;
const { APP_STUBBORN, APP_EXIT_AFTER_MS, APP_HEALTHY_AFTER_MS = '0', APP_BODY } = process.env;
const { APP_BYTES = '1048576', APP_DEAF_MS = '0' } = process.env;
const startedAt = Date.now();
let listeningAt;
let checks = 0;
process.on('SIGTERM', () => {
  if (APP_STUBBORN !== '1') setTimeout(() => process.exit(0), Number(APP_STOP_DELAY_MS));
});
if (APP_EXIT_AFTER_MS) setTimeout(() => process.exit(1), Number(APP_EXIT_AFTER_MS));

// What a connection brought and how that direction ended, one line each.
function report(socket) {
  let count = 0;
  socket.on('data', (chunk) => { count += chunk.length; });
  socket.on('end', () => console.log('got ' + count + ' bytes, end'));
  socket.on('error', (error) => console.log('got ' + count + ' bytes, ' + error.code));
}

// Streams of numbered blocks, until all are told to end.
const endings = new Set();
function stream(response) {
  const hash = require('crypto').createHash('sha256');
  let bytes = 0;
  let timer;
  const next = () => {
    const block = Buffer.alloc(65536, String(bytes) + ' ');
    bytes += block.length;
    hash.update(block);
    const wait = () => { timer = setTimeout(next, 2); };
    if (response.write(block)) wait();
    else response.once('drain', wait);
  };
  const end = () => {
    clearTimeout(timer);
    response.removeAllListeners('drain');
    response.end();
    return { bytes, sha256: hash.digest('hex') };
  };
  endings.add(end);
  response.on('close', () => { clearTimeout(timer); endings.delete(end); });
  next();
}

function send(socket, left) {
  const block = Buffer.alloc(65536, 'x');
  const next = () => {
    while (left > 0) {
      const size = Math.min(left, block.length);
      left -= size;
      if (!socket.write(block.subarray(0, size))) return socket.once('drain', next);
    }
    socket.end();
  };
  next();
}

// A datagram server, with room for bursts; what comes in its first time is dropped.
function datagrams(answer) {
  const socket = require('dgram').createSocket({ type: 'udp4', recvBufferSize: 4194304 });
  socket.on('message', (message, from) => {
    if (Date.now() - listeningAt >= Number(APP_DEAF_MS)) answer(socket, message, from);
  });
  return { listen: (port, done) => socket.bind(port, done) };
}

const servers = {
  http: () => require('http').createServer((request, response) => {
    const url = new URL(request.url, 'http://app');
    const healthy = Date.now() - startedAt >= Number(APP_HEALTHY_AFTER_MS);
    if (url.pathname === '/health') {
      checks++;
      response.statusCode = healthy ? 200 : 503;
    }
    if (url.pathname === '/bytes') return send(response, Number(url.searchParams.get('n')));
    if (url.pathname === '/eat') for (const kept = [];;) kept.push(Buffer.alloc(16 << 20, 1));
    if (url.pathname === '/stream') return stream(response);
    if (url.pathname === '/stream/end') return response.end(JSON.stringify([...endings].map((end) => end())));
    const answer = () => response.end(APP_BODY ?? JSON.stringify({
      startedAt, listeningAt, pid: process.pid, hostname: require('os').hostname(), path: request.url,
      client: request.socket.remoteAddress, port: request.socket.localPort, checks,
    }));
    setTimeout(answer, Number(url.searchParams.get('ms') ?? 0));
  }),
  // Answers after the client has ended its direction, too.
  echo: () => require('net').createServer({ allowHalfOpen: true }, (socket) => {
    report(socket);
    socket.pipe(socket);
  }),
  // Sends at once and ends its direction, then reads to the end.
  early: () => require('net').createServer({ allowHalfOpen: true }, (socket) => {
    report(socket);
    send(socket, Number(APP_BYTES));
  }),
  // Sends at once and closes.
  download: () => require('net').createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.resume();
    send(socket, Number(APP_BYTES));
  }),
  // Reads all, then answers with the number of bytes.
  sink: () => require('net').createServer({ allowHalfOpen: true }, (socket) => {
    let count = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk) => { count += chunk.length; });
    socket.on('end', () => socket.end(String(count)));
  }),
  // Resets every connection after its first bytes.
  reset: () => require('net').createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.resetAndDestroy());
  }),
  'udp-echo': () => datagrams((socket, message, from) => {
    socket.send(startedAt + ' ' + message, from.port, from.address);
  }),
  'udp-sink': () => datagrams((socket, message) => console.log(String(message))),
};
setTimeout(() => {
  for (const port of APP_PORT.split(',')) {
    servers[APP_MODE]().listen(Number(port), () => { listeningAt = Date.now(); });
  }
}, Number(APP_DELAY_MS));
`;
