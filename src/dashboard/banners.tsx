/** What is wrong, on top: the proxy is not heard, the file is refused, problems. */
import type { FindingAnswer } from '../status/api/answers.ts';
import { formatClockTime, parseTime } from './clock.ts';
import { formatCount } from './format.ts';
import type { Shown } from './live-data.ts';
import { Foreign, Scrolled } from './parts.tsx';

/** So many are listed; a broken label in each of a thousand containers must not fill the page. */
const MAX_LISTED = 50;

export function Banners({ shown }: { readonly shown: Shown }) {
  const { link, reload, problems } = shown;
  const refused = reload?.refused_since === undefined ? undefined : reload;
  const others = problems.filter(
    ({ text }) => refused?.problems.every((known) => known.text !== text) ?? true,
  );
  const ofFile = refused === undefined ? others.filter(isRefusal) : [];
  const rest = others.filter((problem) => !ofFile.includes(problem));
  const waiting = reload?.waiting ?? [];
  return (
    <>
      {link.kind === 'cut' && (
        <div class="banner" role="alert">
          <b>The proxy can’t be heard.</b> {link.why}. What stands here is what was known at{' '}
          {formatClockTime(link.sinceMs, { seconds: true })}; it is tried again.
        </div>
      )}
      {refused !== undefined && (
        <div class="banner" role="alert">
          <b>The last edit is not in force.</b> <Foreign text={refused.file ?? 'The file'} /> was refused at{' '}
          {formatClockTime(parseTime(refused.refused_since ?? ''))}; the version of{' '}
          {formatClockTime(parseTime(refused.changed_at))} goes on.
          <Findings findings={refused.problems} />
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

/** An error of the file refuses it whole. */
function isRefusal({ severity, file }: FindingAnswer): boolean {
  return severity === 'error' && file !== undefined;
}

export function Findings({ findings }: { readonly findings: readonly FindingAnswer[] }) {
  return (
    <ul class="findings">
      {findings.slice(0, MAX_LISTED).map(({ text, message, file, severity, caret }) => (
        <li key={text} class={severity}>
          <code>
            <Foreign text={file === undefined ? message : text} />
          </code>
          {caret !== undefined && (
            <Scrolled label="The line of the file" kind="caret">
              <code>{caret}</code>
            </Scrolled>
          )}
        </li>
      ))}
      {findings.length > MAX_LISTED && <li>and {findings.length - MAX_LISTED} more: see /problems</li>}
    </ul>
  );
}
