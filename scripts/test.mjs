/**
 * `npm test`: everything that must hold, from a fresh clone: format, lint, types, build, unit tests, and the tests
 * against a real Docker engine and a real Kubernetes control plane. `--engine-only` or `--kubernetes-only`, then vitest
 * arguments: only what those tests need, and them. `LAZY_PROXY_TEST_KUBERNETES=build` builds the control plane where it
 * is missing, beside everything that comes before its tests.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { runBuild } from './build.mjs';
import { findExisting, openEngine } from './engine.mjs';
import { ensureInstalled, ROOT } from './ensure-installed.mjs';
import { buildGoProgram } from './go-programs.mjs';
import { prepareKubernetes } from './kubernetes.mjs';
import { reportLeftOut } from './left-out.mjs';
import { runCommand, signalStatus } from './run-command.mjs';
import { preparePrograms } from './system-packages.mjs';
import { runVitestProjects } from './vitest-projects.mjs';

const args = process.argv.slice(2);
const only = /^--(engine|kubernetes)-only$/.exec(args[0] ?? '')?.[1];
const vitestArgs = only === undefined ? args : args.slice(1);
const interruption = new AbortController();
const { signal } = interruption;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => interruption.abort(name));
const announce = (line) => console.log(line);

/**
 * Files of the engine tests, by the beginning of their names, that mostly wait: for the next minute, a time limit, an engine's start.
 * They have a lane of their own, which begins with the tests of the program, since they leave the processors to the others.
 */
const PATIENT_ENGINE_GROUP = ['availability', 'concurrency', 'engine-restart', 'sleep', 'unanswered'];
/**
 * The others, those that take longest first; a last group has all that are named nowhere. A lane takes the next group when it is free.
 * Swarms share a bridge and ports of the machine.
 */
const ENGINE_GROUPS = [
  ['swarm'],
  ['in-container'],
  ['bind', 'cascade', 'docker-contract', 'drop-in'],
  ['label', 'own-listener', 'readme', 'second-instance', 'shutdown', 'udp'],
  ['podman'],
  ['outside', 'first-start'],
  ['api', 'init', 'memory', 'web'],
  ['engine.', 'examples', 'failed-wakes', 'half-close'],
];
/** Those of the first Kubernetes lane, so that it takes about as long as the second, which has the others. */
const FIRST_KUBERNETES_LANE = ['api-server', 'control-plane', 'watches', 'features', 'replicas', 'rights'];
/** The package of each program that the dashboard's tests, and those of the metrics and of shells, need. */
const BROWSER = { chromium: 'chromium', nginx: 'nginx', caddy: 'caddy' };
const PROMTOOL = { promtool: 'prometheus' };
/** Those for which there is a completion, beside bash. */
const SHELLS = { zsh: 'zsh', fish: 'fish' };
/** Of those that read and write PROXY headers, of one that is told of hosts, and of the client that asks the HTTP doors. */
const PROXIES = { haproxy: 'haproxy', nginx: 'nginx', caddy: 'caddy', curl: 'curl' };
/** More than so many tests that pass only when they are tried again are a fault of the tests, or of the program. */
const MAX_FLAKY = 2;
/** Of the histories that the model test plays. */
const MODEL_SEED = '-663472420';
/** So many of the files that cost most are named at the end. */
const NAMED_COSTS = 10;

