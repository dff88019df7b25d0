/** Runs one vitest project and counts its tests. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './ensure-installed.mjs';
import { runCommand } from './run-command.mjs';

/**
 * @param {string} project
 * @param {{ folder: string, args?: readonly string[], env?: Record<string, string>, signal?: AbortSignal }} options
 * `folder` is where the report goes; `args` go to vitest.
 * @returns {Promise<{ passed: number, failed: number, skipped: number, ok: boolean }>}
 */
export async function runVitestProject(project, { folder, args = [], env = {}, signal }) {
  const report = path.join(folder, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = await runCommand(
    path.join(ROOT, 'node_modules/.bin/vitest'),
    ['run', '--project', project, ...reporters, ...args],
    // Temporary folders go where they are removed, even if a test is killed.
    { cwd: ROOT, env: { ...process.env, TMPDIR: folder, ...env }, signal },
  );
  const counts = await countTests(report);
  const ok = status === 0;
  // A run that fails as a whole must not read "0 failed".
  return { ...counts, failed: ok ? counts.failed : Math.max(1, counts.failed), ok };
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
