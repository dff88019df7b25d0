/**
 * `npm test`: everything that must hold, from a fresh clone: format, lint, types, build, unit tests, and the tests
 * against a real Docker engine. `--engine-only [vitest arguments]`: only what the engine tests need, and them.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openEngine } from './engine.mjs';
import { ensureInstalled, ROOT } from './ensure-installed.mjs';
import { runCommand, signalStatus } from './run-command.mjs';
import { runVitestProject } from './vitest-project.mjs';

const args = process.argv.slice(2);
const engineOnly = args[0] === '--engine-only';
const vitestArgs = engineOnly ? args.slice(1) : args;
const interruption = new AbortController();
const { signal } = interruption;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => interruption.abort(name));

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
  if (!(await runStep('install', () => ensureInstalled({ signal })))) return;
  if (!engineOnly) {
    await runStep('format', () => runTool('biome', ['format', '.']));
    await runStep('lint', () => runTool('biome', ['lint', '--error-on-warnings', '.']));
    await runStep('types', () => runTool('tsc', ['-p', 'tsconfig.json']));
  }
  const built = await runStep('build', () => runTool('tsc', ['-p', 'tsconfig.build.json']));
  if (!engineOnly) await runStep('unit tests', () => runTests('unit'));
  if (!engineOnly && built) await runStep('program tests', () => runTests('program'));
  if (built) await runStep('engine tests', runEngineTests);
  else console.log('engine tests did not run: they need the build');
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
  const engine = await openEngine({ runId, signal, announce: (line) => console.log(line) });
  if (engine.kind === 'none') return reportNoEngine(engine.reason);
  try {
    const env = { LAZY_PROXY_TEST_DOCKER_HOST: engine.host, LAZY_PROXY_TEST_RUN: runId };
    return `${await runTests('engine', env)} (${engine.name})`;
  } finally {
    await engine.close();
  }
}

function reportNoEngine(reason) {
  const lines = [
    'THE ENGINE TESTS DID NOT RUN.',
    `Why: ${reason}.`,
    'To run them: start Docker, or set DOCKER_HOST, or run this on Debian as root, which starts a private engine.',
  ];
  const ruler = '!'.repeat(80);
  console.log([ruler, ...lines, ruler].join('\n'));
  // On a build server, or where nothing else was asked for, "did not run" must not pass for "passed".
  if (engineOnly || ['true', '1'].includes(process.env.CI ?? ''))
    throw new Error('no engine to test against');
  return 'did not run';
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