const totals = { passed: 0, failed: 0 };
const flakyTests = [];
const fileCosts = [];
const failedSteps = [];
const leftOut = new Set();
/** One after the other, of each kind: the first one may have to install what it needs. */
const openings = { engine: Promise.resolve(), Kubernetes: Promise.resolve() };

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
  const [browser, promtool, shells, proxies] =
    only === undefined
      ? [BROWSER, PROMTOOL, SHELLS, PROXIES].map((packages) =>
          preparePrograms(packages, { signal, announce }),
        )
      : [];
  const built = await runStep('build', () => runBuild({ signal }));
  if (promtool !== undefined) await runStep('promtool', () => reportPromtool(promtool));
  if (shells !== undefined) await runStep('zsh and fish', () => reportShells(shells));
  if (proxies !== undefined) await runStep('HAProxy, nginx and curl', () => reportProxies(proxies));
  if (only === undefined) await runUnitTests();
  if (!built) return console.log('the tests of the program did not run: they need the build');
  const { patient = [], others = [] } = only === 'kubernetes' ? {} : await listEngineGroups();
  const waiting = patient.length > 0 ? runEngineLane(patient) : undefined;
  if (only === undefined) await runProgramTests(browser);
  // What is left waits more than it works, so it may as well wait together.
  const kubernetesLanes = kubernetes === undefined ? [] : runKubernetesTests(kubernetes);
  const lanes = [...(waiting === undefined ? [] : [waiting]), ...kubernetesLanes];
  await Promise.all([...lanes, runEngineTests(others, lanes)]);
}

/** Much of it measures time, so no engine and no cluster runs beside it. */
async function runUnitTests() {
  // Both keep one core busy, as a rule.
  await Promise.all([runChecks(), runStep('model tests', runModelTests)]);
  await runStep('h2spec and Traefik', prepareGoPrograms);
  await runStep('unit tests', () => runTests(['unit'], { name: 'unit' }));
}

/** @param {ReturnType<typeof preparePrograms>} browser */
async function runProgramTests(browser) {
  await Promise.all([
    runStep('program tests', () => runTests(['program'], { name: 'program' })),
    runStep('browser tests', () => runBrowserTests(browser)),
  ]);
}

async function runChecks() {
  await runStep('format', () => runTool('biome', ['format', '.']));
  await runStep('lint', () => runTool('biome', ['lint', '--error-on-warnings', '.']));
  await runStep('types', async () => {
    for (const project of ['tsconfig.json', 'src/dashboard']) await checkTypes(project);
  });
}

/** @param {ReturnType<typeof preparePrograms>} browser */
async function runBrowserTests(browser) {
  const reason = await browser;
  if (reason === undefined) return await runTests(['browser'], { name: 'browser' });
  const remedy =
    'install Chromium as /usr/bin/chromium, nginx and Caddy, or run this on Debian as root, which installs it';
  return reportLeftOut('browser tests', { reason, remedy, wasAskedFor: false });
}

/**
 * Without it the unit tests leave out what it checks.
 * @param {ReturnType<typeof preparePrograms>} promtool
 */
async function reportPromtool(promtool) {
  const reason = await promtool;
  if (reason === undefined) return 'is there';
  const remedy = 'install promtool, or run this on Debian as root, which installs it';
  return reportLeftOut('checks by promtool', { reason, remedy, wasAskedFor: false });
}

/**
 * Without them the program tests leave out their completion.
 * @param {ReturnType<typeof preparePrograms>} shells
 */
async function reportShells(shells) {
  const reason = await shells;
  if (reason === undefined) return 'are there';
  const remedy = 'install zsh and fish, or run this on Debian as root, which installs them';
  return reportLeftOut('tests of completion in zsh and fish', { reason, remedy, wasAskedFor: false });
}

/**
 * Without them the tests leave out what they check.
 * @param {ReturnType<typeof preparePrograms>} proxies
 */
async function reportProxies(proxies) {
  const reason = await proxies;
  if (reason === undefined) return 'are there';
  const remedy = 'install haproxy, nginx and curl, or run this on Debian as root, which installs them';
  return reportLeftOut('checks by HAProxy, nginx and curl', { reason, remedy, wasAskedFor: false });
}

/** Without them the tests of HTTP/2 and of what Traefik is told are left out; to build Traefik takes minutes, so it is asked for. */
async function prepareGoPrograms() {
  const names = ['h2spec', ...(process.env.LAZY_PROXY_TEST_TRAEFIK === 'build' ? ['traefik'] : [])];
  const built = names.map((name) =>
    buildGoProgram(name, { signal }).then(
      () => name,
      (error) => error.message,
    ),
  );
  return (await Promise.all(built)).join(', ');
}

