/** Gets the program of Prometheus that checks metrics and rules, for the tests of these. */
import { canInstallPackages, installPrograms, listMissing } from './system-packages.mjs';

const PACKAGES = { promtool: 'prometheus' };

/**
 * Installs it where that is possible. Never rejects.
 * @param {{ signal?: AbortSignal, announce: (line: string) => void }} options
 * @returns {Promise<string | undefined>} why there is none; undefined = it is there.
 */
export async function preparePromtool({ signal, announce }) {
  if ((await listMissing(PACKAGES)).length === 0) return undefined;
  if (!(await canInstallPackages())) return 'there is no promtool';
  return await installPrograms(PACKAGES, { signal, announce }).then(
    () => undefined,
    (error) => error.message,
  );
}
