/**
 * A child process that attacks the API at the port that its parent sends it, until it is sent another one, or 0: requests as fast as they
 * are answered, most of which are refused, clients that listen to events and never read, and bodies that come byte by byte. It answers
 * with the port when all is under way.
 */
import { connect } from 'node:net';

let port = 0;
const open = new Set();
const ASKING = 8;
const DEAF = 100;
const SLOW = 50;
const BYTE_MS = 50;
const DEAF_MS = 500;

const HOST = 'host: localhost\r\n';
const REQUESTS = [
  ...[
    '/api/services',
    '/api/config',
    '/status',
    '/metrics',
    '/api/services/warm',
    '/api/reload',
    '/',
    '/api',
  ],
  ...['/api/services/s7?memory=true', '/api/nothing', '/api/services/%2e%2e', '/problems'],
].map((path) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
const CHANGES = ['wake', 'sleep?force=true', 'hold?for=2h'].flatMap((action) => [
  `POST /api/services/warm/${action} HTTP/1.1\r\n${HOST}content-length: 0\r\n\r\n`,
  `POST /api/services/warm/${action} HTTP/1.1\r\nhost: evil.example\r\norigin: https://evil.example\r\ncontent-length: 0\r\n\r\n`,
]);
const ALL = [...REQUESTS, ...CHANGES, ...REQUESTS];

function openSocket() {
  const socket = connect(port, '127.0.0.1');
  open.add(socket);
  return socket.on('error', () => {}).on('close', () => open.delete(socket));
}

/** Does it again after a while, unless another port is attacked by then. */
function again(work, ms) {
  const attacked = port;
  setTimeout(() => port === attacked && work(), ms);
}

/** Asks again whenever something of an answer has come: now and then twice for one answer, which the proxy has to bear. */
function askOn(number) {
  let next = number;
  const socket = openSocket();
  const ask = () => socket.write(ALL[next++ % ALL.length]);
  socket.on('connect', ask).on('data', ask);
  socket.on('close', () => again(() => askOn(next), 10));
}

function listenDeaf() {
  const clients = Array.from({ length: DEAF }, () => {
    const socket = openSocket().pause();
    socket.write(`GET /api/events HTTP/1.1\r\n${HOST}\r\n`);
    return socket;
  });
  again(() => {
    for (const client of clients) client.destroy();
    listenDeaf();
  }, DEAF_MS);
}

function sendSlowly() {
  const socket = openSocket();
  socket.write(`POST /api/services/warm/wake HTTP/1.1\r\n${HOST}content-length: 60000\r\n\r\n`);
  const timer = setInterval(() => socket.write('x'), BYTE_MS);
  socket.on('close', () => {
    clearInterval(timer);
    again(sendSlowly, 10);
  });
  socket.resume();
}

process.on('message', (attacked) => {
  port = 0;
  for (const socket of open) socket.destroy();
  port = attacked;
  if (port !== 0) {
    for (let number = 0; number < ASKING; number++) askOn(number);
    listenDeaf();
    for (let number = 0; number < SLOW; number++) sendSlowly();
  }
  process.send?.(port);
});
process.on('disconnect', () => process.exit());