/** The same histories each time, so that a failure is of the change; `npm run test:model` looks for new ones. */
function runModelTests() {
  const { LAZY_PROXY_MODEL_SEED = MODEL_SEED } = process.env;
  return runTests(['model'], { name: 'model', env: { LAZY_PROXY_MODEL_SEED } });
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

/** What has not changed since it was checked last is not checked again. */
async function checkTypes(project) {
  const memory = path.join(
    'node_modules/.cache/lazy-proxy',
    `${path.basename(project, '.json')}.tsbuildinfo`,
  );
  await runTool('tsc', ['-p', project, '--incremental', '--tsBuildInfoFile', memory]);
}

async function runTool(name, toolArgs) {
  const program = path.join(ROOT, 'node_modules/.bin', name);
  const { status, output } = await runCommand(program, toolArgs, { cwd: ROOT, quiet: true, signal });
  if (status !== 0) throw new Error(output.trimEnd());
}

async function runTests(projects, { name, args = [], env = {} }) {
  const result = await runVitestProjects(projects, {
    ...{ name, folder, env, signal },
    // Who names files means those of some projects.
    args: [...args, ...vitestArgs, ...(vitestArgs.length > 0 ? ['--passWithNoTests'] : [])],
  });
  totals.passed += result.passed;
  totals.failed += result.failed;
  flakyTests.push(...result.flaky);
  fileCosts.push(...result.costs);
  const detail = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
  if (!result.ok) throw new Error(`${name} tests: ${detail}`);
  return detail;
}

/** Who names files gets one lane, and so does a lone core. */
function hasOneLane() {
  return vitestArgs.length > 0 || availableParallelism() === 1;
}

/** The files take turns on one control plane. One of our own costs little, so those of all files go in two lanes. */
function listKubernetesLanes() {
  if (hasOneLane()) return [{ name: 'Kubernetes', args: [] }];
  const files = FIRST_KUBERNETES_LANE.map((name) => `test/kubernetes/${name}`);
  return [
    { name: 'Kubernetes 1', args: files },
    { name: 'Kubernetes 2', args: files.map((file) => `--exclude=${file}*`) },
  ];
}

/** An engine that was there before is one, for all files; so it is for a lone lane. */
async function listEngineGroups() {
  if (hasOneLane() || (await findExisting()) !== undefined) return { others: [{ name: 'engine', args: [] }] };
  const named = [PATIENT_ENGINE_GROUP, ...ENGINE_GROUPS];
  const groups = named.map((names) => names.map((name) => `test/engine/${name}`));
  const rest = groups.flat().map((file) => `--exclude=${file}*`);
  const [patient, ...others] = [...groups, rest].map((args, index) => ({
    name: `engine ${index + 1}`,
    args,
  }));
  return { patient: [patient], others };
}

function openInTurn(kind, open) {
  openings[kind] = openings[kind].then(open);
  return openings[kind];
}

/** Says once, not for each lane, why they did not run. */
function leaveOut(kind, why) {
  if (leftOut.has(kind)) return 'did not run';
  leftOut.add(kind);
  return reportLeftOut(`${kind} tests`, why);
}

/**
 * Two lanes take the next group when they are free; another one begins when one of the lanes beside them has ended.
 * @param {{ name: string, args: string[] }[]} groups
 * @param {readonly Promise<unknown>[]} lanesBeside
 */
async function runEngineTests(groups, lanesBeside) {
  const begins = [undefined, undefined, ...lanesBeside];
  const runLane = async (begin) => {
    await begin;
    if (groups.length > 0) await runEngineLane(takeInTurn(groups));
  };
  await Promise.all(begins.map(runLane));
}

/** Takes what is left of the groups when it is asked for the next. */
function* takeInTurn(groups) {
  while (groups.length > 0) yield groups.shift();
}

/**
 * Runs one group after the other, on an engine of the lane's own.
 * @param {Iterable<{ name: string, args: string[] }>} groups
 */
async function runEngineLane(groups) {
  const runId = randomUUID();
  let engine;
  const isOpen = await runStep('engine', async () => {
    engine = await openInTurn('engine', () => openEngine({ runId, signal, announce }));
    return engine.kind === 'none' ? leaveOutEngine(engine) : engine.name;
  });
  if (isOpen && engine.kind !== 'none') {
    const env = { LAZY_PROXY_TEST_DOCKER_HOST: engine.host, LAZY_PROXY_TEST_RUN: runId };
    for (const { name, args } of groups)
      await runStep(`${name} tests`, () => runTests(['engine'], { name, args, env }));
  }
  if (engine?.kind === 'engine') await closeEngine(engine);
}

/** Also of a run that was interrupted. */
async function closeEngine(engine) {
  try {
    await engine.close();
  } catch (error) {
    failedSteps.push('end of an engine');
    console.log(error.message);
  }
}

function leaveOutEngine({ reason }) {
  const remedy =
    'start Docker, or set DOCKER_HOST, or run this on Debian as root, which starts a private engine';
  return leaveOut('engine', { reason, remedy, wasAskedFor: only === 'engine' });
}

function beginKubernetes() {
  const mayBuild = only === 'kubernetes' || process.env.LAZY_PROXY_TEST_KUBERNETES === 'build';
  return prepareKubernetes({ mayBuild, signal, announce });
}

/** @returns {readonly Promise<boolean>[]} the end of each lane */
function runKubernetesTests(kubernetes) {
  return listKubernetesLanes().map((lane) =>
    runStep(`${lane.name} tests`, () => runKubernetesLane(kubernetes, lane)),
  );
}

async function runKubernetesLane(kubernetes, { name, args }) {
  const plane = await openInTurn('Kubernetes', () => kubernetes.open());
  if (plane.kind === 'none') {
    const remedy = '`npm run test:kubernetes` on Linux as root, with Go 1.26 or newer; it builds one, once';
    const wasAskedFor = only === 'kubernetes' || process.env.LAZY_PROXY_TEST_KUBERNETES === 'build';
    return leaveOut('Kubernetes', { reason: plane.reason, remedy, wasAskedFor });
  }
  try {
    const env = { LAZY_PROXY_TEST_KUBE: plane.folder };
    return await runTests(['kubernetes'], { name, args, env });
  } finally {
    await plane.close();
  }
}

function conclude() {
  if (signal.aborted) {
    console.log(`ended by ${signal.reason}`);
    return signalStatus(signal.reason);
  }
  reportCosts();
  if (flakyTests.length > 0) console.log(`passed only at the second try:\n  ${flakyTests.join('\n  ')}`);
  if (flakyTests.length > MAX_FLAKY) failedSteps.push(`more than ${MAX_FLAKY} tests needed a second try`);
  if (vitestArgs.length > 0 && totals.passed + totals.failed === 0) failedSteps.push('no test has that name');
  if (failedSteps.length > 0) console.log(`failed: ${failedSteps.join(', ')}`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return failedSteps.length > 0 ? 1 : 0;
}

/** Engines and control planes are not counted: they belong to no file. */
function reportCosts() {
  if (fileCosts.length <= NAMED_COSTS) return;
  const dearest = fileCosts.toSorted((a, b) => b.processorMs - a.processorMs).slice(0, NAMED_COSTS);
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const lines = dearest.map(
    ({ file, wallMs, processorMs }) => `  ${file}: ${seconds(processorMs)}, in ${seconds(wallMs)}`,
  );
  console.log(`the files that kept a processor busy longest:\n${lines.join('\n')}`);
}
