/** Small things that are drawn in several places. */
import type { ComponentChildren } from 'preact';
import type { ListenerAnswer, ServiceAnswer } from '../status/api/answers.ts';
import {
  describeCondition,
  formatListener,
  linkOf,
  lookOf,
  type Look,
  nameUrl,
  type Next,
  wordOf,
} from './service/describe-service.ts';
import { formatCountdown, showText } from './format.ts';
import { useNow } from './data/hooks.ts';

/** A text of somebody else's: isolated, so that it can't turn what stands around it. */
export function Foreign({ text }: { readonly text: string }) {
  return <bdi>{showText(text)}</bdi>;
}

/** What may be wider or longer than its place. It is scrolled, so the keyboard has to get there. */
export function Scrolled({
  label,
  kind = 'wide',
  children,
}: {
  readonly label: string;
  readonly kind?: 'wide' | 'out' | 'caret';
  readonly children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: see above
    <section class={kind} tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}

const SHAPES: Readonly<Record<Look, ComponentChildren>> = {
  awake: <circle cx="6" cy="6" r="5" fill="currentColor" />,
  asleep: <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5" />,
  waking: (
    <>
      <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M6 1.5a4.5 4.5 0 0 1 0 9z" fill="currentColor" />
    </>
  ),
  stopping: (
    <>
      <circle cx="6" cy="6" r="4.25" fill="none" stroke="currentColor" stroke-width="1.5" />
      <path d="M1.5 6a4.5 4.5 0 0 0 9 0z" fill="currentColor" />
    </>
  ),
  failed: <path d="M6 .8 11.6 11H.4z" fill="currentColor" />,
  unknown: (
    <circle
      cx="6"
      cy="6"
      r="4.25"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-dasharray="2 2"
    />
  ),
};

export function Shape({ look }: { readonly look: Look }) {
  return (
    <svg class="shape" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {SHAPES[look]}
    </svg>
  );
}

export function StateBadge({ service }: { readonly service: ServiceAnswer }) {
  const look = lookOf(service);
  return (
    <span class={`state ${look}`}>
      <Shape look={look} />
      {wordOf(service)}
    </span>
  );
}

/** What comes next and when. `more` is added to the note. */
export function NextStep({ next, more = '' }: { readonly next: Next; readonly more?: string }) {
  const { countdownTo, text, note } = next;
  if (countdownTo !== undefined) return <Countdown toMs={countdownTo} next={next} more={more} />;
  return (
    <>
      {text}{' '}
      <small>
        {note}
        {more}
      </small>
    </>
  );
}

/** `2:07`, counted down each second; nothing is said aloud, since that would never end. */
function Countdown({
  toMs,
  next: { note, overdue = note },
  more,
}: {
  readonly toMs: number;
  readonly next: Next;
  readonly more: string;
}) {
  const leftMs = toMs - useNow();
  return (
    <>
      <span class="count">{leftMs > 0 ? formatCountdown(leftMs) : 'any moment'}</span>{' '}
      <small>
        {leftMs > 0 ? note : overdue}
        {more}
      </small>
    </>
  );
}

/** A link where a browser may find something; what failed would answer with an error. */
export function PortLink({
  listener,
  isFailed,
}: {
  readonly listener: ListenerAnswer;
  readonly isFailed: boolean;
}) {
  const text = formatListener(listener);
  const isOpen = listener.condition === 'bound' && !isFailed;
  const link = isOpen ? linkOf(listener, window.location.hostname) : undefined;
  const broken = listener.condition === 'failed' || listener.condition === 'lost';
  if (broken)
    return (
      <span class="port broken" title={listener.error}>
        {text} ({describeCondition(listener)})
      </span>
    );
  if (link === undefined) return <span class="port">{text}</span>;
  return (
    <a class="port" href={link} target="_blank" rel="noreferrer noopener">
      {text}
    </a>
  );
}

/** The same of a host at the front doors. A wildcard stands for many, so it is no link. */
export function UrlLink({ url, isFailed }: { readonly url: string; readonly isFailed: boolean }) {
  const text = nameUrl(url);
  if (isFailed || text.startsWith('*')) return <span class="port">{text}</span>;
  return (
    <a class="port" href={url} target="_blank" rel="noreferrer noopener">
      {text}
    </a>
  );
}
