/** `npm start`: the quickstart, from a fresh clone to a running proxy. More arguments go to `lazy-proxy run`. */
import { spawn } from 'node:child_process';
import { runBuild } from './build.mjs';
import { ensureInstalled, ROOT } from './ensure-installed.mjs';
import { signalStatus } from './run-command.mjs';

/** npm passes on a Ctrl-C that the terminal has already delivered: the same signal so soon after is no second one. */
const ECHO_MS = 500;

try {
  await ensureInstalled();
  await runBuild();
  process.exitCode = await runProxy(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** Runs the proxy in the foreground; resolves with its exit status. */
function runProxy(extraArgs) {
  const args = ['dist/main.js', 'run', '--config', 'examples/quickstart/lazy-proxy.yaml', ...extraArgs];
  return new Promise((resolve, reject) => {
    // A group of its own, or a Ctrl-C would reach it twice, and twice means "now, without draining".
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', detached: true });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signalStatus(signal)));
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
