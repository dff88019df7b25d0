/**
 * `npm test`: everything that must hold, from a fresh clone: format, lint, types, build, unit tests, and the tests
 * against a real Docker engine and a real Kubernetes control plane. `--engine-only` or `--kubernetes-only`, then vitest
 * arguments: only what those tests need, and them. `LAZY_PROXY_TEST_KUBERNETES=build` builds the control plane where it
 * is missing, beside everything that comes before its tests.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runBuild } from './build.mjs';
import { openEngine } from './engine.mjs';
import { ensureInstalled, ROOT } from './ensure-installed.mjs';
import { prepareKubernetes } from './kubernetes.mjs';
import { reportLeftOut } from './left-out.mjs';
import { runCommand, signalStatus } from './run-command.mjs';
import { runVitestProject } from './vitest-project.mjs';

const args = process.argv.slice(2);
const only = /^--(engine|kubernetes)-only$/.exec(args[0] ?? '')?.[1];
const vitestArgs = only === undefined ? args : args.slice(1);
const interruption = new AbortController();
const { signal } = interruption;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => interruption.abort(name));
const announce = (line) => console.log(line);

const totals = { passed: 0, failed: 0 };
const failedSteps = [];

const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-test-'));
try {
  await runAll();
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = conclude();

async function runAll() {
  const kubernetes = only === 'engine' ? undefined : beginKubernetes();
  if (await runStep('install', () => ensureInstalled({ signal }))) await runTestsAndChecks(kubernetes);
  await kubernetes?.abandon();
}

async function runTestsAndChecks(kubernetes) {
  if (only === undefined) {
    await runStep('format', () => runTool('biome', ['format', '.']));
    await runStep('lint', () => runTool('biome', ['lint', '--error-on-warnings', '.']));
    await runStep('types', () => runTool('tsc', ['-p', 'tsconfig.json']));
  }
  const built = await runStep('build', () => runBuild({ signal }));
  if (only === undefined) await runStep('unit tests', () => runTests('unit'));
  if (!built) return console.log('the tests of the program did not run: they need the build');
  if (only === undefined) await runStep('program tests', () => runTests('program'));
  // Both wait more than they work, so they may as well wait together.
  await Promise.all([
    only !== 'kubernetes' && runStep('engine tests', runEngineTests),
    kubernetes !== undefined && runStep('Kubernetes tests', () => runKubernetesTests(kubernetes)),
  ]);
}

/** Runs one step and tells it on one line with its time; a step that fails doesn't hide what the next would say. */
async function runStep(name, run) {
  if (signal.aborted) return false;
  const startMs = performance.now();
  let detail;
  let failure;
  try {
    detail = await run();
  } catch (error) {
    failure = error;
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (failure !== undefined) {
    failedSteps.push(name);
    console.log(failure.message);
  }
  console.log(
    `${failure === undefined ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)${detail ? `: ${detail}` : ''}`,
  );
  return failure === undefined;
}

async function runTool(name, toolArgs) {
  const program = path.join(ROOT, 'node_modules/.bin', name);
  const { status, output } = await runCommand(program, toolArgs, { cwd: ROOT, quiet: true, signal });
  if (status !== 0) throw new Error(output.trimEnd());
}

async function runTests(project, env = {}) {
  const result = await runVitestProject(project, { folder, args: vitestArgs, env, signal });
  totals.passed += result.passed;
  totals.failed += result.failed;
  const detail = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
  if (!result.ok) throw new Error(`${project} tests: ${detail}`);
  return detail;
}

async function runEngineTests() {
  const runId = randomUUID();
  const engine = await openEngine({ runId, signal, announce });
  if (engine.kind === 'none') {
    const remedy =
      'start Docker, or set DOCKER_HOST, or run this on Debian as root, which starts a private engine';
    return reportLeftOut('engine tests', { reason: engine.reason, remedy, wasAskedFor: only === 'engine' });
  }
  try {
    const env = { LAZY_PROXY_TEST_DOCKER_HOST: engine.host, LAZY_PROXY_TEST_RUN: runId };
    return `${await runTests('engine', env)} (${engine.name})`;
  } finally {
    await engine.close();
  }
}

function beginKubernetes() {
  const mayBuild = only === 'kubernetes' || process.env.LAZY_PROXY_TEST_KUBERNETES === 'build';
  return prepareKubernetes({ mayBuild, signal, announce });
}

async function runKubernetesTests(kubernetes) {
  const plane = await kubernetes.open();
  if (plane.kind === 'none') {
    const remedy = '`npm run test:kubernetes` on Linux as root, with Go 1.26 or newer; it builds one, once';
    const wasAskedFor = only === 'kubernetes' || process.env.LAZY_PROXY_TEST_KUBERNETES === 'build';
    return reportLeftOut('Kubernetes tests', { reason: plane.reason, remedy, wasAskedFor });
  }
  try {
    return await runTests('kubernetes', { LAZY_PROXY_TEST_KUBE: plane.folder });
  } finally {
    await plane.close();
  }
}

function conclude() {
  if (signal.aborted) {
    console.log(`ended by ${signal.reason}`);
    return signalStatus(signal.reason);
  }
  if (failedSteps.length > 0) console.log(`failed: ${failedSteps.join(', ')}`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return failedSteps.length > 0 ? 1 : 0;
}
