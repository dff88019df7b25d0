/** The browser that the dashboard's tests need: Debian's Chromium. */
import { canInstallPackages, installPrograms, listMissing } from './system-packages.mjs';

const PACKAGES = { chromium: 'chromium' };

/**
 * Installs it where it is missing and that can be done.
 * @param {{ signal?: AbortSignal, announce: (line: string) => void }} options
 * @returns {Promise<string | undefined>} why there is none; undefined where there is. Never rejects.
 */
export async function prepareBrowser({ signal, announce }) {
  if ((await listMissing(PACKAGES)).length === 0) return undefined;
  if (!(await canInstallPackages())) return "there is no Chromium, and it can't be installed here";
  return await installPrograms(PACKAGES, { signal, announce }).then(
    () => undefined,
    (error) => error.message,
  );
}
