/** Runs a vitest project, or a part of it, and counts its tests. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './ensure-installed.mjs';
import { runCommand } from './run-command.mjs';

/**
 * @param {readonly string[]} projects
 * @param {{ name: string, folder: string, args?: readonly string[], env?: Record<string, string>, signal?: AbortSignal }} options
 * `name` is that of the run, unlike that of any other; `folder` is where the reports go; `args` go to vitest.
 * @returns {Promise<{ passed: number, failed: number, skipped: number, flaky: readonly string[],
 *   costs: readonly { file: string, wallMs: number, processorMs: number }[], ok: boolean }>}
 * `flaky` names the tests that passed only when they were tried again, and says why they failed first; `costs` has each
 * test file.
 */
export async function runVitestProjects(projects, { name, folder, args = [], env = {}, signal }) {
  const report = path.join(folder, `${name}.json`);
  const flakyFile = path.join(folder, `${name}.flaky`);
  const costsFile = path.join(folder, `${name}.costs`);
  const reporters = [
    '--reporter=default',
    ...['--reporter=json', `--outputFile.json=${report}`],
    ...['flaky', 'cost'].map((kind) => `--reporter=${path.join(ROOT, `scripts/${kind}-reporter.mjs`)}`),
  ];
  const { status } = await runCommand(
    path.join(ROOT, 'node_modules/.bin/vitest'),
    ['run', ...projects.map((project) => `--project=${project}`), ...reporters, ...args],
    {
      cwd: ROOT,
      // Temporary folders go where they are removed, even if a test is killed.
      env: {
        ...process.env,
        ...{ TMPDIR: folder, LAZY_PROXY_FLAKY_TESTS: flakyFile, LAZY_PROXY_TEST_COSTS: costsFile },
        ...env,
      },
      signal,
    },
  );
  const counts = await countTests(report);
  const ok = status === 0;
  // A run that fails as a whole must not read "0 failed".
  return {
    ...counts,
    failed: ok ? counts.failed : Math.max(1, counts.failed),
    flaky: await readLines(flakyFile),
    costs: await readLines(costsFile),
    ok,
  };
}

async function countTests(report) {
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) return { passed: 0, failed: 0, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(text);
  // A file that fails outside its tests (an import, a hook) counts as one.
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: numPassedTests,
    failed: numFailedTests + brokenFiles.length,
    skipped: numPendingTests,
  };
}

async function readLines(file) {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
