/**
 * What it costs that TLS ends at a service's TCP ports: `npm run bench:tls`. The same bytes go through a plain port, whose bytes the kernel
 * moves (splice), and through one with `tls`, whose bytes go through Node. It prints the processor time of the proxy for each GB and each
 * connection, and how often the one is the other. `-- --quick`: less of both. Needs Linux, curl and openssl.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../../scripts/ensure-installed.mjs';
import { runCommand } from '../../scripts/run-command.mjs';
import { readCpuSeconds } from './bed/proc-files.mjs';

const isQuick = process.argv.includes('--quick');
const [ROUNDS, BIG_BYTES, CONNECTIONS] = isQuick ? [1, 200e6, 100] : [5, 1e9, 500];
const execute = promisify(execFile);

const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-bench-tls-'));
const upstream = createServer(serve).listen(0, '127.0.0.1');
await once(upstream, 'listening');
const ports = { plain: 29_443, tls: 29_444 };
let proxy;
try {
  const { status, output } = await runCommand('npm', ['run', 'build'], { cwd: ROOT, quiet: true });
  if (status !== 0) throw new Error(output);
  proxy = await startProxy();
  await measureAll();
} finally {
  proxy?.kill('SIGKILL');
  upstream.close();
  upstream.closeAllConnections();
  await rm(folder, { recursive: true });
}

function serve(request, response) {
  if (request.url !== '/big') return response.end('small');
  const chunk = Buffer.alloc(1 << 16);
  let left = BIG_BYTES;
  response.writeHead(200, { 'Content-Length': BIG_BYTES });
  const push = () => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      if (!response.write(part)) return;
    }
    response.end();
  };
  response.on('drain', push);
  push();
}

async function startProxy() {
  const [cert, key] = ['cert.pem', 'key.pem'].map((name) => path.join(folder, name));
  const curve = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-subj',
    '/CN=localhost',
  ];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const { port } = upstream.address();
  // Its workload is there already: the upstream above.
  const service = (listen, more) => ({
    command: ['sleep', 'infinity'],
    ports: [`127.0.0.1:${listen}:${port}`],
    ...more,
  });
  const services = { plain: service(ports.plain, {}), tls: service(ports.tls, { tls: { cert, key } }) };
  const file = path.join(folder, 'lazy-proxy.yaml');
  await writeFile(file, JSON.stringify({ status: 'off', docker: { labels: false }, services }));
  const args = [path.join(ROOT, 'dist/main.js'), '--config', file];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, LOG_FORMAT: 'json' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  await new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(text)));
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('"event":"ready"')) resolve();
    });
  });
  return child;
}

async function measureAll() {
  const ways = [
    { name: 'plain', base: `http://127.0.0.1:${ports.plain}` },
    { name: 'tls', base: `https://127.0.0.1:${ports.tls}` },
  ];
  const samples = { plain: [], tls: [] };
  for (const { base } of ways) await curl([`${base}/`]);
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, base } of ways) {
      const big = await cpuOf(() => curl([`${base}/big`]));
      // A connection for each.
      const small = await cpuOf(() => curl(['-H', 'Connection: close', `${base}/[1-${CONNECTIONS}]`]));
      samples[name].push({ perGb: (big / BIG_BYTES) * 1e9, perConnection: (small / CONNECTIONS) * 1e3 });
    }
  }
  const middle = (name, key) =>
    samples[name].map((sample) => sample[key]).toSorted((a, b) => a - b)[ROUNDS >> 1];
  for (const [key, unit] of [
    ['perGb', 's of processor time for each GB'],
    ['perConnection', 'ms of processor time for each connection'],
  ]) {
    const [plain, tls] = ['plain', 'tls'].map((name) => middle(name, key));
    console.log(
      `${unit}: plain ${plain.toFixed(2)}, tls ${tls.toFixed(2)}, ratio ${(tls / plain).toFixed(1)}`,
    );
  }
}

function curl(args) {
  return execute('curl', ['-sSfk', '--noproxy', '*', '-o', '/dev/null', ...args], { maxBuffer: 1e8 });
}

async function cpuOf(work) {
  const before = readCpuSeconds(proxy.pid);
  await work();
  return readCpuSeconds(proxy.pid) - before;
}
