/** What is wrong, on top: the proxy is not heard, the file is refused, problems. */
import type { FindingAnswer } from '../status/api/answers.ts';
import { formatClockTime, parseTime } from './clock.ts';
import { token } from './data/client.ts';
import { formatCount } from './format.ts';
import type { Shown } from './data/live-data.ts';
import { Foreign, Scrolled } from './parts.tsx';
import type { Steerer } from './data/steering.ts';

/** So many are listed; a broken label in each of a thousand containers must not fill the page. */
const MAX_LISTED = 50;

export function Banners({ shown, steerer }: { readonly shown: Shown; readonly steerer: Steerer }) {
  const { about, link, reload, problems } = shown;
  const away = about?.engines.filter(({ answers }) => !answers) ?? [];
  const refused = reload?.refused_since === undefined ? undefined : reload;
  const others = problems.filter(
    (problem) =>
      // The banner above says so.
      !(problem.code === 'engine-unreachable' && away.length > 0) &&
      (refused?.problems.every((known) => !isSameFinding(known, problem)) ?? true),
  );
  const ofFile = refused === undefined ? others.filter(isRefusal) : [];
  const rest = others.filter((problem) => !ofFile.includes(problem));
  const waiting = reload?.waiting ?? [];
  const isLineHidden =
    token.read() === undefined &&
    (refused?.problems.some(({ line, caret }) => line !== undefined && caret === undefined) ?? false);
  return (
    <>
      {link.kind === 'locked' && (
        <div class="banner mild">
          Nothing can be read here without the token.{' '}
          <button
            type="button"
            class="plain"
            onClick={() => steerer.ask({ kind: 'token', job: undefined, problem: undefined })}
          >
            Give it
          </button>
        </div>
      )}
      {link.kind === 'cut' && (
        <div class="banner" role="alert">
          <b>The proxy can’t be heard.</b> {link.why}. What stands here is what was known at{' '}
          {formatClockTime(link.sinceMs, { seconds: true })}; it is tried again.
        </div>
      )}
      {away.length > 0 && (
        <div class="banner" role="alert">
          {away.map(({ name, problem }) => (
            <p key={name}>
              <b>{`${name.replace(/^t/, 'T')} does not answer.`}</b>{' '}
              {problem !== undefined && (
                <>
                  <Foreign text={problem} />.{' '}
                </>
              )}
              What is awake is served on; what sleeps can’t be woken before it answers. It is asked again and
              again.
            </p>
          ))}
        </div>
      )}
      {refused !== undefined && (
        <div class="banner" role="alert">
          <b>The last edit is not in force.</b> <Foreign text={refused.file ?? 'The file'} /> was refused at{' '}
          {formatClockTime(parseTime(refused.refused_since ?? ''))}; the version of{' '}
          {formatClockTime(parseTime(refused.changed_at))} goes on.
          <Findings findings={refused.problems} />
          {isLineHidden && <p class="hint">Lines that may hold a secret are shown with the token.</p>}
        </div>
      )}
      {ofFile.length > 0 && (
        <div class="banner" role="alert">
          <b>The last edit is not in force.</b> The file was refused; the version before goes on.
          <Findings findings={ofFile} />
        </div>
      )}
      {rest.length > 0 && (
        <details class="banner mild">
          <summary>
            <b>{formatCount(rest.length, 'problem')}</b>
          </summary>
          <Findings findings={rest} />
        </details>
      )}
      {waiting.length > 0 && (
        <details class="banner mild">
          <summary>
            <b>{formatCount(waiting.length, 'setting')}</b> {waiting.length === 1 ? 'waits' : 'wait'} for a
            restart
          </summary>
          <Findings findings={waiting} />
        </details>
      )}
    </>
  );
}

/** Two answers of the API may tell the same mistake in other words. */
function isSameFinding(a: FindingAnswer, b: FindingAnswer): boolean {
  if (a.file === undefined) return a.text === b.text;
  return a.code === b.code && a.file === b.file && a.line === b.line && a.column === b.column;
}

/** An error of the file refuses it whole. */
function isRefusal({ severity, file }: FindingAnswer): boolean {
  return severity === 'error' && file !== undefined;
}

/** With its place, unless the message itself names the service. */
function describeFinding({ text, severity, message, file }: FindingAnswer): string {
  if (file !== undefined) return text;
  const end = ` ${severity} ${message}`;
  if (message.startsWith('service ') || !text.endsWith(end)) return message;
  return `${text.slice(0, -end.length)}: ${message}`;
}

export function Findings({ findings }: { readonly findings: readonly FindingAnswer[] }) {
  return (
    <ul class="findings">
      {findings.slice(0, MAX_LISTED).map((finding) => (
        <li key={finding.text} class={finding.severity}>
          <code>
            <Foreign text={describeFinding(finding)} />
          </code>
          {finding.caret !== undefined && (
            <Scrolled label="The line of the file" kind="caret">
              <code>{finding.caret}</code>
            </Scrolled>
          )}
        </li>
      ))}
      {findings.length > MAX_LISTED && <li>and {findings.length - MAX_LISTED} more: see /problems</li>}
    </ul>
  );
}
