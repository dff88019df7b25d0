import { createCaretRenderer } from '../config/yaml/render-caret.ts';
import { createSecretLines } from '../config/yaml/secret-lines.ts';
import { hasErrors, type Problem } from '../model/problem.ts';
import type { ConfigFile } from '../sources/config-file.ts';
import type { ReloadView } from '../status/api/content.ts';

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
  const mayHoldSecret = createSecretLines(text);
  // The value of a mistyped key may be anything, a token too.
  const unknown = new Set(
    problems.flatMap(({ code, origin }) =>
      code === 'unknown-key' && origin.kind === 'file' ? [origin.line] : [],
    ),
  );
  const isHidden = (line: number) => !showSecrets && (unknown.has(line) || mayHoldSecret(line));
  return problems.map((problem) => {
    const { origin } = problem;
    if (origin.kind !== 'file' || isHidden(origin.line)) return { problem };
    const caret = render(origin);
    return caret === undefined ? { problem } : { problem, caret };
  });
}
