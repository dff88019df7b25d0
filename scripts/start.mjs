/**
 * `npm start`: the quickstart, from a fresh clone to a running proxy. More arguments go to `lazy-proxy run`. What it does, and
 * in the end what to type, goes to stderr: stdout is the proxy's log alone.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runBuild } from './build.mjs';
import { ensureInstalled, ROOT } from './ensure-installed.mjs';
import { signalStatus } from './run-command.mjs';

/** npm passes on a Ctrl-C that the terminal has already delivered: the same signal so soon after is no second one. */
const ECHO_MS = 500;
const CONFIG = 'examples/quickstart/lazy-proxy.yaml';
const READY_POLL_MS = 100;
/** Afterwards its status is somewhere else, as with STATUS_PORT: the log tells where. */
const READY_TIMEOUT_MS = 10_000;

try {
  // Before each is done, since it takes a while.
  await ensureInstalled({ announce: (what) => console.error(`${what} …`) });
  console.error('building the program …');
  await runBuild();
  process.exitCode = await runProxy(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** Runs the proxy in the foreground; resolves with its exit status. */
function runProxy(extraArgs) {
  const args = ['dist/main.js', 'run', '--config', CONFIG, ...extraArgs];
  const ended = new AbortController();
  tellWhatToType(ended.signal).catch((error) => {
    if (!ended.signal.aborted) console.error(error.message);
  });
  return new Promise((resolve, reject) => {
    // A group of its own, or a Ctrl-C would reach it twice, and twice means "now, without draining".
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', detached: true });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      ended.abort();
      resolve(code ?? signalStatus(signal));
    });
    for (const signal of ['SIGINT', 'SIGTERM']) passOn(signal, child);
    // The terminal is gone: to the proxy, SIGHUP would only mean "reload".
    process.on('SIGHUP', () => child.kill('SIGTERM'));
  });
}

function passOn(signal, child) {
  let lastMs = Number.NEGATIVE_INFINITY;
  process.on(signal, () => {
    const nowMs = performance.now();
    if (nowMs - lastMs < ECHO_MS) return;
    lastMs = nowMs;
    child.kill(signal);
  });
}

/** Says it once the proxy is ready, below its first lines. */
async function tellWhatToType(signal) {
  // Only now, since it may just have been installed.
  const { parse } = await import('yaml');
  const { services, status } = parse(await readFile(path.join(ROOT, CONFIG), 'utf8'));
  const [port] = services.hello.ports[0].match(/^.*(?=:)/);
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while (!(await isReady(status.listen, signal))) {
    if (performance.now() > deadlineMs) return;
    await sleep(READY_POLL_MS, undefined, { signal });
  }
  const statusPort = status.listen.match(/\d+$/)[0];
  const [broken] = services.broken.ports[0].match(/^.*(?=:)/);
  const lines = [
    `Now open http://localhost:${statusPort} in a browser, and type in another terminal:`,
    `  curl ${port}           # wakes the server, and waits for it`,
    `  curl ${status.listen}/status    # shows what is awake`,
    `  curl ${broken}           # fails on purpose: the page says why`,
    `On the page, services are woken and held with the token "${status.token}".`,
    'Ctrl-C ends the proxy.',
  ];
  console.error(`\n${lines.join('\n')}\n`);
}

async function isReady(address, signal) {
  return await fetch(`http://${address}/ready`, { signal }).then(
    ({ ok }) => ok,
    () => false,
  );
}
