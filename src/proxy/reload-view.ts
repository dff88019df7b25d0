import { createCaretRenderer } from '../config/yaml/render-caret.ts';
import { hasErrors, type Problem } from '../model/problem.ts';
import type { ConfigFile } from '../sources/config-file.ts';
import type { ReloadView } from '../status/api/content.ts';

/** Keys whose value may be a secret, whatever they belong to; below a mapping of such a name all values may. */
const SECRET_KEY =
  /^["']?(env|environment|headers|.*(token|secret|passw|key|auth|credential|webhook|url).*)["']?$/i;

/** What has become of the last changes of the file. */
export function describeReload(
  file: ConfigFile,
  rest: Pick<ReloadView, 'generation' | 'changedAtMs' | 'waiting'> & {
    /** Since when the newest content is refused, ms since the epoch. */
    readonly refusedAtMs: number | undefined;
    /** Whether lines are shown that may hold secrets. */
    readonly showSecrets: boolean;
  },
): ReloadView {
  const { refusedAtMs, showSecrets, ...more } = rest;
  const isRefused = hasErrors(file.problems);
  return {
    ...more,
    file: file.shownPath,
    refusedReloads: file.refusedReloads,
    problems: addCarets(file.problems, { text: file.refusedText, showSecrets }),
    ...(isRefused && refusedAtMs !== undefined && { refusedAtMs }),
  };
}

function addCarets(
  problems: readonly Problem[],
  { text, showSecrets }: { readonly text: string | undefined; readonly showSecrets: boolean },
): ReloadView['problems'] {
  if (text === undefined) return problems.map((problem) => ({ problem }));
  const render = createCaretRenderer(text);
  const lines = text.split(/\r?\n/);
  return problems.map((problem) => {
    const { origin } = problem;
    if (origin.kind !== 'file' || (!showSecrets && mayHoldSecret(lines, origin.line))) return { problem };
    const caret = render(origin);
    return caret === undefined ? { problem } : { problem, caret };
  });
}

/** Whether a line stands for, or below, a key whose values are secrets; a line that can't be told counts as one. */
function mayHoldSecret(lines: readonly string[], number: number): boolean {
  let indent = Number.POSITIVE_INFINITY;
  for (let index = number - 1; index >= 0 && indent > 0; index--) {
    const line = lines[index] ?? '';
    const begin = line.search(/[^\s-]/);
    if (begin === -1 || line.trimStart().startsWith('#') || begin >= indent) continue;
    indent = begin;
    const keys = [...line.matchAll(/(?:^|[\s{,-])(["']?[\w.-]+["']?)\s*:/g)].map(([, key = '']) => key);
    if (keys.some((key) => SECRET_KEY.test(key))) return true;
  }
  return false;
}
